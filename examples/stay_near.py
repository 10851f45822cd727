"""A strategy of one's own: new weights are pulled back to those that the last experience ended with.

Run the strategy beside replay, or give its plugin to any strategy:

* ``python -m onehead_avl.benchmark --strategy replay examples.stay_near:StayNear --set StayNear.strength=0.1``
* ``python -m onehead_avl.benchmark --strategy naive replay --plugin examples.stay_near:Pull``
"""

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor


class Pull(SupervisedPlugin):
    """Adds the squared distance to the old weights to the loss."""

    def __init__(self, strength: float = 0.01) -> None:
        super().__init__()
        self.strength = strength
        self.old: list[Tensor] = []

    def before_backward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Add the distance."""
        pairs = zip(strategy.model.parameters(), self.old, strict=True) if self.old else ()
        strategy.loss += self.strength * sum((new - old).square().sum() for new, old in pairs)

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Keep the weights."""
        self.old = [weight.detach().clone() for weight in strategy.model.parameters()]


class StayNear(SupervisedTemplate):
    """Avalanche's template with that plugin; the benchmark hands in everything but ``strength``."""

    def __init__(self, *, strength: float = 0.01, plugins: list, **arguments) -> None:
        super().__init__(plugins=[Pull(strength), *plugins], **arguments)
