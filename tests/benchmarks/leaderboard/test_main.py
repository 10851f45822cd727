import shutil

import pytest
from PIL import Image

from benchmarks.leaderboard import __main__ as command
from benchmarks.leaderboard.listed import Some, Table
from benchmarks.leaderboard.rows import from_csv
from benchmarks.leaderboard.tables import filled, places
from onehead_avl.errors import UsageError

TABLE = Table("small", "A small one", (), (Some(("naive", "replay"), (0, 1)),), (), {"replay": "memory"})


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
    with Image.open(root / "docs" / "leaderboard-small.webp") as picture:
        assert picture.format == "WEBP"
    for name in ("README.md", "docs/page.md"):
        text = (root / name).read_text()
        assert "| `naive` |" in text
        assert filled(text, rows) == text


def test_results_of_another_program_are_refused(root, results, monkeypatch):
    monkeypatch.setattr(command, "digest_of_code", lambda: "another")
    with pytest.raises(UsageError, match="was run with another program"):
        command.write([TABLE], results, "abc1234", root)
    assert not (root / "docs" / "leaderboard.csv").exists()


def test_a_table_without_results_is_refused(root, tmp_path):
    with pytest.raises(UsageError, match="expects the runs of small, found none"):
        command.write([TABLE], tmp_path / "nowhere", "abc1234", root)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("results", "--only", "other"), "--only expects some of embedded, split6, mini, got other"),
        (("results", "--no-run"), "expects the runs of embedded, found none"),
    ],
)
def test_what_cannot_be_done_is_said(invoke, monkeypatch, tmp_path, words, fragment):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "committed", lambda: "abc1234")
    answer = invoke(command.main, *words)
    assert (answer.status, answer.out) == (2, "")
    assert fragment in answer.err


def test_every_table_of_the_documents_is_what_the_file_says():
    file = command.ROOT / command.CSV
    rows = from_csv(file.read_text(encoding="utf-8")) if file.exists() else []
    for document in command.documents():
        text = document.read_text(encoding="utf-8")
        assert filled(text, rows) == text, f"{document}: {places(text)}"
