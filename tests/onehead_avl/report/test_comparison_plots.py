from dataclasses import replace

import pytest
from PIL import Image

from onehead_avl.errors import OutputError
from onehead_avl.evaluation.outcomes import Stage
from onehead_avl.evaluation.record import Learned
from onehead_avl.report.comparison import Run, compare
from onehead_avl.report.comparison_plots import plot_comparison

pytestmark = pytest.mark.usefixtures("no_warnings")

ALONE = {"seg": {"mIoU": 0.5}, "det": {"AP50": 0.25, "AP": 0.125}, "cls": {"Top1": 0.8, "Top5": None}}
ROWS = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.1, 0.15, 0.6))
NAMES = ["cost.png", "final.png", "forgetting.png", "plasticity_stability.png"]


def assert_pictures(folder):
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    for path in folder.iterdir():
        with Image.open(path) as picture:
            picture.verify()
            assert picture.format == "PNG"
            assert min(picture.size) > 150


def bars(axes):
    return {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in axes.patches}


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.fixture
def runs(finished):
    """Two seeds of naive and one of from-scratch."""
    higher = tuple(tuple(value + 0.1 for value in row) for row in ROWS)
    return [
        finished("from-scratch", 0, *ROWS),
        finished("naive", 0, *ROWS, single_task=ALONE),
        finished("naive", 1, *higher, single_task=ALONE),
    ]


def test_final_metrics_are_bars_with_intervals_over_seeds(tmp_path, drawn, runs):
    plot_comparison(tmp_path, compare(runs))
    assert_pictures(tmp_path)
    panels = drawn[0].axes
    assert labels(panels[0]) == ["from-scratch", "naive"]
    assert bars(panels[0]) == {0: 0.4, 1: pytest.approx(0.15)}
    assert bars(panels[1]) == {0: 0.2, 1: pytest.approx(0.2)}
    (interval,) = panels[0].lines  # a single seed has none
    half = 12.7062 * 0.05  # Student's t with one degree of freedom
    assert list(interval.get_xdata()) == pytest.approx([0.15 - half, 0.15 + half])
    assert set(interval.get_ydata()) == {1}


def test_forgetting_is_a_table_without_the_last_task(tmp_path, drawn, runs):
    plot_comparison(tmp_path, compare(runs))
    axes = drawn[1].axes[0]
    values = axes.images[0].get_array().filled(float("nan"))
    mean = (0.3 / 0.4 + 0.3 / 0.5) / 2
    assert values[1] == pytest.approx([mean, (0.05 / 0.2 + 0.05 / 0.3) / 2, float("nan")], nan_ok=True)
    assert [text.get_text() for text in axes.texts] == [f"{mean:+.0%}", "+21%"]
    assert labels(axes) == ["from-scratch", "naive"]


def test_plasticity_and_stability_are_a_point_a_strategy(tmp_path, drawn, finished):
    plot_comparison(tmp_path, compare([finished("naive", 0, *ROWS, single_task=ALONE), finished("lwf", 0, *ROWS)]))
    axes = drawn[2].axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in points] == [
        (pytest.approx(0.5), pytest.approx(0.775))
    ]
    assert [text.get_text() for text in axes.texts] == ["naive"]  # without single-task values lwf has no place


def test_costs_are_bars_where_they_were_measured(tmp_path, drawn, finished):
    known = finished("der", 0, *ROWS, stored_bytes=2 * 2**20)
    unknown = finished("joint", 0, ROWS[0], stored_bytes=None, peak_memory_bytes=None)
    plot_comparison(tmp_path, compare([known, unknown]))
    minutes, peak, kept = map(bars, drawn[3].axes)
    assert (minutes, peak, kept) == ({0: 3.0, 1: 1.0}, {0: 3.0}, {0: 2.0})


def test_failed_runs_are_left_out(tmp_path, drawn, runs, failed):
    plot_comparison(tmp_path, compare([failed("lwf", 0), *runs, failed("naive", 2)]))
    assert_pictures(tmp_path)
    assert all(labels(figure.axes[0]) == ["from-scratch", "naive"] for figure in (drawn[0], drawn[1], drawn[3]))


def test_if_all_failed_there_is_nothing_to_draw(tmp_path, failed):
    plot_comparison(tmp_path, compare([failed("naive", 0)]))
    assert list(tmp_path.iterdir()) == []


def test_one_task_is_drawn(tmp_path, drawn, finished):
    plot_comparison(tmp_path, compare([finished("naive", 0, ROWS[0], order=("seg",))]))
    assert_pictures(tmp_path)
    assert [bars(axes) for axes in drawn[0].axes] == [{0: 0.4}]


def test_what_was_never_measured_is_drawn_empty(tmp_path, drawn, finished):
    nothing = ((None, None, None),) * 3
    plot_comparison(tmp_path, compare([finished("naive", 0, *nothing, peak_memory_bytes=None, stored_bytes=None)]))
    assert_pictures(tmp_path)
    assert [bars(axes) for axes in drawn[0].axes] == [{}, {}, {}]


def test_six_experiences_have_a_panel_each_and_a_value_below_zero_is_seen(tmp_path, drawn, record):
    names = tuple("abcdef")
    learned = tuple(Learned(name, "own", name, (), {"R2": name != "f"}, 8, 2) for name in names)
    scores = {name: {"R2": position / 8 - 0.25} for position, name in enumerate(names)}
    stages = tuple(Stage((name,), 1, 1.0, scores) for name in names)
    made = record("naive", 0, *ROWS, experiences=learned, stages=stages)
    plot_comparison(tmp_path, compare([Run("naive", names, 0, replace(made, order=names, intervals={}))]))
    assert_pictures(tmp_path)
    assert [bars(axes) for axes in drawn[0].axes] == [{0: position / 8 - 0.25} for position in range(6)]
    assert drawn[0].axes[0].get_xlim()[0] < -0.25
    assert drawn[0].axes[5].get_xlim()[0] == 0
    assert drawn[0].axes[5].get_xlabel() == "R2 after the last stage (low is good)"
    assert len(drawn[1].axes[0].get_xticklabels()) == 6


def test_several_orders_are_named(tmp_path, drawn, finished):
    orders = [("seg", "det", "cls"), ("cls", "seg", "det")]
    plot_comparison(
        tmp_path, compare([finished("naive", 0, *ROWS, order=order, single_task=ALONE) for order in orders])
    )
    assert_pictures(tmp_path)
    expected = ["naive (seg det cls)", "naive (cls seg det)"]
    assert labels(drawn[0].axes[0]) == expected
    assert [text.get_text() for text in drawn[2].axes[0].texts] == expected


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path, runs):
    with pytest.raises(OutputError, match=r"final\.png could not be written"):
        plot_comparison(tmp_path / "missing", compare(runs))
