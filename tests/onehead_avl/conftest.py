"""Network outputs made by hand, for tests of what is read from them."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onehead_avl.model.layout import Layout

STRIDE, BOX_UNIT = 8, 32  # what the output's box parameters are measured in, in network pixels
SURE = 20.0  # a logit whose sigmoid is 1 in float32


@pytest.fixture
def layout() -> Layout:
    """Four segmentation, three detection and six classification classes."""
    return Layout(n_seg=4, n_det=3, n_cls=6)


@pytest.fixture
def blank(layout: Layout) -> Callable[[int, int, int], Tensor]:
    """Make an output ``(B, C, rows, columns)`` of zeros that surely detects nothing."""

    def make(batch: int, rows: int, columns: int) -> Tensor:
        output = torch.zeros(batch, layout.channels, rows, columns)
        output[:, layout.n_seg + 4 : layout.n_seg + 5 + layout.n_det] = -SURE
        return output

    return make


@pytest.fixture
def place(layout: Layout) -> Callable[..., None]:
    """Write a detection into one cell ``(row, column)`` of an output ``(C, rows, columns)``, in place.

    The box is ``x1, y1, x2, y2`` in network pixels; its class probability and its confidence are both ``score``.
    """

    def write(output: Tensor, cell: tuple[int, int], box: tuple, label: int, score: float = 1.0) -> None:
        (row, column), (x1, y1, x2, y2), start = cell, box, layout.n_seg
        logit = SURE if score == 1 else math.log(score / (1 - score))
        output[start : start + 4, row, column] = torch.tensor(
            [
                ((x1 + x2) / 2 - (column + 0.5) * STRIDE) / STRIDE,
                ((y1 + y2) / 2 - (row + 0.5) * STRIDE) / STRIDE,
                math.log((x2 - x1) / BOX_UNIT),
                math.log((y2 - y1) / BOX_UNIT),
            ]
        )
        output[start + 4, row, column] = logit
        output[start + 5 + label, row, column] = logit

    return write
