"""The strategy that trains the network on minibatches of any mixture of tasks."""

from collections.abc import Sequence

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.model.network import OneHeadNet
from strategies.optimisation import Optimisation, starting_optimizer


class MultiTask(SupervisedTemplate):
    """Avalanche's supervised template with this benchmark's optimisation.

    Without plugins it is naive fine-tuning; with Avalanche's plugins it is their method.

    Args:
        model: The network.
        plugins: Avalanche plugins.
        optimisation: How weights are updated, where that is to differ from the usual.
        **kwargs: As for :class:`~avalanche.training.templates.SupervisedTemplate`.
    """

    def __init__(
        self,
        *,
        model: OneHeadNet,
        plugins: Sequence[SupervisedPlugin] = (),
        optimisation: Optimisation | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            model=model,
            optimizer=starting_optimizer(model),
            plugins=[*plugins, optimisation or Optimisation()],
            **kwargs,
        )
