"""Detection that also learns from the outlines with which replayed samples of segmentation are annotated."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from onehead_avl.kinds.outlined import Outlined, outlined, pasted, shared_classes
from onehead_avl.model.layout import Layout, Part
from onehead_avl.system.labels import labels_of
from onehead_avl.target import Target

PASTED = 0.5
"""The share of the current images that objects are pasted into."""


class _Examples(NamedTuple):
    """Replayed images as examples of detection: their rows of the minibatch, and what is annotated of them.

    ``learning`` says of each channel of the part whether it learns from them.
    """

    part: Part
    rows: Tensor
    target: Target
    learning: Tensor

    def to(self, device: torch.device) -> "_Examples":
        """Copy all of it to a device, without waiting for it."""
        rows, learning = (each.to(device, non_blocking=True) for each in (self.rows, self.learning))
        return _Examples(self.part, rows, self.target.to(device, non_blocking=True), learning)


class Outlines(SupervisedPlugin):
    """Makes examples of detection of replayed samples of segmentation, if both know classes of the same names.

    What is kept against forgetting helps to learn, too: wherever a detection experience meets replayed masks, the boxes
    around their objects are annotations of the replayed images, and the objects, cut out along their outlines, are
    pasted into half of the current images. Where nothing is replayed or no class is shared, nothing changes.

    Args:
        layout: The channels of the output.
        weight: How much the detection loss of the replayed images counts; with 0, nothing is pasted either.
    """

    UNSAVED = frozenset(("_examples",))

    def __init__(self, layout: Layout, weight: float) -> None:
        super().__init__()
        self._layout = layout
        self._weight = weight
        self._examples: list[_Examples] = []

    def before_forward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Find the objects of replayed images, and paste them into the current ones."""
        self._examples = []
        if not self._weight:
            return
        for detection in sorted(labels_of(strategy.experience) & self._layout.of_kind("detection")):
            for segmentation in sorted(self._layout.of_kind("segmentation")):
                self._pass_on(strategy, segmentation, detection)

    def before_backward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Add the detection loss of the replayed images."""
        for part, rows, target, learning in self._examples:
            output = part.of(strategy.mb_output[rows].float())
            output = torch.where(learning[:, None, None], output, output.detach())
            strategy.loss = strategy.loss + self._weight * part.kind.loss(output, target).mean()
        self._examples = []

    def _pass_on(self, strategy: SupervisedTemplate, segmentation: int, detection: int) -> None:
        """Make examples of one experience, by its task label, of what is replayed of the other."""
        part, target = self._layout.parts[detection], strategy.mb_y.to("cpu")  # a GPU is waited for once, here
        classes = shared_classes(self._layout.parts[segmentation].classes, part.classes)
        rows = target.of(segmentation).nonzero().flatten().tolist()
        if not rows or not classes:
            return
        found = [outlined(strategy.mb_x[row], target.parts["mask"][row], classes) for row in rows]
        annotated = Target.cat([Target.single(detection, each.pixels.shape, each.annotation) for each in found])
        # A class that no mask can show is not annotated, which is not to say that it is not there.
        # The channels of the classes are the last.
        learning = torch.ones(len(part.channels), dtype=torch.bool)
        of_classes = learning[-len(part.classes) :]
        of_classes[:] = False
        of_classes[list(classes.values())] = True
        self._examples.append(_Examples(part, torch.tensor(rows), annotated, learning).to(strategy.mb_x.device))
        if with_objects := [each for each in found if len(each.labels)]:
            strategy.mbatch[:2] = _with_pasted(strategy.mb_x, target, detection, with_objects)


def _with_pasted(images: Tensor, target: Target, task: int, found: Sequence[Outlined]) -> tuple[Tensor, Target]:
    """A minibatch in which objects are pasted into some of the images of one task; the target is on the CPU."""
    images = images.clone()
    targets = [target[row] for row in range(len(target))]
    for row in target.of(task).nonzero().flatten().tolist():
        if torch.rand(()) < PASTED:
            objects = found[int(torch.randint(len(found), ()))]
            annotation = {name: part[0] for name, part in targets[row].parts.items()}
            images[row], annotation = pasted(images[row], annotation, objects)
            targets[row] = Target.single(task, images.shape[-2:], annotation)
    return images, Target.cat(targets).to(images.device, non_blocking=True)
