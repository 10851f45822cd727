"""Page-locked memory for the minibatches of a GPU, also where a plugin has replaced the data loader."""

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate


class PinnedMinibatches(SupervisedPlugin):
    """Has every loader hand over minibatches that a GPU copies while it computes.

    Avalanche's own loaders do so; those of its replay plugins are built without that word. It must follow the plugins
    that replace the loader.
    """

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Say it to the loader."""
        options = getattr(strategy.dataloader, "loader_kwargs", None)  # of Avalanche's loaders of several sets
        if options is not None:
            options["pin_memory"] = strategy.device.type == "cuda"
