import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from onehead_avl.command import run_command
from onehead_avl.errors import DataError, OutputError, TrainingError, UsageError, WeightsError


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


def test_avalanche_does_not_ask_for_packages_that_some_strategies_need():
    code = """
        import sys
        sys.modules |= dict.fromkeys(["higher", "quadprog"])  # as if they were not installed
        from onehead_avl.command import quiet_third_parties
        quiet_third_parties()
        import warnings, strategies.methods  # which imports all of Avalanche that tells of them
        warnings.warn("something else")
    """
    shown = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert shown.stdout == ""
    assert shown.stderr.splitlines()[0].endswith("UserWarning: something else")
