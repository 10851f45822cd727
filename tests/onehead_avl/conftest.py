"""Network outputs and finished runs made by hand, for tests of what is read from them; and a comparison."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from onehead_avl.evaluation.outcomes import Stage
from onehead_avl.evaluation.record import Learned, Record
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import Layout, layout_of_heads
from onehead_avl.report.comparison import Run

STRIDE, BOX_UNIT = 8, 32  # what the output's box parameters are measured in, in network pixels
SURE = 20.0  # a logit whose sigmoid is 1 in float32

CANONICAL = ("seg", "det", "cls")
SEG, DET, CLS = range(3)  # task labels

EXPERIENCES = (
    Learned("seg", "segmentation", "seg", ("background", "cat"), {"mIoU": True}, 240, 60),
    Learned("det", "detection", "det", ("cat", "dog"), {"AP50": True, "AP": True}, 200, 50),
    Learned("cls", "classification", "cls", ("cat", "dog"), {"Top1": True, "Top5": True}, 100, 60),
)


def scores_of(row) -> dict:
    """The scores of all metrics from the primary ones; AP is half of AP50, Top5 is unknown."""
    seg, det, cls = row
    return {"seg": {"mIoU": seg}, "det": {"AP50": det, "AP": None if det is None else det / 2}, "cls": {"Top1": cls}}


@pytest.fixture
def layout() -> Layout:
    """Three experiences, seg, det and cls, with four, three and six classes."""
    counts = {"seg": ("segmentation", 4), "det": ("detection", 3), "cls": ("classification", 6)}
    return layout_of_heads(
        [(name, name, kind_of(kind), [f"{name}{i}" for i in range(n)]) for name, (kind, n) in counts.items()]
    )


@pytest.fixture
def blank(layout: Layout) -> Callable[[int, int, int], Tensor]:
    """Make an output ``(B, C, rows, columns)`` of zeros that surely detects nothing."""

    def make(batch: int, rows: int, columns: int) -> Tensor:
        output = torch.zeros(batch, layout.channels, rows, columns)
        layout.parts[DET].of(output)[:, 4:] = -SURE
        return output

    return make


@pytest.fixture
def place(layout: Layout) -> Callable[..., None]:
    """Write a detection into one cell ``(row, column)`` of an output ``(C, rows, columns)``, in place.

    The box is ``x1, y1, x2, y2`` in network pixels; its class probability and its confidence are both ``score``.
    """

    def write(output: Tensor, cell: tuple[int, int], box: tuple, label: int, score: float = 1.0) -> None:
        (row, column), (x1, y1, x2, y2), start = cell, box, layout.parts[DET].start
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


@pytest.fixture(scope="session")
def record() -> Callable[..., Record]:
    """Make the record of a run of the challenge from the primary metrics after each of its stages.

    A row holds mIoU, AP50 and Top1; AP is half of AP50, Top5 is unknown. Each stage took a minute.
    """

    def record(strategy, seed, *rows, order=CANONICAL, untrained=None, single_task=None, **values) -> Record:
        learned = [tuple(order)] if len(rows) < len(order) else [(name,) for name in order]
        stages = [Stage(names, 1, 60.0, scores_of(row)) for names, row in zip(learned, rows, strict=True)]
        made = Record(
            strategy=strategy,
            options={strategy: {}},
            seed=seed,
            stream="challenge",
            experiences=EXPERIENCES,
            order=tuple(order),
            stages=tuple(stages),
            separate=strategy == "from-scratch",
            untrained={} if untrained is None else scores_of(untrained),
            single_task=single_task or {},
            intervals={"seg": {"mIoU": (0.1, 0.9)}, "det": {"AP50": None}},
            peak_memory_bytes=3 * 2**20,
            stored_bytes=0,
        )
        return replace(made, **values)

    return record


@pytest.fixture(scope="session")
def finished(record) -> Callable[..., Run]:
    """Make a finished run from what ``record`` takes."""

    def finished(strategy, seed, *rows, order=CANONICAL, **values) -> Run:
        return Run(strategy, tuple(order), seed, record(strategy, seed, *rows, order=order, **values))

    return finished


@pytest.fixture(scope="session")
def failed() -> Callable[..., Run]:
    """Make a run that failed."""
    return lambda strategy, seed, order=CANONICAL, reason="it broke": Run(strategy, order, seed, None, reason)
