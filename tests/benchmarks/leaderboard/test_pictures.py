from dataclasses import replace

import pytest

from benchmarks.leaderboard.listed import Some, Table, read_list
from benchmarks.leaderboard.pictures import picture
from tests.benchmarks.leaderboard.test_tables import ROW, ROWS

FAMILIES = {"naive": "reference", "replay": "memory", "ewc": "penalty"}
TABLE = Table("small", "A small one", (), (Some(("naive", "replay"), (0,)),), (), FAMILIES)


def dots(shares):
    return [line for line in shares.lines if line.get_marker() == "o"]


def test_the_best_strategy_is_on_top_and_one_without_a_share_is_left_out():
    figure = picture(TABLE, ROWS)
    shares, losses = figure.axes
    assert figure.get_suptitle() == "A small one"
    assert [label.get_text() for label in shares.get_yticklabels()] == ["naive", "replay"]  # from below
    assert [dot.get_xdata()[0] for dot in dots(shares)] == [0.5, 0.9]
    assert [bar.get_width() for bar in losses.patches] == [pytest.approx(75), pytest.approx(75)]
    assert [list(line.get_xdata()) for line in losses.lines if len(set(line.get_ydata())) == 1] == [
        [50, 100],
        [50, 100],
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["reference"]


def test_several_orders_are_told_apart():
    shares, _ = picture(TABLE, [replace(ROW, order="det seg"), ROW]).axes
    assert [label.get_text() for label in shares.get_yticklabels()] == ["naive det seg", "naive seg det"]


def test_a_family_has_one_colour_in_all_pictures_and_no_other_family_has_it():
    (table, *_) = read_list()
    families = list(dict.fromkeys(table.families.values()))
    rows = [replace(ROW, strategy=family, family=family) for family in families]
    colours = {each[0].family: dots(picture(table, each).axes[0])[0].get_color() for each in ([row] for row in rows)}
    assert len(set(colours.values())) == len(families)
    together = dots(picture(table, rows).axes[0])
    assert {dot.get_color() for dot in together} == set(colours.values())
