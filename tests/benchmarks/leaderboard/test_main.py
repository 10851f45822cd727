import re
import shutil
import signal
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from benchmarks.leaderboard import __main__ as command
from benchmarks.leaderboard.listed import Some, Table, read_list
from benchmarks.leaderboard.rows import from_csv
from benchmarks.leaderboard.tables import filled, places
from onehead_avl.errors import UsageError

FAMILIES = {"naive": "reference", "replay": "memory"}
TABLE = Table("small", "A small one", (), (Some(("naive", "replay"), (0, 1)),), (), FAMILIES)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/page.md"):
        (tmp_path / name).write_text("Text.\n\n<!-- leaderboard: small naive -->\n<!-- /leaderboard -->\n")
    return tmp_path


@pytest.fixture
def results(compared, tmp_path):
    shutil.copytree(compared[0], tmp_path / "results" / "small")
    return tmp_path / "results"


def test_results_become_a_file_pictures_and_tables(root, results):
    command.write([TABLE], results, "abc1234", root)
    rows = from_csv((root / "docs" / "leaderboard.csv").read_text())
    assert list(dict.fromkeys(row.strategy for row in rows)) == ["from-scratch", "naive", "replay"]
    assert {row.seeds for row in rows} == {2}
    assert {row.commit for row in rows} == {"abc1234"}
    (data,) = {row.data for row in rows}
    assert re.fullmatch("[0-9a-f]{16}", data)
    with Image.open(root / "docs" / "leaderboard-small.webp") as picture:
        assert picture.format == "WEBP"
    for name in ("README.md", "docs/page.md"):
        text = (root / name).read_text()
        assert "| `naive` |" in text
        assert filled(text, rows) == text


def test_tables_round_what_the_file_has(root, results, monkeypatch):
    def rows_of(*arguments):
        return [replace(row, low=0.37549996) for row in of_runs(*arguments)]

    of_runs = command.rows_of
    monkeypatch.setattr(command, "rows_of", rows_of)
    command.write([TABLE], results, "abc1234", root)
    assert ",0.3755," in (root / "docs" / "leaderboard.csv").read_text()
    assert "(0.376 to " in (root / "README.md").read_text()


def test_runs_with_other_seeds_fill_what_is_reproduced(root, results):
    shutil.copytree(results / "small" / "naive_seg-det-cls_seed1", results / "small-again" / "naive_seg-det-cls_seed1")
    command.write([TABLE], results, "abc1234", root)
    rows = from_csv((root / "docs" / "leaderboard.csv").read_text())
    assert {row.strategy: row.again_seeds for row in rows} == {"from-scratch": 0, "naive": 1, "replay": 0}


def test_results_of_another_program_are_refused(root, results, monkeypatch):
    monkeypatch.setattr(command, "digest_of_code", lambda: "another")
    with pytest.raises(UsageError, match="was run with another program"):
        command.write([TABLE], results, "abc1234", root)
    assert not (root / "docs" / "leaderboard.csv").exists()


def test_nothing_is_written_if_a_document_asks_for_what_is_not_there(root, results):
    page = root / "docs" / "page.md"
    page.write_text(page.read_text().replace("naive", "ewc"))
    with pytest.raises(UsageError, match="a place for small ewc expects rows of ewc"):
        command.write([TABLE], results, "abc1234", root)
    assert [file.name for file in (root / "docs").iterdir()] == ["page.md"]
    assert "| `naive` |" not in (root / "README.md").read_text()


def test_a_table_without_results_is_refused(root, tmp_path):
    with pytest.raises(UsageError, match="expects the runs of small, found none"):
        command.write([TABLE], tmp_path / "nowhere", "abc1234", root)


def test_what_was_done_again_is_compared_with_its_row(root, results, capsys):
    command.write([TABLE], results, "abc1234", root)
    assert command.check([TABLE], results / "small", root) == 0
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["table", "strategy", "order", "metric", "leaderboard", "here", "same"]
    assert len(lines) == 15
    assert {line.split()[-1] for line in lines} == {"yes"}
    file = root / command.CSV
    (digest,) = {row.digest for row in from_csv(file.read_text()) if row.strategy == "naive"}
    file.write_text(file.read_text().replace(digest, "another"))
    assert command.check([TABLE], results / "small", root) == 1
    said = {line.split()[1]: line.split()[-1] for line in capsys.readouterr().out.splitlines()[2:]}
    assert said == {"from-scratch": "yes", "naive": "no", "replay": "yes"}


def test_one_run_alone_is_compared_too(root, results, capsys):
    for name in ("naive_seg-det-cls_seed1", "replay_seg-det-cls_seed0", "replay_seg-det-cls_seed1"):
        shutil.rmtree(results / "small" / name)
    command.write([TABLE], results, "abc1234", root)
    assert command.check([TABLE], results / "small" / "naive_seg-det-cls_seed0", root) == 0
    assert capsys.readouterr().out.count("naive") == 5


@pytest.mark.parametrize("other", [replace(TABLE, options=("--stream", "split6")), replace(TABLE, name="other")])
def test_what_no_row_is_of_is_refused(root, results, other, tmp_path):
    command.write([TABLE], results, "abc1234", root)
    for folder in (results / "small", tmp_path):
        with pytest.raises(UsageError, match=r"expected what the command of a row of docs/leaderboard\.csv left"):
            command.check([other], folder, root)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("results", "--only", "other"), "--only expects some of embedded, split6, mini, orders, got other"),
        (("results", "--no-run"), "expects the runs of embedded, found none"),
        (("results", "--no-run", "--only", "mini"), "not allowed with argument"),
        (("results", "--check"), "results: expected what the command of a row of docs/leaderboard.csv left"),
    ],
)
def test_what_cannot_be_done_is_said(invoke, monkeypatch, tmp_path, words, fragment):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "committed", lambda: "abc1234")
    answer = invoke(command.main, *words)
    assert (answer.status, answer.out) == (2, "")
    assert fragment in answer.err


def test_the_commit_is_the_last_one_of_the_program_and_the_program_is_as_committed(tmp_path, monkeypatch):
    def git(*words):
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(command, "ROOT", tmp_path)
    with pytest.raises(UsageError, match="expected a clone of the project's repository"):
        command.committed()
    for package in command.PROJECT:
        (tmp_path / package).mkdir()
        (tmp_path / package / "code.py").write_text("1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "the program")
    first = command.committed()
    (tmp_path / "README.md").write_text("Text.\n")
    git("add", ".")
    git("commit", "-m", "a text")
    assert command.committed() == first
    (tmp_path / "strategies" / "code.py").write_text("2\n")
    with pytest.raises(UsageError, match=r"as it was committed.*strategies/code\.py"):
        command.committed()


@pytest.mark.parametrize(("statuses", "ended"), [((0, 1, 0), None), ((0, 130), 130), ((2,), 2)])
def test_a_table_is_run_to_its_end_unless_it_is_stopped_or_refused(monkeypatch, tmp_path, statuses, ended):
    left, asked = list(statuses), []

    def run(words, check):
        asked.append(words[3:])
        return SimpleNamespace(returncode=left.pop(0))

    monkeypatch.setattr(command.subprocess, "run", run)
    three = replace(TABLE, runs=TABLE.runs * 2, again=TABLE.runs)
    if ended is None:
        command._run(three, tmp_path, 2)
    else:
        with pytest.raises(SystemExit) as left_with:
            command._run(three, tmp_path, 2)
        assert left_with.value.code == ended
    assert asked == [list(each) for each in three.commands(tmp_path, 2)][: len(statuses)]


def test_after_ctrl_c_the_benchmark_stops_by_itself(monkeypatch, tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def run(words, check):
        signal.raise_signal(signal.SIGINT)
        return SimpleNamespace(returncode=130)

    monkeypatch.setattr(command.subprocess, "run", run)
    with pytest.raises(SystemExit) as left_with:
        command._run(TABLE, tmp_path, 2)
    assert left_with.value.code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_the_file_is_of_one_program_and_of_what_is_listed_and_every_table_of_it_stands_somewhere():
    rows = command.read_rows()
    listed = {table.name: {name for some in table.runs for name in some.strategies} for table in read_list()}
    assert {row.table for row in rows} == set(listed)
    assert all(row.strategy in listed[row.table] | {"from-scratch"} for row in rows)
    (_,) = {row.commit for row in rows}
    asked = [place.split()[0] for document in command.documents() for place in places(document.read_text("utf-8"))]
    assert set(asked) == set(listed)


def test_every_table_of_the_documents_is_what_the_file_says():
    rows = command.read_rows()
    for document in command.documents():
        text = document.read_text(encoding="utf-8")
        assert filled(text, rows) == text, f"{document}: {places(text)}"
