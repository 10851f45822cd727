"""A strategy of one's own with an optimizer and a schedule of its own: SGD, whose step halves with every experience.

``python -m onehead_avl.benchmark --strategy examples.own_optimizer:Halving --set Halving.lr=0.05``

The benchmark's optimizer and schedule are for strategies that keep the optimizer they are handed. This one does not,
and the results say so.
"""

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import ExponentialLR


class Halve(SupervisedPlugin):
    """Halves the step size at the end of every experience."""

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__()
        self.schedule = ExponentialLR(optimizer, gamma=0.5)

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Halve it."""
        self.schedule.step()


class Halving(SupervisedTemplate):
    """Fine-tuning; the benchmark hands in everything but ``lr``, and its optimizer is put aside."""

    def __init__(self, *, model: nn.Module, optimizer: Optimizer, plugins: list, lr: float = 0.05, **arguments) -> None:
        own = SGD(model.parameters(), lr=lr, momentum=0.9)
        super().__init__(model=model, optimizer=own, plugins=[Halve(own), *plugins], **arguments)
