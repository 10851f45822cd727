"""Which channel of the network's one output tensor means what."""

from dataclasses import dataclass

from torch import Tensor

from onehead_avl.tasks import Task

STRIDE = 8
"""Input pixels per cell of the output."""


@dataclass(frozen=True)
class Layout:
    """The channels of the output ``(B, C_seg + 5 + C_det + C_cls, H/8, W/8)``, in that order.

    Args:
        n_seg: Segmentation classes, the background included.
        n_det: Detection classes.
        n_cls: Classification classes.
    """

    n_seg: int
    n_det: int
    n_cls: int

    @property
    def channels(self) -> int:
        """All channels together."""
        return self.n_seg + 5 + self.n_det + self.n_cls

    def of(self, task: Task) -> range:
        """The channels of one task."""
        start, stop = {
            Task.SEG: (0, self.n_seg),
            Task.DET: (self.n_seg, self.n_seg + 5 + self.n_det),
            Task.CLS: (self.n_seg + 5 + self.n_det, self.channels),
        }[task]
        return range(start, stop)

    def segmentation(self, output: Tensor) -> Tensor:
        """Class logits ``(B, C_seg, H/8, W/8)``."""
        return output[:, : self.n_seg]

    def detection(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Box parameters ``(B, 4, ...)``, confidence logits ``(B, ...)`` and class logits ``(B, C_det, ...)``.

        What the four parameters mean is said by :func:`onehead_avl.model.boxes.boxes_of`.
        """
        start = self.n_seg
        return (
            output[:, start : start + 4],
            output[:, start + 4],
            output[:, start + 5 : start + 5 + self.n_det],
        )

    def classification(self, output: Tensor) -> Tensor:
        """Class logits ``(B, C_cls)`` of whole pictures: the mean of the evidence over all cells."""
        return output[:, self.n_seg + 5 + self.n_det :].mean(dim=(2, 3))
