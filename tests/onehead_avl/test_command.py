import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from onehead_avl.command import run_command
from onehead_avl.errors import DataError, OutputError, TrainingError, UsageError, WeightsError

CHECKOUT = Path(__file__).resolve().parents[2]


def raising(error):
    def command():
        print("working")
        raise error

    return command


def test_success_is_status_0_and_silent(capsys):
    assert run_command(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status"), [(UsageError, 2), (DataError, 1), (WeightsError, 1), (OutputError, 1), (TrainingError, 1)]
)
def test_what_a_user_can_mend_is_one_line_on_stderr(capsys, error, status):
    assert run_command(raising(error("this is wrong; do that"))) == status
    assert capsys.readouterr() == ("working\n", "error: this is wrong; do that\n")


@pytest.mark.parametrize(("kind", "status"), [(UsageError, 2), (TrainingError, 1)])
def test_an_error_of_ones_own_code_is_a_sentence_first_and_then_its_traceback(capsys, kind, status):
    try:
        raise RuntimeError("on purpose")
    except RuntimeError as error:
        shown = error
    assert run_command(raising(kind("this is wrong; do that").showing(shown))) == status
    out, err = capsys.readouterr()
    first, second, *rest, last = err.splitlines()
    assert out == "working\n"
    assert first == "error: this is wrong; do that"
    assert second == "Traceback (most recent call last):"
    assert 'raise RuntimeError("on purpose")' in [line.strip() for line in rest]
    assert last == "RuntimeError: on purpose"
    assert kind.__name__ not in err  # our own error has no traceback


def test_an_operating_system_error_names_its_file_in_one_line(capsys, tmp_path):
    path = tmp_path / "missing"
    assert run_command(path.read_text) == 1
    assert capsys.readouterr().err == (
        f"error: {path}: No such file or directory; check the path, its permissions and the disk\n"
    )


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("No space left on device")])
def test_an_operating_system_error_without_a_file_is_one_line(capsys, error):
    assert run_command(raising(error)) == 1
    assert capsys.readouterr().err == ("error: No space left on device; check the path, its permissions and the disk\n")


def test_ctrl_c_is_status_130_without_a_traceback(capsys):
    assert run_command(raising(KeyboardInterrupt())) == 130
    err = capsys.readouterr().err
    assert err.strip() == "stopped: what was written so far is kept"
    assert err.startswith("\n")  # the terminal shows ^C


def test_sigterm_is_status_143_without_a_traceback(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert run_command(lambda: signal.raise_signal(signal.SIGTERM), stopped="ended") == 143
    assert capsys.readouterr().err.strip() == "ended"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 / 0)


# As if the packages that some strategies need were not installed.
WITHOUT = "import sys; sys.modules |= dict.fromkeys(['higher', 'quadprog'])"


def python(code, *arguments, **environment):
    """Run code in a process of its own; what it printed."""
    return subprocess.run(
        [sys.executable, "-c", dedent(code), *map(str, arguments)],
        capture_output=True, text=True, check=True, cwd=CHECKOUT, env=os.environ | environment,
    )  # fmt: skip


def test_avalanche_does_not_ask_for_packages_that_some_strategies_need():
    shown = python(f"""
        {WITHOUT}
        from onehead_avl.command import quiet_third_parties
        quiet_third_parties()
        import warnings, strategies.methods  # which imports all of Avalanche that tells of them
        warnings.warn("something else")
    """)
    assert shown.stdout == ""
    assert shown.stderr.splitlines()[0].endswith("UserWarning: something else")


def test_it_does_not_ask_in_processes_that_import_it_anew_either():
    shown = python(
        f"""
        import subprocess, sys
        from onehead_avl.command import quiet_third_parties
        quiet_third_parties()
        quiet_third_parties()
        code = "{WITHOUT}; import warnings, strategies.methods; warnings.warn('else'); warnings.warn('mine')"
        subprocess.run([sys.executable, "-c", code], check=True)
        import os
        print(os.environ["PYTHONWARNINGS"])
    """,
        PYTHONWARNINGS="ignore:mine",
    )
    noise = (
        "ignore:no QP solver found,ignore:higher not found,ignore:Avalanche is transitioning to strategy constructors"
    )
    assert shown.stdout == f"ignore:mine,{noise}\n"
    assert shown.stderr == "<string>:1: UserWarning: else\n"


def test_a_command_begins_with_its_own_lines_alone(tmp_path):
    shown = python(
        f"""
        {WITHOUT}
        import runpy
        runpy.run_module("onehead_avl.benchmark", run_name="__main__", alter_sys=True)
    """,
        "--check", "--output", tmp_path / "looked",
    )  # fmt: skip
    assert shown.stderr == "loading torch and Avalanche\n"
    assert shown.stdout.startswith("The embedded data set: drawn scenes")


def test_what_is_slow_to_import_is_announced_and_looked_at_for_garbage_once():
    shown = python("""
        import gc
        from onehead_avl.command import importing
        assert not gc.get_freeze_count()
        with importing("torch"):
            assert not gc.isenabled()
            import torch
        assert gc.isenabled()
        frozen = gc.get_freeze_count()
        assert frozen > 100_000
        with importing("torch"):
            import torchvision
        print(gc.get_freeze_count() <= frozen)
    """)
    assert shown.stdout == "True\n"
    assert shown.stderr == "loading torch\nloading torch\n"
