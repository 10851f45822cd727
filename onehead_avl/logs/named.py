"""The loggers that have a name. Importing the table is cheap: no torch, no Avalanche."""

LOGGERS: dict[str, str] = {
    "tensorboard": "onehead_avl.logs.tensorboard_logger:TensorBoardLogger",
    "wandb": "onehead_avl.logs.wandb_logger:WandBLogger",
}
"""Where the class of each is; it is called with the folder, the name and the configuration of a run."""

EVENTS = "events.out.tfevents.metrics"
"""The file of the first; TensorBoard finds event files by the middle of their name, and calls a run as its folder."""
