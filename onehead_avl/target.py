"""What an image is annotated with, for any kind of task, in one structure that batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data._utils.collate import default_collate_fn_map

from onehead_avl.ignored import ABSENT, VOID


@dataclass
class Target:
    """The annotation of a batch of B images; a single image's is a batch of one.

    An annotation is made of named parts, and which ones there are is up to the kind of task: ``mask``, ``boxes``,
    ``labels``, ``crowd``, ``label`` or what another kind reads. Batches may mix tasks: where an image lacks a part that
    another one of its batch has, the part holds the ignore value of its type. This is what lets one collate function,
    one criterion and any Avalanche strategy serve all kinds. The ignore value is 255 in uint8, -1 in other integers,
    false in bool and not-a-number in floats; ragged parts are padded with it.

    Parts are in the coordinates of the image of size ``size``, whatever size the network is fed.

    Attributes:
        task: ``(B,)`` int64 task labels, on the CPU: positions in the definition of the stream.
        size: ``(B, 2)`` int64 height and width in pixels, on the CPU; what of a map lies beyond it is padding.
        parts: Tensors ``(B, ...)`` by name.

    Example:
        >>> labelled = Target.single(0, (32, 48), {"label": 3})
        >>> masked = Target.single(1, (2, 2), {"mask": torch.zeros(2, 2, dtype=torch.uint8)})
        >>> both = Target.cat([labelled, masked])
        >>> both.parts["label"]
        tensor([ 3, -1])
        >>> both.parts["mask"][0]
        tensor([[255, 255],
                [255, 255]], dtype=torch.uint8)
        >>> both.of(1)
        tensor([False,  True])
    """

    task: Tensor
    size: Tensor
    parts: dict[str, Tensor]

    @classmethod
    def single(cls, task: int, size: Sequence[int], annotation: Mapping[str, Tensor | int] | None = None) -> "Target":
        """Build the target of one image from its annotation: parts by name, without the batch dimension."""
        return cls(
            task=torch.tensor([int(task)]),
            size=torch.tensor([tuple(size)]),
            parts={name: torch.as_tensor(part)[None] for name, part in (annotation or {}).items()},
        )

    @staticmethod
    def cat(targets: Sequence["Target"]) -> "Target":
        """Join batches into one, padding parts to the largest and filling in those that some lack.

        Raises:
            ValueError: ``targets`` is empty, or two of them hold a part in different types or numbers of dimensions.
        """
        if not targets:
            raise ValueError("expected at least one target to join, got none")
        names = dict.fromkeys(name for target in targets for name in target.parts)
        return Target(
            task=torch.cat([target.task for target in targets]),
            size=torch.cat([target.size for target in targets]),
            parts={name: _join(name, targets) for name in names},
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
        return self._each(lambda tensor: tensor[_on(tensor.device, index)])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Target":
        """Copy every part to a device; task labels and sizes decide what is computed there, and stay on the CPU."""
        parts = {name: part.to(device, non_blocking=non_blocking) for name, part in self.parts.items()}
        return Target(self.task, self.size, parts)

    def clone(self) -> "Target":
        """Copy every part."""
        return self._each(torch.clone)

    def pin_memory(self) -> "Target":
        """Copy every part to page-locked memory, for faster copies to a GPU."""
        return self._each(Tensor.pin_memory)

    def of(self, task: int) -> Tensor:
        """``(B,)`` bool: which images belong to a task."""
        return self.task == int(task)

    def _each(self, change) -> "Target":
        return Target(change(self.task), change(self.size), {name: change(part) for name, part in self.parts.items()})


def _on(device: torch.device, index: slice | Tensor | Sequence[int]) -> slice | Tensor:
    """An index that a device need not be waited for."""
    if isinstance(index, slice):
        return index
    rows = index if isinstance(index, Tensor) else torch.tensor(index, dtype=torch.int64)
    return rows.to(device, non_blocking=True)


def ignore_value(dtype: torch.dtype) -> float:
    """The value of a type that stands for what is not annotated.

    Example:
        >>> [ignore_value(dtype) for dtype in (torch.uint8, torch.int64, torch.bool, torch.float32)]
        [255, -1, False, nan]
    """
    if dtype.is_floating_point:
        return torch.nan
    return {torch.uint8: VOID, torch.bool: False}.get(dtype, ABSENT)


def _join(name: str, targets: Sequence[Target]) -> Tensor:
    """Concatenate one part of some targets, every dimension but the first padded to the largest."""
    known = [target.parts[name] for target in targets if name in target.parts]
    types = {f"{part.dim()}-dimensional {part.dtype}" for part in known}
    if len(types) > 1:
        raise ValueError(f"expected {name!r} of one type in every target, got {', '.join(sorted(types))}")
    largest = [max(sizes) for sizes in zip(*(part.shape[1:] for part in known), strict=True)]
    value = ignore_value(known[0].dtype)
    joined = []
    for target in targets:
        part = target.parts.get(name)
        if part is None:
            part = known[0].new_full((len(target), *largest), value)
        missing = [most - size for most, size in zip(largest, part.shape[1:], strict=True)]
        widths = [width for gap in reversed(missing) for width in (0, gap)]
        joined.append(pad(part, widths, value=value) if any(missing) else part)
    return torch.cat(joined)


def collate(samples: Sequence[tuple[Tensor, Target, int]]) -> list:
    """Collate ``(image, target, task_label)`` samples of any mixture of tasks.

    Returns:
        ``[images (B, 3, H, W), Target of B, task labels (B,)]``
    """
    images, targets, task_labels = zip(*samples, strict=True)
    return [torch.stack(images), Target.cat(targets), torch.tensor(task_labels)]


# Avalanche builds some plain DataLoaders that forget a data set's own collate function.
default_collate_fn_map.setdefault(Target, lambda batch, *, collate_fn_map=None: Target.cat(batch))
