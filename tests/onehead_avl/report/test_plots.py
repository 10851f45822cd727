import csv
from dataclasses import replace
from itertools import pairwise

import pytest
from PIL import Image

from onehead_avl.errors import OutputError
from onehead_avl.evaluation.outcomes import Stage
from onehead_avl.evaluation.record import Learned, Record
from onehead_avl.logs.tidy_logger import COLUMNS
from onehead_avl.report.plots import loss_figure, metrics_figure, save_figure

pytestmark = pytest.mark.usefixtures("no_warnings")

LEARNED = (
    Learned("cls", "classification", "cls", ("cat", "dog"), {"Top1": True}, 8, 2),
    Learned("seg", "segmentation", "seg", ("cat", "dog"), {"mIoU": True}, 8, 2),
)
STAGES = (
    Stage(("cls",), 2, 1.0, {"cls": {"Top1": 0.5}, "seg": {"mIoU": 0.1}}),
    Stage(("seg",), 3, 1.0, {"cls": {"Top1": 0.4}, "seg": {"mIoU": 0.3}}),
)
LOSS = [
    ("0", 1, "", "Loss_Epoch", 3.0, ""),
    ("0", 2, "", "Loss_Epoch", 2.0, ""),
    ("1", 1, "", "Loss_Epoch", 4.0, ""),
]
SCORES = [
    ("", 0, 0, "Top1_Exp", 0.1, "cls"),
    ("0", 2, 0, "Top1_Exp", 0.5, "cls"),
    ("0", 2, 1, "mIoU_Exp", 0.1, "seg"),
    ("1", 3, 0, "Top1_Exp", 0.4, "cls"),
    ("1", 3, 0, "Top1_Forgetting_Exp", 0.1, "cls"),
    ("1", 3, 1, "mIoU_Exp", 0.3, "seg"),
]


def record_of(stages, learned=LEARNED):
    """The record of a run with these stages."""
    order = tuple(stage.title for stage in stages)
    return Record("naive", {}, 0, "mine", learned, order, tuple(stages))


@pytest.fixture
def metrics_csv(tmp_path):
    """Write rows of train_exp, epoch, eval_exp, metric, value and experience as the tidy logger does."""

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
    save_figure(loss_figure(metrics_csv(LOSS + SCORES), STAGES), tmp_path / "loss.png")
    assert_picture(tmp_path / "loss.png")
    (axes,) = drawn[0].axes
    lines = {line.get_label(): points(line) for line in axes.lines}
    assert lines["cls"] == [(1, 3.0), (2, 2.0)]
    assert lines["seg"] == [(3, 4.0)]


def test_each_metric_is_drawn_over_all_stages(tmp_path, metrics_csv, drawn):
    save_figure(metrics_figure(metrics_csv(LOSS + SCORES), record_of(STAGES)), tmp_path / "metrics.png")
    assert_picture(tmp_path / "metrics.png")
    first, second = drawn[0].axes
    assert (first.get_ylabel(), second.get_ylabel()) == ("Top1", "mIoU")
    assert curve(first) == [(0, 0.1), (2, 0.5), (5, 0.4)]
    assert curve(second) == [(2, 0.1), (5, 0.3)]


def test_the_baseline_and_the_limit_are_drawn_from_the_own_stage_on(tmp_path, metrics_csv, drawn):
    save_figure(metrics_figure(metrics_csv(SCORES), record_of(STAGES)), tmp_path / "metrics.png")
    first, _ = drawn[0].axes
    lines = {line.get_label(): points(line) for line in first.lines}
    assert lines["just learned"] == [(2, 0.5), (5, 0.5)]
    assert lines["5% worse"] == [(2, 0.475), (5, 0.475)]


def test_one_stage_is_a_plot(tmp_path, metrics_csv, drawn):
    path = metrics_csv([*LOSS[:2], *SCORES[:2]])
    save_figure(loss_figure(path, STAGES[:1]), tmp_path / "loss.png")
    save_figure(metrics_figure(path, record_of(STAGES[:1])), tmp_path / "metrics.png")
    assert_picture(tmp_path / "loss.png")
    assert_picture(tmp_path / "metrics.png")
    assert curve(drawn[1].axes[0]) == [(0, 0.1), (2, 0.5)]


def test_a_metric_that_was_never_measured_has_an_empty_plot(tmp_path, metrics_csv, drawn):
    stages = [Stage(("seg",), 2, 1.0, {"seg": {"mIoU": None}}), Stage(("cls",), 3, 1.0, {"cls": {"Top1": 0.4}})]
    save_figure(metrics_figure(metrics_csv([SCORES[3]]), record_of(stages)), tmp_path / "metrics.png")
    assert_picture(tmp_path / "metrics.png")
    first, second = drawn[0].axes
    assert curve(first) == []
    assert curve(second) == [(5, 0.4)]


def test_a_picture_that_cannot_be_written_is_an_output_error(tmp_path, metrics_csv):
    with pytest.raises(OutputError, match=r"loss\.png could not be written"):
        save_figure(loss_figure(metrics_csv(LOSS), STAGES), tmp_path / "missing" / "loss.png")


def test_values_below_zero_are_seen_and_their_limit_lies_below_them(tmp_path, metrics_csv, drawn):
    learned = (replace(LEARNED[0], metrics={"R2": True}), LEARNED[1])
    stages = [replace(stage, scores={"cls": {"R2": -0.5}, "seg": {"mIoU": 0.5}}) for stage in STAGES]
    rows = [("0", 2, 0, "R2_Exp", -0.5, "cls"), ("1", 3, 0, "R2_Exp", -0.5, "cls"), ("1", 3, 1, "mIoU_Exp", 0.5, "seg")]
    save_figure(metrics_figure(metrics_csv(rows), record_of(stages, learned)), tmp_path / "metrics.png")
    first, second = drawn[0].axes
    lines = {line.get_label(): points(line) for line in first.lines}
    assert lines["5% worse"] == [(2, -0.525), (5, -0.525)]
    assert first.get_ylim()[0] < -0.525
    assert second.get_ylim()[0] == 0


def test_ten_experiences_have_a_curve_each(tmp_path, metrics_csv, drawn):
    names = "abcdefghij"
    learned = tuple(replace(LEARNED[0], name=name, head=name) for name in names)
    stages = [Stage((name,), 1, 1.0, {name: {"Top1": 0.5}}) for name in names]
    rows = [(str(i), 1, i, "Top1_Exp", i / 16, name) for i, name in enumerate(names)]
    loss = [(str(i), 1, "", "Loss_Epoch", 1.0, "") for i in range(10)]
    path = metrics_csv(rows + loss)
    save_figure(loss_figure(path, stages), tmp_path / "loss.png")
    save_figure(metrics_figure(path, record_of(stages, learned)), tmp_path / "metrics.png")
    assert [curve(axes) for axes in drawn[1].axes] == [[(i + 1, i / 16)] for i in range(10)]
    assert [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()] == list(names)
    colours = [axes.lines[0].get_color() for axes in drawn[1].axes]
    assert all(one != other for one, other in pairwise(colours))


def test_two_experiences_of_one_kind_have_a_curve_each_and_the_limit_of_an_error_lies_above(
    tmp_path, metrics_csv, drawn
):
    learned = tuple(Learned(name, "own:Depth", name, (), {"AbsRel": False}, 8, 2) for name in ("near", "far"))
    scores = {"near": {"AbsRel": 0.5}, "far": {"AbsRel": 0.25}}
    stages = [Stage((name,), 1, 1.0, scores) for name in ("near", "far")]
    rows = [("0", 1, 0, "AbsRel_Exp", 0.5, "near"), ("0", 1, 1, "AbsRel_Exp", 0.25, "far")]
    save_figure(metrics_figure(metrics_csv(rows), record_of(stages, learned)), tmp_path / "metrics.png")
    first, second = drawn[0].axes
    assert (curve(first), curve(second)) == ([(1, 0.5)], [(1, 0.25)])
    lines = {line.get_label(): points(line) for line in first.lines}
    assert lines["5% worse"] == [(1, 0.525), (2, 0.525)]


def test_the_single_task_value_is_a_line_over_the_whole_stream(tmp_path, metrics_csv):
    record = replace(record_of(STAGES), single_task={"seg": {"mIoU": 0.45}})
    first, second = metrics_figure(metrics_csv(SCORES), record).axes
    lines = {line.get_label(): points(line) for line in second.lines}
    assert lines["single task"] == [(0, 0.45), (5, 0.45)]
    assert "single task" not in [line.get_label() for line in first.lines]
    assert [text.get_text() for text in second.get_legend().get_texts()] == ["single task"]
