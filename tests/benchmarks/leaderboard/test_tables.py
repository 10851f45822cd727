from dataclasses import replace

import pytest

from benchmarks.leaderboard.rows import Row
from benchmarks.leaderboard.tables import filled, places, table
from onehead_avl.errors import UsageError

ROW = Row(
    table="small", strategy="naive", order="seg det", family="reference", metric="seg mIoU", primary=True, seeds=3,
    failed=0, learned=0.4, final=0.1, low=0.05, high=0.15, mark="<", reference="replay", share=0.5, share_low=0.4,
    share_high=0.6, forgotten=0.75, forgotten_low=0.5, forgotten_high=1.0, seconds=90.0, peak_bytes=3 * 2**20,
    stored_bytes=0.0, rules="kept", again=0.12, again_seeds=3, reproduced=True, commit="abc1234",
    command="python -m one --strategy naive --seeds 0", environment="torch 2", data="dd", digest="ff",
)  # fmt: skip
REPLAY = replace(
    ROW, strategy="replay", mark="", share=0.9, rules="drop", again=None, reproduced=None, learned=0.1,
    command="python -m one --strategy replay --seeds 0",
)  # fmt: skip
ALONE = replace(
    ROW, strategy="from-scratch", share=None, share_low=None, share_high=None, rules="", seeds=1, failed=2,
    command="python -m one --strategy from-scratch --seeds 0 1 2",
)  # fmt: skip
SECOND = replace(ROW, metric="seg other", primary=False)
ROWS = [ROW, SECOND, ALONE, REPLAY]
TEXT = "Before.\n\n<!-- leaderboard: small -->\nold\n<!-- /leaderboard -->\n\nAfter.\n"


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def lines(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_a_table_has_the_best_first_and_says_what_was_not_measured():
    header, _, *body = map(cells, lines(table("small", ROWS)))
    assert header[:5] == ["strategy", "family", "seeds", "seg mIoU", "of single task"]
    assert [row[0] for row in body] == ["`replay`", "`naive`", "`from-scratch`"]
    replay, naive, alone = (dict(zip(header, row, strict=True)) for row in body)
    assert naive["seg mIoU"] == "0.400 -> 0.100 (0.050 to 0.150) <"
    assert replay["seg mIoU"] == "0.100 (0.050 to 0.150)"
    assert (naive["of single task"], alone["of single task"]) == ("0.50 (0.40 to 0.60)", "-")
    assert (naive["reproduced"], replay["reproduced"]) == ("yes: 0.120", "-")
    assert (naive["rules"], replay["rules"], alone["rules"]) == ("yes", "no", "-")
    assert (naive["seeds"], alone["seeds"]) == ("3", "1 (2 failed)")
    assert [naive[name] for name in ("forgotten", "training", "memory", "keeps")] == [
        *("+75% (+50% to +100%)", "1.5 min", "3 MiB", "0.0 MiB"),
    ]


def test_some_strategies_stand_as_they_are_asked_for_and_without_details():
    header, _, *body = map(cells, lines(table("small naive replay", ROWS)))
    assert [row[0] for row in body] == ["`naive`", "`replay`"]
    assert header == ["strategy", "seeds", "seg mIoU", "of single task", "forgotten", "training", "rules"]


def test_each_order_has_a_row_of_its_own():
    command = "python -m one --order {} --strategy naive --seeds 0"
    rows = [
        replace(ROW, order=order, share=share, command=command.format(order))
        for order, share in (("seg det", 0.5), ("det seg", 0.7))
    ]
    text = table("small naive", rows)
    header, _, *body = map(cells, lines(text))
    assert header[:3] == ["strategy", "order", "seeds"]
    assert [row[:2] for row in body] == [["`naive`", "det seg"], ["`naive`", "seg det"]]
    assert text.splitlines()[-1].startswith("`python -m one --order ORDER --strategy STRATEGY --seeds 0`. ")


def test_a_column_of_which_nothing_was_measured_is_left_out():
    header, _, body = map(cells, lines(table("small", [REPLAY])))
    assert "reproduced" not in header
    assert (len(body), header[-5:]) == (len(header), ["forgotten", "training", "memory", "keeps", "rules"])


def test_a_table_says_what_runs_each_row():
    assert table("small replay naive", ROWS).splitlines()[-1] == (
        "`python -m one --strategy STRATEGY --seeds 0`. Commit abc1234."
    )
    rows = [*ROWS, replace(ROW, strategy="ewc", commit="def")]
    assert table("small", rows).splitlines()[-1] == (
        "`python -m one --strategy STRATEGY --seeds 0` (`replay`, `naive`); `python -m one --strategy naive --seeds 0` "
        "(`ewc`); `python -m one --strategy STRATEGY --seeds 0 1 2` (`from-scratch`). Commit abc1234, def; torch 2."
    )


def test_a_document_is_filled_and_the_same_again():
    once = filled(TEXT, ROWS)
    assert "old" not in once
    assert once.startswith("Before.\n\n<!-- leaderboard: small -->\n\n| strategy |")
    assert once.endswith(" torch 2.\n\n<!-- /leaderboard -->\n\nAfter.\n")
    assert filled(once, ROWS) == once
    assert places(once) == ["small"]


@pytest.mark.parametrize(("asked", "missing"), [("other", "other"), ("small naive ewc", "ewc")])
def test_a_place_for_what_is_not_there_is_refused(asked, missing):
    with pytest.raises(UsageError, match=f"a place for {asked} expects rows of {missing}, but there are none"):
        table(asked, ROWS)
