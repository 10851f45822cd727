import pytest

from onehead_avl.report.comparison import compare
from onehead_avl.report.page.verdict import verdict, verdict_of_comparison

ALONE = {"seg": {"mIoU": 0.5}, "det": {"AP50": 0.25, "AP": 0.125}, "cls": {"Top1": 0.8, "Top5": None}}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ((0.4, 0.2, 0.6), "Nothing was forgotten"),
        ((0.5, 0.3, 0.6), "Nothing was forgotten"),
        ((0.3992, 0.2, 0.6), "Next to nothing was forgotten: at most 0.2% of what was just learned (seg mIoU 0.400 to"),
        ((0.3, 0.02, 0.6), "Up to 90% of what was just learned was forgotten (det AP50 0.200 to 0.020)."),
    ],
)
def test_what_was_forgotten_most_is_said(record, last, said):
    assert verdict(record("naive", 0, (0.4, 0, 0.1), (0.4, 0.2, 0.1), last)).startswith(said)


def test_the_share_of_single_task_performance_is_said_where_it_is_known(record):
    rows = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.25, 0.125, 0.4))
    assert verdict(record("naive", 0, *rows, single_task=ALONE)).endswith(
        "On average the end reaches 50% of networks that learn one experience alone."
    )
    assert "alone" not in verdict(record("naive", 0, *rows))


def test_networks_of_their_own_forget_nothing_that_could_be_said(record):
    said = verdict(record("from-scratch", 0, (0.4, 0, 0.1), (0, 0.2, 0.1), (0, 0, 0.6)))
    assert (
        said
        == "Each experience was learned alone by a network of its own: seg mIoU 0.400, det AP50 0.200, cls Top1 0.600."
    )


def test_one_stage_has_nothing_to_forget(record):
    assert verdict(record("joint", 0, (0.4, 0.2, 0.6))) == (
        "Learned in one stage: seg mIoU 0.400, det AP50 0.200, cls Top1 0.600."
    )


def test_what_was_not_measured_is_not_said(record):
    assert verdict(record("naive", 0, (None, 0, 0), (0, None, 0), (0.1, 0.2, 0.3))) == (
        "What was forgotten could not be measured."
    )


def test_of_a_comparison_the_strategy_nearest_to_single_task_performance_is_named(finished):
    good = ((0.4, 0.0, 0.1), (0.5, 0.2, 0.1), (0.5, 0.25, 0.8))
    bad = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.25, 0.125, 0.4))
    runs = [
        finished(name, seed, *rows, single_task=ALONE)
        for name, rows in (("lwf", good), ("replay", bad))
        for seed in (0, 1)
    ]
    assert verdict_of_comparison(compare(runs)) == (
        "lwf ends with 100% of single-task performance, the most of 2; replay with 50%."
    )
    assert verdict_of_comparison(compare(runs[::2])).endswith("One seed only: differences may be noise.")
    assert "is not known" in verdict_of_comparison(compare([finished("naive", 0, *good)]))
