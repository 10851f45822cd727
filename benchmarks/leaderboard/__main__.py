"""Make the leaderboard: ``python -m benchmarks.leaderboard RESULTS [--jobs N]``.

Runs what is missing of the comparisons in ``runs.yaml``, each in a folder of its own below ``RESULTS``, and writes
``docs/leaderboard.csv``, the pictures, and the tables of all documents that have a place for one. A command that was
stopped goes on where it was; what was run with another program is refused, so that every row is of the same commit.

``python -m benchmarks.leaderboard FOLDER --check`` says whether the folder that a row's command left, which anybody may
have run, holds the numbers of that row.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.leaderboard.listed import AGAIN, Table, read_list
from benchmarks.leaderboard.pictures import picture
from benchmarks.leaderboard.repeated import HEADER, as_cells, repeated, same
from benchmarks.leaderboard.rows import Row, as_csv, from_csv, rows_of
from benchmarks.leaderboard.tables import filled
from onehead_avl.command import run_command
from onehead_avl.errors import UsageError
from onehead_avl.report.comparison import Comparison
from onehead_avl.report.table import layout_table
from onehead_avl.runs.identity import digest_of_code
from onehead_avl.runs.plan import ended_run
from onehead_avl.runs.reporting import comparison_of, runs_in
from onehead_avl.system.files import write_text
from onehead_avl.system.sources import PROJECT

ROOT = Path(__file__).resolve().parents[2]
CSV = Path("docs", "leaderboard.csv")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaderboard", description=__doc__)
    parser.add_argument("results", type=Path, help="folder that holds the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--only", nargs="+", metavar="TABLE", help="run what these lack, and write nothing")
    one.add_argument("--no-run", action="store_true", help="write what is there")
    one.add_argument("--check", action="store_true", help="compare what a row's command left with the row")
    arguments = parser.parse_args()
    tables = read_list()
    names = [each.name for each in tables]
    if unknown := [name for name in arguments.only or () if name not in names]:
        raise UsageError(f"--only expects some of {', '.join(names)}, got {', '.join(unknown)}")
    if arguments.check:
        sys.exit(check(tables, arguments.results))
    commit = committed()
    for table in [] if arguments.no_run else tables:
        if arguments.only is None or table.name in arguments.only:
            _run(table, arguments.results, arguments.jobs)
    if arguments.only is None:
        write(tables, arguments.results, commit)


def committed() -> str:
    """The last commit that changed the program.

    Raises:
        UsageError: The program is not as it was committed.
    """
    changed = _git("status", "--porcelain", "--", *PROJECT)
    if changed:
        raise UsageError(f"expected a program as it was committed, because each row names its commit; found {changed}")
    return _git("log", "-1", "--format=%h", "--", *PROJECT)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"expected a clone of the project's repository at {ROOT}: {done.stderr.strip()}")
    return done.stdout.strip()


def _run(table: Table, results: Path, jobs: int) -> None:
    """Do what a table lacks; a strategy that fails is shown as that."""
    # Ctrl-C reaches the benchmark as well, which takes some time to stop where it can go on, and then says so.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        for options in table.commands(results, jobs):
            status = subprocess.run([sys.executable, "-m", "onehead_avl.benchmark", *options], check=False).returncode
            if status not in (0, 1):
                sys.exit(status)
    finally:
        signal.signal(signal.SIGINT, before)


def check(tables: Sequence[Table], folder: Path, root: Path = ROOT) -> int:
    """Print the rows that the runs of a folder are of, beside what these gave.

    Args:
        tables: All there are.
        folder: What the benchmark left, of one run or of several.
        root: The repository.

    Returns:
        0 if all numbers are the same, 1 if some are not.

    Raises:
        UsageError: No row is of what the folder holds.
    """
    comparison = _read(folder)
    rows = read_rows(root)
    pairs = [] if comparison is None else repeated(tables, rows, comparison)
    if not pairs:
        raise UsageError(
            f"{folder}: expected what the command of a row of {CSV} left, on the same data, found none; run one"
        )
    print(layout_table([HEADER, *map(as_cells, pairs)]))
    return 0 if all(map(same, pairs)) else 1


def read_rows(root: Path = ROOT) -> list[Row]:
    """The rows that were written; none if there is no file."""
    file = root / CSV
    return from_csv(file.read_text(encoding="utf-8")) if file.exists() else []


def write(tables: Sequence[Table], results: Path, commit: str, root: Path = ROOT) -> None:
    """Write the file, the pictures and all documents' tables.

    Args:
        tables: All there are.
        results: The folder that holds theirs.
        commit: The program that they were run with.
        root: The repository.

    Raises:
        UsageError: A table has no results, or some of another program, or a document asks for what is in no table;
            nothing is written then.
    """
    rows: list[Row] = []
    pictures = {}
    for table in tables:
        comparison = _read(results / table.name)
        if comparison is None:
            raise UsageError(f"{results} expects the runs of {table.name}, found none; run it without --no-run")
        found = rows_of(table, comparison, _read(results / f"{table.name}{AGAIN}"), commit)
        pictures[root / "docs" / f"leaderboard-{table.name}.webp"] = picture(table, found)
        rows += found
    file_text = as_csv(rows)
    read = from_csv(file_text)  # whose digits are fewer, so that a table never rounds what the file lacks
    texts = {document: filled(document.read_text(encoding="utf-8"), read) for document in documents(root)}
    for file, text in {root / CSV: file_text, **texts}.items():
        write_text(file, text)
    for file, figure in pictures.items():
        figure.savefig(file, format="webp", dpi=110)


def documents(root: Path = ROOT) -> list[Path]:
    """All that may have a place for a table."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def _read(folder: Path) -> Comparison | None:
    """The comparison of the run, or of all runs, that have ended in a folder; ``None`` without any."""
    alone = ended_run(folder)
    runs = runs_in(folder) if alone is None else {folder: alone}
    now = digest_of_code()
    for place, run in runs.items():
        if run.record is not None and run.record.depends_on.get("the program") != now:
            raise UsageError(f"{place} was run with another program; remove it, or check out the commit of its row")
    return comparison_of(runs.values()) if runs else None


if __name__ == "__main__":
    sys.exit(run_command(main))
