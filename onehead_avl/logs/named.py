"""The loggers that have a name. Importing the table is cheap: no torch, no Avalanche."""

LOGGERS: dict[str, str] = {
    "tensorboard": "onehead_avl.logs.tensorboard",
    "wandb": "onehead_avl.logs.weights_and_biases",
}
"""The module of each, which has a function ``logger(folder, run, config)`` that builds it."""
