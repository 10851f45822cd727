"""Memory for decoded pictures: shared with the processes that load images, and limited from the start."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

_FILLED = 1


class Slot:
    """A place for one tensor of uint8, filled by whoever decodes it first.

    Two processes may fill it at once: both write the same bytes, and it counts as filled only after them.
    """

    def __init__(self, arena: mmap.mmap, flags: mmap.mmap, number: int, start: int, size: int) -> None:
        self._arena, self._flags = arena, flags
        self._number, self._start, self._size = number, start, size

    def get(self) -> Tensor | None:
        """What it holds, as one dimension; ``None`` if it is empty."""
        if self._flags[self._number] != _FILLED:
            return None
        return torch.frombuffer(self._arena, dtype=torch.uint8, count=self._size, offset=self._start)

    def put(self, tensor: Tensor) -> None:
        """Fill it."""
        torch.frombuffer(self._arena, dtype=torch.uint8, count=self._size, offset=self._start).copy_(tensor.flatten())
        self._flags[self._number] = _FILLED

    def __reduce__(self) -> tuple:
        """A process that is not forked does not share the memory: it decodes each time."""
        return _no_slot, ()


def _no_slot() -> None:
    return None


def slots(sizes: Sequence[int], budget: int) -> list[Slot | None]:
    """Give places to tensors, in the order given, until the budget is spent.

    Args:
        sizes: Of the tensors, in bytes.
        budget: Bytes at most; of these, only what is filled takes memory.

    Returns:
        A place for each tensor; ``None`` for those that there is no room for.
    """
    starts, total = [], 0
    for size in sizes:
        fits = total + size <= budget
        starts.append(total if fits and size else None)
        total += size if fits else 0
    if not total:
        return [None for _ in sizes]
    arena, flags = mmap.mmap(-1, total), mmap.mmap(-1, len(sizes))
    return [
        None if start is None else Slot(arena, flags, number, start, size)
        for number, (start, size) in enumerate(zip(starts, sizes, strict=True))
    ]
