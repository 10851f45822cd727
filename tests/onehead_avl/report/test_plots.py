import csv

import pytest
from PIL import Image

from onehead_avl.errors import OutputError
from onehead_avl.logs.tidy_logger import COLUMNS
from onehead_avl.report.plots import plot_loss, plot_metrics
from onehead_avl.report.results import Stage, outcomes
from onehead_avl.tasks import Task

pytestmark = pytest.mark.usefixtures("no_warnings")

STAGES = [
    Stage((Task.CLS,), 2, 1.0, {"Top1": 0.5, "mIoU": 0.1}),
    Stage((Task.SEG,), 3, 1.0, {"Top1": 0.4, "mIoU": 0.3}),
]
LOSS = [("0", 1, "", "Loss_Epoch", 3.0), ("0", 2, "", "Loss_Epoch", 2.0), ("1", 1, "", "Loss_Epoch", 4.0)]
SCORES = [
    ("", 0, 0, "Top1_Exp", 0.1),
    ("0", 2, 0, "Top1_Exp", 0.5),
    ("0", 2, 1, "mIoU_Exp", 0.1),
    ("1", 3, 0, "Top1_Exp", 0.4),
    ("1", 3, 0, "Top1_ExperienceForgetting", 0.1),
    ("1", 3, 1, "mIoU_Exp", 0.3),
]


@pytest.fixture
def metrics_csv(tmp_path):
    """Write rows of train_exp, epoch, eval_exp, metric and value as the tidy logger does."""

    def metrics_csv(rows):
        path = tmp_path / "metrics.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *(("run", 0, "naive", *row) for row in rows)])
        return path

    return metrics_csv


def points(line):
    return [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def curve(axes):
    return points(axes.lines[0])


def assert_picture(path):
    with Image.open(path) as picture:
        picture.verify()
        assert picture.format == "PNG"
        assert min(picture.size) > 200


def test_the_loss_of_each_stage_is_a_curve_that_goes_on_where_the_last_ended(tmp_path, metrics_csv, drawn):
    plot_loss(tmp_path / "loss.png", metrics_csv(LOSS + SCORES), STAGES)
    assert_picture(tmp_path / "loss.png")
    (axes,) = drawn[0].axes
    lines = {line.get_label(): points(line) for line in axes.lines}
    assert lines["classification"] == [(1, 3.0), (2, 2.0)]
    assert lines["segmentation"] == [(3, 4.0)]


def test_each_metric_is_drawn_over_all_stages(tmp_path, metrics_csv, drawn):
    plot_metrics(tmp_path / "metrics.png", metrics_csv(LOSS + SCORES), STAGES, outcomes(STAGES))
    assert_picture(tmp_path / "metrics.png")
    first, second = drawn[0].axes
    assert (first.get_ylabel(), second.get_ylabel()) == ("Top1", "mIoU")
    assert curve(first) == [(0, 0.1), (2, 0.5), (5, 0.4)]
    assert curve(second) == [(2, 0.1), (5, 0.3)]


def test_the_baseline_and_the_limit_are_drawn_from_the_own_stage_on(tmp_path, metrics_csv, drawn):
    plot_metrics(tmp_path / "metrics.png", metrics_csv(SCORES), STAGES, outcomes(STAGES))
    first, _ = drawn[0].axes
    lines = {line.get_label(): points(line) for line in first.lines}
    assert lines["just learned"] == [(2, 0.5), (5, 0.5)]
    assert lines["5% below"] == [(2, 0.475), (5, 0.475)]


def test_one_stage_is_a_plot(tmp_path, metrics_csv, drawn):
    path = metrics_csv([*LOSS[:2], *SCORES[:2]])
    plot_loss(tmp_path / "loss.png", path, STAGES[:1])
    plot_metrics(tmp_path / "metrics.png", path, STAGES[:1], outcomes(STAGES[:1]))
    assert_picture(tmp_path / "loss.png")
    assert_picture(tmp_path / "metrics.png")
    assert curve(drawn[1].axes[0]) == [(0, 0.1), (2, 0.5)]


def test_a_metric_that_was_never_measured_has_an_empty_plot(tmp_path, metrics_csv, drawn):
    stages = [Stage((Task.DET,), 2, 1.0, {"AP50": None}), Stage((Task.CLS,), 3, 1.0, {"Top1": 0.4})]
    plot_metrics(tmp_path / "metrics.png", metrics_csv([SCORES[3]]), stages, outcomes(stages))
    assert_picture(tmp_path / "metrics.png")
    first, second = drawn[0].axes
    assert curve(first) == []
    assert curve(second) == [(5, 0.4)]


def test_a_picture_that_cannot_be_written_is_an_output_error(tmp_path, metrics_csv):
    with pytest.raises(OutputError, match=r"loss\.png could not be written"):
        plot_loss(tmp_path / "missing" / "loss.png", metrics_csv(LOSS), STAGES)
