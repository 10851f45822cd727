"""Network outputs and finished runs made by hand, for tests of what is read from them; and a comparison."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from onehead_avl.model.layout import Layout
from onehead_avl.report.comparison import Run
from onehead_avl.report.results import Stage, as_json, outcomes
from onehead_avl.tasks import Task

STRIDE, BOX_UNIT = 8, 32  # what the output's box parameters are measured in, in network pixels
SURE = 20.0  # a logit whose sigmoid is 1 in float32

CANONICAL = ("seg", "det", "cls")
MAIN = ("mIoU", "AP50", "Top1")


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


@pytest.fixture(scope="session")
def finished() -> Callable[..., Run]:
    """Make a finished run from the three main metrics after each of its stages; AP is half of AP50, Top5 is unknown."""

    def finished(strategy, seed, *rows, order=CANONICAL, single_task=None, **values) -> Run:
        keys = [Task.from_key(key) for key in order]
        tasks = [tuple(keys)] if len(rows) < len(keys) else [(key,) for key in keys]
        stages = []
        for of, row in zip(tasks, rows, strict=True):
            scores = dict(zip(MAIN, row, strict=True))
            scores["AP"] = None if scores["AP50"] is None else scores["AP50"] / 2
            stages.append(Stage(of, 1, 60.0, scores))
        followed = outcomes(stages, single_task, separate=strategy == "from-scratch")
        results = {
            "metrics": as_json(stages, followed),
            "intervals": {"mIoU": [0.1, 0.9], "AP50": None},
            "seconds": {stage.key: stage.seconds for stage in stages},
            "peak_memory_bytes": 3 * 2**20,
            "stored_bytes": 0,
        }
        return Run(strategy, tuple(order), seed, results | values, single_task=single_task)

    return finished


@pytest.fixture(scope="session")
def failed() -> Callable[..., Run]:
    """Make a run that failed."""
    return lambda strategy, seed, order=CANONICAL, reason="it broke": Run(strategy, order, seed, None, reason)


@pytest.fixture(scope="session")
def compared(train, tmp_path_factory) -> tuple[Path, Any]:
    """A finished comparison of naive and replay with the seeds 0 and 1 on the mini data, and what it printed."""
    folder = tmp_path_factory.mktemp("compared") / "runs"
    answer = train(folder, "--strategy", "naive", "replay", "--seeds", "0", "1")
    assert answer.status == 0, answer.err
    return folder, answer
