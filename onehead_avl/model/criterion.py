"""The loss of a batch that may mix experiences of any kinds."""

from torch import Tensor

from onehead_avl.model.layout import Layout
from onehead_avl.target import Target


class MultiTaskLoss:
    """The sum over the experiences in a batch of the mean loss over that experience's samples.

    Each experience weighs one however many of a batch's samples are its own, so replayed samples count as an experience
    and not as a fraction of the batch. Losses are computed in float32, whatever the output's type: half of that
    precision is too little for them.

    Args:
        layout: The channels of the output.
        reduction: ``"mean"`` as above; ``"none"`` for one loss per sample.

    Raises:
        ValueError: The reduction is neither.

    Example:
        >>> import torch
        >>> from onehead_avl.kinds.kind import kind_of
        >>> from onehead_avl.model.layout import layout_of_heads
        >>> layout = layout_of_heads([("pets", "pets", kind_of("classification"), ("cat", "dog"))])
        >>> output = torch.zeros(1, layout.channels, 4, 4)  # of an image of 32 x 32 pixels
        >>> MultiTaskLoss(layout)(output, Target.single(0, (32, 32), {"label": 1}))
        tensor(0.6931)
    """

    def __init__(self, layout: Layout, reduction: str = "mean") -> None:
        if reduction not in ("mean", "none"):
            raise ValueError(f"expected reduction 'mean' or 'none', got {reduction!r}")
        self.layout = layout
        self.reduction = reduction

    def __call__(self, output: Tensor, target: Target) -> Tensor:
        """Compare an output ``(B, C, H/8, W/8)`` with a target of B; a scalar, or ``(B,)`` with ``"none"``.

        Raises:
            ValueError: A sample has a task label that the layout does not have.
        """
        output = output.float()
        losses = output.new_zeros(len(target))
        total = output.sum() * 0  # a batch without any annotation still has a gradient: zero
        compared = 0
        for task, part in enumerate(self.layout.parts):
            chosen = target.of(task).nonzero().flatten()
            if len(chosen):
                rows = chosen.to(output.device, non_blocking=True)
                loss = part.kind.loss(part.of(output[rows]), target[chosen])
                losses = losses.index_put((rows,), loss)
                total = total + loss.mean()
                compared += len(chosen)
        if compared < len(target):
            tasks = len(self.layout.parts)
            raise ValueError(f"expected task labels 0 to {tasks - 1}, got {sorted(set(target.task.tolist()))}")
        return losses if self.reduction == "none" else total
