"""The strategy that trains the network on minibatches of any mixture of tasks."""

from collections.abc import Sequence

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.optim import Optimizer

from strategies.optimisation import Optimisation, starting_optimizer


class MultiTask(SupervisedTemplate):
    """Avalanche's supervised template with this benchmark's optimisation.

    Without plugins it is naive fine-tuning; with Avalanche's plugins it is their method.

    Args:
        model: The network.
        optimizer: Another optimizer, for a strategy that is to train by itself.
        plugins: Avalanche plugins; without an :class:`~strategies.optimisation.Optimisation` among them, the usual one
            follows.
        **kwargs: As for :class:`~avalanche.training.templates.SupervisedTemplate`.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: Optimizer | None = None,
        plugins: Sequence[SupervisedPlugin] = (),
        **kwargs,
    ) -> None:
        trained = any(isinstance(plugin, Optimisation) for plugin in plugins)
        super().__init__(
            model=model,
            optimizer=optimizer or starting_optimizer(model),
            plugins=[*plugins] if trained else [*plugins, Optimisation()],
            **kwargs,
        )
