"""What a picture is annotated with, for any of the three tasks, in one structure that batches."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data._utils.collate import default_collate_fn_map

from onehead_avl.tasks import Task

VOID = 255
"""Mask value of pixels that are neither learned nor scored."""

ABSENT = -1
"""Label value of what is not there: a padded box, a picture without a class."""

_PADDING = {"mask": VOID, "boxes": 0.0, "labels": ABSENT, "crowd": False}


@dataclass
class Target:
    """The annotation of a batch of B pictures; a single picture's is a batch of one.

    Every part exists for every task, and an absent part holds its ignore value, so batches may mix tasks: this
    is what lets one collate function, one criterion and any Avalanche strategy serve all three.

    Masks and boxes are in the coordinates of the picture of size ``size``, whatever size the network is fed.

    Attributes:
        task: ``(B,)`` int64 values of :class:`~onehead_avl.tasks.Task`.
        size: ``(B, 2)`` int64 height and width in pixels; the part of ``mask`` beyond it is padding.
        mask: ``(B, H, W)`` uint8 class indices, 255 = void or absent.
        boxes: ``(B, M, 4)`` float32 ``x1, y1, x2, y2`` in pixels, padded with zeros.
        labels: ``(B, M)`` int64 class index of each box, -1 = padding.
        crowd: ``(B, M)`` bool, true for a box around a group of objects.
        label: ``(B,)`` int64 class of the picture, -1 = absent.
    """

    task: Tensor
    size: Tensor
    mask: Tensor
    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    label: Tensor

    @classmethod
    def single(
        cls,
        task: Task,
        size: Sequence[int],
        *,
        mask: Tensor | None = None,
        boxes: Tensor | None = None,
        labels: Tensor | None = None,
        crowd: Tensor | None = None,
        label: int | None = None,
    ) -> "Target":
        """Build the target of one picture; parts left out are absent (shapes as above, without B)."""
        boxes = torch.zeros(0, 4) if boxes is None else boxes.float()
        n = len(boxes)
        return cls(
            task=torch.tensor([int(task)]),
            size=torch.tensor([tuple(size)]),
            mask=torch.zeros(1, 0, 0, dtype=torch.uint8) if mask is None else mask[None].to(torch.uint8),
            boxes=boxes[None],
            labels=torch.full((1, n), ABSENT) if labels is None else labels[None].long(),
            crowd=torch.zeros(1, n, dtype=torch.bool) if crowd is None else crowd[None].bool(),
            label=torch.tensor([ABSENT if label is None else label]),
        )

    @staticmethod
    def cat(targets: Sequence["Target"]) -> "Target":
        """Join batches into one, padding masks and boxes to the largest.

        Raises:
            ValueError: ``targets`` is empty.
        """
        if not targets:
            raise ValueError("expected at least one target to join, got none")
        return Target(
            **{
                name: torch.cat(_padded([getattr(target, name) for target in targets], _PADDING.get(name, 0)))
                for name in _FIELDS
            }
        )

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        """Answer ``torch.cat`` along the batch, by which some of Avalanche's strategies join minibatches."""
        if function is torch.cat and (kwargs or {}).get("dim", 0) == 0 and len(args) == 1:
            return cls.cat(*args)
        return NotImplemented

    def __len__(self) -> int:
        return len(self.task)

    def __getitem__(self, index: int | slice | Tensor | Sequence[int]) -> "Target":
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"expected an index below {len(self)}, got {index}")
            index = [index]
        return Target(**{name: getattr(self, name)[index] for name in _FIELDS})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Target":
        """Copy every part to a device."""
        return Target(**{name: getattr(self, name).to(device, non_blocking=non_blocking) for name in _FIELDS})

    def clone(self) -> "Target":
        """Copy every part."""
        return Target(**{name: getattr(self, name).clone() for name in _FIELDS})

    def pin_memory(self) -> "Target":
        """Copy every part to page-locked memory, for faster copies to a GPU."""
        return Target(**{name: getattr(self, name).pin_memory() for name in _FIELDS})

    def of(self, task: Task) -> Tensor:
        """``(B,)`` bool: which pictures belong to a task."""
        return self.task == int(task)


_FIELDS = tuple(field.name for field in fields(Target))


def _padded(tensors: Sequence[Tensor], value: float) -> list[Tensor]:
    """Pad every dimension but the first to the largest."""
    largest = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    padded = []
    for tensor in tensors:
        missing = [most - size for most, size in zip(largest, tensor.shape[1:], strict=True)]
        widths = [width for gap in reversed(missing) for width in (0, gap)]
        padded.append(pad(tensor, widths, value=value) if any(missing) else tensor)
    return padded


def collate(samples: Sequence[tuple[Tensor, Target, int]]) -> list:
    """Collate ``(image, target, task_label)`` samples of any mixture of tasks.

    Returns:
        ``[images (B, 3, H, W), Target of B, task labels (B,)]``
    """
    images, targets, task_labels = zip(*samples, strict=True)
    return [torch.stack(images), Target.cat(targets), torch.tensor(task_labels)]


# Avalanche builds some plain DataLoaders that forget a data set's own collate function.
default_collate_fn_map.setdefault(Target, lambda batch, *, collate_fn_map=None: Target.cat(batch))
