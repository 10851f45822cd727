from dataclasses import replace

import pytest

from onehead_avl.evaluation.outcomes import Stage
from onehead_avl.evaluation.record import Learned
from onehead_avl.report.comparison import Run, compare
from onehead_avl.report.comparison_table import (
    console,
    cost_rows,
    difference_rows,
    drop_rows,
    final_rows,
    markdown,
    notes,
)

ALONE = {"seg": {"mIoU": 0.5}, "det": {"AP50": 0.25, "AP": 0.125}, "cls": {"Top1": 0.8, "Top5": None}}
ROWS = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.1, 0.15, 0.6))
BETTER = ((0.4, 0.0, 0.1), (0.4, 0.2, 0.1), (0.3, 0.15, 0.5))

EXPERIENCE = Learned("a", "classification", "a", ("cat", "dog"), {"Top1": True, "Top5": True}, 8, 2)


def shifted(rows, by):
    return tuple(tuple(value + by for value in row) for row in rows)


def tables_of(text):
    """The tables in a Markdown text, as rows of cells."""
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    for lines in tables:
        assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    return [[[cell.strip() for cell in line[1:-1].split("|")] for line in lines] for lines in tables]


@pytest.fixture
def comparison(finished, failed):
    """Two strategies with two seeds, of which one failed in one, and a baseline of one seed."""
    return compare(
        [
            finished("from-scratch", 0, *ROWS),
            *(finished("naive", seed, *shifted(ROWS, 0.02 * seed), single_task=ALONE) for seed in range(2)),
            *(finished("replay", seed, *shifted(BETTER, 0.02 * seed), single_task=ALONE) for seed in range(2)),
            failed("replay", 2, reason="ValueError: a reason"),
        ]
    )


def test_final_values_with_spread_and_marks(comparison):
    assert final_rows(comparison) == [
        ["strategy", "seeds", "seg mIoU", "det AP50", "det AP", "cls Top1", "cls Top5", "of single task"],
        ["from-scratch", "1", "0.400", "0.200", "0.100", "0.600", "-", "-"],
        [
            "naive",
            "2",
            "0.110 +- 0.014 <",
            "0.160 +- 0.014",
            "0.080 +- 0.007",
            "0.610 +- 0.014 >",
            "-",
            "0.541 +- 0.034",
        ],
        [
            "replay",
            "2 of 3",
            "0.310 +- 0.014",
            "0.160 +- 0.014",
            "0.080 +- 0.007",
            "0.510 +- 0.014",
            "-",
            "0.632 +- 0.034",
        ],
    ]


def test_what_was_learned_and_lost_absolute_and_relative(finished):
    comparison = compare([finished("naive", 0, *ROWS, single_task=ALONE)])
    assert drop_rows(comparison) == [
        [
            "strategy",
            *(
                cell
                for name in ("seg mIoU", "det AP50", "cls Top1")
                for cell in (f"{name} learned", "drop", "relative", "to single")
            ),
        ],
        ["naive", "0.400", "+0.300", "+75%", "+80%", "0.200", "+0.050", "+25%", "+40%", "0.600", "-", "-", "+25%"],
    ]


def test_costs_in_units_for_people(finished, failed):
    comparison = compare(
        [
            finished("naive", 0, *ROWS),
            finished("joint", 0, ROWS[0], stored_bytes=None, peak_memory_bytes=None),
            failed("lwf", 0),
        ]
    )
    assert cost_rows(comparison) == [
        ["strategy", "training", "peak memory", "kept"],
        ["naive", "3.0 min", "3 MiB", "0.0 MiB"],
        ["joint", "1.0 min", "-", "-"],
        ["lwf", "-", "-", "-"],
    ]


def test_several_orders_have_a_column(finished):
    orders = [("seg", "det", "cls"), ("cls", "det", "seg")]
    comparison = compare([finished("naive", 0, *ROWS, order=order) for order in orders])
    for rows in (final_rows(comparison), drop_rows(comparison), cost_rows(comparison)):
        assert [row[:2] for row in rows] == [["strategy", "order"], ["naive", "seg det cls"], ["naive", "cls det seg"]]


def test_only_tasks_that_were_learned_have_columns(finished):
    comparison = compare([finished("naive", 0, ROWS[0], order=("det",))])
    assert final_rows(comparison)[0] == ["strategy", "seeds", "det AP50", "det AP", "of single task"]
    assert drop_rows(comparison)[0] == ["strategy", "det AP50 learned", "drop", "relative", "to single"]


def test_the_markdown_tables_have_as_many_cells_in_every_row(comparison):
    text = markdown(comparison)
    tables = tables_of(text)
    assert len(tables) == 3
    for head, rule, *body in tables:
        assert len({len(row) for row in (head, rule, *body)}) == 1
        assert rule == ["---"] + ["---:"] * (len(head) - 1)
        assert [row[0] for row in body] == ["from-scratch", "naive", "replay"]
        assert all(cell for row in body for cell in row)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Comparison of strategies",
        "## After the last stage",
        "## Just learned, and what was lost of it",
        "## Cost",
    ]
    assert text.endswith("\n")


def test_no_note_is_taken_for_markup(comparison):
    notes_in_markdown = markdown(comparison).split("\n\n")[-len(notes(comparison).split("\n\n")) :]
    assert notes_in_markdown[-1] == "replay, seed 2: failed: ValueError: a reason\n"
    assert not [line for line in notes_in_markdown if line.startswith((">", "#", "|", "- ", "* ", "    "))]


def test_the_notes_say_how_far_other_pictures_would_move_the_values(finished):
    row = (0.5, 0.5, 0.5)
    runs = [finished("naive", 0, row, row, row, intervals={"seg": {"mIoU": [0.25, 0.5]}, "det": {"AP50": None}})]
    runs.append(finished("naive", 1, row, row, row, intervals={"seg": {"mIoU": [0.5, 0.625]}}))
    assert "seg mIoU by 0.094 (half of" in notes(compare(runs))
    assert "AP50 by" not in notes(compare(runs))
    assert "images may move" not in notes(compare([finished("naive", 0, row, row, row, intervals={})]))


def test_the_notes_name_the_reference_and_every_failure(comparison):
    text = notes(comparison)
    assert "better and worse than replay" in text
    assert "replay, seed 2: failed: ValueError: a reason" in text
    assert text.count("failed") == 1


def test_the_console_shows_the_tables_aligned(comparison):
    final, drops, *rest = console(comparison).split("\n\n")
    for table in (final, drops):
        assert len({len(line) for line in table.splitlines()}) == 1
    assert "\n\n".join(rest) == notes(comparison)


def test_a_comparison_in_which_all_failed_is_shown(failed):
    comparison = compare([failed("naive", 0), failed("naive", 1)])
    (_, row) = final_rows(comparison)
    assert row == ["naive", "0 of 2", "-"]
    assert len(tables_of(markdown(comparison))) == 3
    assert "naive, seed 1: failed: it broke" in console(comparison)


def six(record, strategy, seed, final):
    """A run of six experiences, of which the last is measured by an error."""
    names = tuple("abcdef")
    learned = [replace(EXPERIENCE, name=name, head=name) for name in names[:-1]]
    learned.append(replace(EXPERIENCE, name="f", head="f", metrics={"AbsRel": False}))
    scores = {name: {"Top1": 0.5} for name in names[:-1]} | {"f": {"AbsRel": final}}
    stages = tuple(Stage((name,), 1, 1.0, scores) for name in names)
    made = record(strategy, seed, *ROWS, experiences=tuple(learned), stages=stages, intervals={})
    return Run(strategy, names, seed, replace(made, order=names))


def test_many_experiences_have_their_primary_metrics_and_an_error_is_better_when_it_is_lower(record):
    runs = [six(record, "replay", seed, 0.4 + 0.01 * seed) for seed in range(3)]
    runs += [six(record, "naive", seed, 0.3 + 0.01 * seed) for seed in range(3)]
    rows = final_rows(compare(runs))
    assert rows[0] == [
        *("strategy", "seeds", "a Top1", "b Top1", "c Top1", "d Top1", "e Top1", "f AbsRel", "of single task"),
    ]
    assert (rows[1][7], rows[2][7]) == ("0.410 +- 0.010", "0.310 +- 0.010 >")
    final, _ = console(compare(runs)).split("\n\n", 1)
    assert max(map(len, final.splitlines())) <= 160
    assert console(compare(runs)).count("strategy") == 1  # the table of losses would be too wide
    assert len(tables_of(markdown(compare(runs)))) == 3


def test_differences_to_the_reference_have_their_interval_and_mark(comparison):
    header, baseline, naive = difference_rows(comparison)
    assert header == ["strategy", "seg mIoU", "det AP50", "cls Top1"]
    assert baseline == ["from-scratch", "+0.100", "+0.050", "+0.100"]  # one seed is shared: no interval
    assert naive[0] == "naive"
    assert naive[1] == "-0.200 (-0.200 to -0.200) <"
    assert naive[2].startswith("+0.000 (")
    assert naive[3] == "+0.100 (+0.100 to +0.100) >"


def test_without_another_strategy_there_is_no_difference(finished):
    assert difference_rows(compare([finished("naive", 0, *ROWS)]))[1:] == []
