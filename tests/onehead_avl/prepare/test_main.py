import subprocess
import sys
from pathlib import Path

import pytest

from onehead_avl.prepare.__main__ import main

CHECKOUT = Path(__file__).resolve().parents[3]


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=CHECKOUT)


def test_help_is_shown():
    done = python("-m", "onehead_avl.prepare", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m onehead_avl.prepare")


def test_nothing_slow_is_imported_to_understand_the_command_line():
    modules = "import sys, onehead_avl.prepare.__main__; print(*sys.modules)"
    loaded = set(python("-c", modules).stdout.split())
    assert "onehead_avl.prepare.options" in loaded
    assert not loaded & {"torch", "avalanche", "numpy", "PIL", "requests"}


def test_torch_is_not_imported_unless_a_folder_is_read():
    modules = "import sys, onehead_avl.prepare.build, onehead_avl.prepare.summary; print(*sys.modules)"
    loaded = set(python("-c", modules).stdout.split())
    assert "requests" in loaded
    assert not loaded & {"torch", "avalanche"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--train", "0"), "--train expects at least 1, got 0"),
        (("--train", "0", "--val", "-1"), "--train expects at least 1, got 0; --val expects at least 1, got -1"),
        (("--full", "--val", "3"), "--full does not go together with --val; leave one of them out"),
        (
            ("--categories", "Person", "kite"),
            "--categories expects names of COCO's 80 categories, got 'Person'; they are",
        ),
        (("--categories", "cat", "dog", "cat"), "--categories expects every name once, got cat, dog, cat"),
        (("--verify", "--import", "x"), "--verify does not go together with --import; leave one of them out"),
        (("--verify", "--seed", "3", "--keep-raw"), "--verify does not go together with --seed and --keep-raw;"),
        (("--import", "x", "--train", "3"), "--import does not go together with --train; leave one of them out"),
        (("--import", "x", "--source", "y"), "--import does not go together with --source"),
        (("--import", "nowhere"), "--import expects a folder, found none at nowhere"),
        (("--source", "nowhere"), "--source expects a folder or an http(s) address, found no folder at nowhere"),
        (("--source", "ftp://host"), "--source expects a folder or an http(s) address, found no folder at ftp://host"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_writes_nothing(invoke, tmp_path, arguments, problem):
    answer = invoke(main, "--root", tmp_path / "data", *arguments)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith(f"error: {problem}")
    assert len(answer.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--tasks", "depth"), ("--seed", "x"), ("--unknown",)])
def test_what_argparse_refuses_is_status_2(invoke, arguments):
    assert invoke(main, *arguments).status == 2


def test_a_root_that_cannot_be_made_is_one_sentence(invoke, tmp_path):
    (tmp_path / "file").touch()
    answer = invoke(main, "--root", tmp_path / "file", "--tasks", "cls")
    assert answer.status == 1
    assert answer.err == (
        f"error: {tmp_path / 'file' / '.prepare'}: Not a directory; check the path, its permissions and the disk\n"
    )
