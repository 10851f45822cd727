"""The loggers that have a name. Importing the table is cheap: no torch, no Avalanche."""

LOGGERS: dict[str, str] = {
    "tensorboard": "onehead_avl.logs.tensorboard_logger:TensorBoardLogger",
    "wandb": "onehead_avl.logs.wandb_logger:WandBLogger",
}
"""Where the class of each is; it is called with the folder, the name and the configuration of a run."""
