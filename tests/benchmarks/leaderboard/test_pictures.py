from dataclasses import replace

import pytest

from benchmarks.leaderboard.pictures import picture
from tests.benchmarks.leaderboard.test_tables import ROWS


def test_the_best_strategy_is_on_top_and_one_without_a_share_is_left_out():
    shares, losses = picture("A small one", ROWS).axes
    assert [label.get_text() for label in shares.get_yticklabels()] == ["naive", "replay"]  # from below
    assert [line.get_xdata()[0] for line in shares.lines if line.get_marker() == "o"] == [0.5, 0.9]
    assert [bar.get_width() for bar in losses.patches] == [pytest.approx(75), pytest.approx(75)]
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["reference"]


def test_several_orders_are_told_apart():
    shares, _ = picture("A small one", [replace(ROWS[0], order="det seg"), ROWS[0]]).axes
    assert [label.get_text() for label in shares.get_yticklabels()] == ["naive det seg", "naive seg det"]
