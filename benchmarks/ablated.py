"""Networks that lack a piece of the recipe, for the benchmark's ``--model``: what the piece gives is the difference.

    python -m benchmarks.crossvalidation without -- --strategy onehead --model benchmarks.ablated:WithoutGates
    python -m benchmarks.crossvalidation with without

Another file of pretrained weights is set by ``--set WithoutGates.weights=FILE``.
"""

from torch import nn

from onehead_avl.model.layout import Layout, Part
from onehead_avl.model.network import FPN, Column, OneHeadNet


class WithoutGates(OneHeadNet):
    """The network in which the gates of the neck are 1, whatever the image shows.

    Args:
        layout: The parts of the output.
        weights: As those of :class:`~onehead_avl.model.network.OneHeadNet`.
    """

    def __init__(self, layout: Layout, weights: str = "imagenet") -> None:
        super().__init__(layout, weights=weights)
        _open(self.neck)

    def grow(self, part: Part) -> Column:
        """Add a column whose gates are 1, too."""
        column = super().grow(part)
        _open(column.neck)
        return column


def _open(neck: FPN) -> None:
    for parameter in neck.gate.parameters():
        nn.init.zeros_(parameter)
        parameter.requires_grad_(False)
