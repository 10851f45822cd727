from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.leaderboard.listed import Some, Table, read_list
from onehead_avl.errors import UsageError
from onehead_avl.runs.config import Config
from strategies.named import STRATEGIES

TABLE = Table(
    "small", "A small one", ("--stream", "split6"),
    runs=(Some(("naive", "ewc"), (0, 1)), Some(("naive",), (2,))), again=(Some(("ewc",), (7,)),),
    families={"ewc": "penalty"},
)  # fmt: skip


def test_a_table_is_some_commands_and_others_with_other_seeds():
    first, second, again = TABLE.commands(Path("results"), jobs=2)
    common = ("--stream", "split6", "--strategy")
    assert first == (*common, "naive", "ewc", "--seeds", "0", "1", "--output", "results/small", "--jobs", "2")
    assert second == (*common, "naive", "--seeds", "2", "--output", "results/small", "--jobs", "2")
    assert again == (*common, "ewc", "--seeds", "7", "--output", "results/small-again", "--jobs", "2")
    assert "--jobs" not in TABLE.commands(Path("results"), jobs=1)[0]
    assert TABLE.commands(Path("results"), jobs=0)[0][-2:] == ("--jobs", "0")  # which the benchmark refuses


def test_a_row_has_a_command_and_a_family():
    command = "python -m onehead_avl.benchmark --stream split6 --strategy ewc --seeds 0 1"
    assert TABLE.command("ewc", ["seg-1", "det-1"], [0, 1]) == command
    assert (TABLE.family("ewc"), TABLE.family("naive")) == ("penalty", "")


def test_each_order_is_run_and_has_a_command():
    table = replace(TABLE, orders=True)
    assert table.commands(Path("results"), jobs=1)[0][:5] == ("--stream", "split6", "--order", "all", "--strategy")
    command = "python -m onehead_avl.benchmark --stream split6 --order det seg --strategy ewc --seeds 0"
    assert table.command("ewc", ["det", "seg"], [0]) == command


def test_all_that_is_listed_can_be_run():
    tables = read_list()
    assert [table.name for table in tables] == ["embedded", "split6", "mini", "orders"]
    for table in tables:
        for options in table.commands(Path("results"), jobs=2):
            config = Config.from_arguments(options)
            assert config.is_comparison
        named = {name for some in (*table.runs, *table.again) for name in some.strategies}
        assert {name for name in named if not table.family(name)} == set()
        first, again = ({seed for some in each for seed in some.seeds} for each in (table.runs, table.again))
        assert not first & again


def test_every_strategy_is_in_the_first_table():
    named = {name for some in read_list()[0].runs for name in some.strategies}
    assert set(STRATEGIES) - named == {"from-scratch"}  # which every comparison has


@pytest.mark.parametrize(
    "text", ["", "tables: {}", "families: {}\ntables: {a: {runs: [{seeds: [0]}], title: A}}", "a: ["]
)
def test_a_list_that_is_none_is_refused(tmp_path, text):
    file = tmp_path / "runs.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"expected a list of runs as runs\.yaml is one"):
        read_list(file)
