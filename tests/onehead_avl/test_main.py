"""The command of all commands, as the console and ``python -m`` start it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onehead_avl import __version__
from onehead_avl.__main__ import COMMANDS

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAMS = ("onehead-avl", "python -m onehead_avl")
SCRIPT = """
import sys
from onehead_avl.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """What starts the command: the script that an installation writes, and ``python -m``."""
    script = tmp_path_factory.mktemp("bin") / "onehead-avl"
    script.write_text(SCRIPT)
    return {"onehead-avl": (script,), "python -m onehead_avl": ("-m", "onehead_avl")}


@pytest.fixture(scope="module")
def call(calls):
    def call(program, *words, before=(), cwd=CHECKOUT):
        command = [sys.executable, *before, *calls[program], *words]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, env=environment)

    return call


def test_the_console_command_is_this_one():
    scripts = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.scripts]\n")[2]
    assert scripts.startswith('onehead-avl = "onehead_avl.__main__:main"\n\n')


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_lists_the_commands_a_line_each(call, program):
    done = call(program, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {program} [-h] [--version] COMMAND ...\n")
    for name, line in COMMANDS.items():
        assert f"  {name:9}  {line}\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 100


def test_nothing_slow_is_imported_for_help(call):
    done = call("onehead-avl", "--help", before=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "onehead_avl.command" in imported
    assert not imported & {"torch", "avalanche", "numpy", "yaml", "onehead_avl.benchmark"}


def test_the_version_is_told(call):
    done = call("onehead-avl", "--version")
    assert (done.returncode, done.stdout) == (0, f"onehead-avl {__version__}\n")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_knows_how_it_was_called(call, program, command):
    done = call(program, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {program} {command} [-h]")


@pytest.mark.parametrize(
    ("words", "found"), [((), "none"), (("bench",), "'bench'"), (("bench", "--help"), "'bench'"), (("-x",), "'-x'")]
)
def test_what_is_no_command_is_one_sentence_and_status_2(call, words, found):
    done = call("onehead-avl", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: expected a command, one of benchmark, prepare, evaluate, predict, export, report, "
        f"found {found}; onehead-avl --help tells of each\n"
    )


def test_options_and_status_are_those_of_the_command(call, tmp_path):
    wrong = call("onehead-avl", "prepare", "--root", tmp_path, "--val", 0)
    assert (wrong.returncode, wrong.stderr) == (2, "error: --val expects at least 1, got 0\n")
    unknown = call("onehead-avl", "export", "--nonsense")
    assert unknown.returncode == 2
    assert "\nonehead-avl export: error: " in unknown.stderr


def test_code_of_the_working_directory_is_found(call, tmp_path):
    (tmp_path / "mine.py").write_text("")
    done = call("onehead-avl", "benchmark", "--strategy", "mine:Absent", "--output", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 2
    assert f"expected 'Absent' in module 'mine' ({tmp_path / 'mine.py'}), found no such name" in done.stderr
