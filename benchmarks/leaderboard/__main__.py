"""Make the leaderboard: ``python -m benchmarks.leaderboard RESULTS [--jobs N]``.

Runs what is missing of the comparisons in ``runs.yaml``, each in a folder of its own below ``RESULTS``, and writes
``docs/leaderboard.csv``, the pictures, and the tables of all documents that have a place for one. A command that was
stopped goes on where it was; what was run with another program is refused, so that every row is of the same commit.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.leaderboard.listed import AGAIN, Table, read_list
from benchmarks.leaderboard.pictures import picture
from benchmarks.leaderboard.rows import Row, as_csv, rows_of
from benchmarks.leaderboard.tables import filled, places
from onehead_avl.command import run_command
from onehead_avl.errors import UsageError
from onehead_avl.report.comparison import Comparison
from onehead_avl.runs.identity import digest_of_code
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
    arguments = parser.parse_args()
    tables = read_list()
    names = [each.name for each in tables]
    if unknown := [name for name in arguments.only or () if name not in names]:
        raise UsageError(f"--only expects some of {', '.join(names)}, got {', '.join(unknown)}")
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
    for options in table.commands(results, jobs):
        status = subprocess.run([sys.executable, "-m", "onehead_avl.benchmark", *options], check=False).returncode
        if status not in (0, 1):
            sys.exit(status)


def write(tables: Sequence[Table], results: Path, commit: str, root: Path = ROOT) -> None:
    """Write the file, the pictures and all documents' tables.

    Args:
        tables: All there are.
        results: The folder that holds theirs.
        commit: The program that they were run with.
        root: The repository.

    Raises:
        UsageError: A table has no results, or some of another program.
    """
    rows: list[Row] = []
    for table in tables:
        comparison = _read(results / table.name)
        if comparison is None:
            raise UsageError(f"{results} expects the runs of {table.name}, found none; run it without --no-run")
        found = rows_of(table, comparison, _read(results / f"{table.name}{AGAIN}"), commit)
        picture(table, found).savefig(root / "docs" / f"leaderboard-{table.name}.webp", format="webp", dpi=110)
        rows += found
    write_text(root / CSV, as_csv(rows))
    for document in documents(root):
        text = document.read_text(encoding="utf-8")
        if places(text):
            write_text(document, filled(text, rows))


def documents(root: Path = ROOT) -> list[Path]:
    """All that may have a place for a table."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def _read(folder: Path) -> Comparison | None:
    """The comparison of all runs that have ended in a folder; ``None`` without any."""
    runs = runs_in(folder)
    now = digest_of_code()
    for place, run in runs.items():
        if run.record is not None and run.record.depends_on.get("the program") != now:
            raise UsageError(f"{place} was run with another program; remove it, or check out the commit of its row")
    return comparison_of(runs.values()) if runs else None


if __name__ == "__main__":
    sys.exit(run_command(main))
