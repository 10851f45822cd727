import json
import signal
import time
from pathlib import Path

import pytest

from strategies.avalanche_classes import missing_package
from strategies.named import STRATEGIES


@pytest.fixture
def together(torchrun, shared_mini_root, tmp_path):
    """Start the smallest run of two processes."""
    tiny = ("--backbone-weights", "none", "--image-size", "64", "--epochs", "6", "--batch-size", "4", "--device", "cpu")
    tiny += ("--replay-batch", "2", "--replay-size", "4", "--data", shared_mini_root)
    return lambda name, *arguments: torchrun(
        "-m", "onehead_avl.benchmark", *tiny, "--output", tmp_path / name, *arguments
    )


def content_of(folder):
    """What a run learned and measured."""
    results = json.loads((folder / "results.json").read_text())
    return [stage["scores"] for stage in results["stages"]], (folder / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_each_method_that_says_so_learns_the_same_with_two_processes(torchrun):
    names = [name for name, method in STRATEGIES.items() if method.alike]
    names = [name for name in names if missing_package(name, STRATEGIES[name].needs) is None]
    process = torchrun(Path(__file__).with_name("learning_together.py"), *names)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    found = json.loads(out.splitlines()[-1])
    assert list(found) == names
    assert len(names) > 15
    assert {name for name, (away, equal) in found.items() if away > 1e-5 or not equal} == set()


@pytest.mark.slow
def test_a_run_that_is_stopped_goes_on_as_if_it_was_not_and_one_process_speaks(together, tmp_path):
    whole = together("whole")
    out, err = whole.communicate(timeout=300)
    assert whole.returncode == 0, err
    assert out.count(f"written to {tmp_path / 'whole'}") == 1
    assert err.count("loading torch and Avalanche") == 1
    results = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert results["environment"]["processes"] == 2
    assert results["weights_agree"] is True

    stopped = together("stopped")
    while not list((tmp_path / "stopped").glob("checkpoints/stage0*")):
        assert stopped.poll() is None, stopped.communicate()
        time.sleep(0.1)
    stopped.send_signal(signal.SIGTERM)
    _, err = stopped.communicate(timeout=300)
    assert err.count("error: stopped by SIGTERM; the same command with --resume continues") == 1
    assert not (tmp_path / "stopped" / "results.json").exists()

    continued = together("stopped", "--resume")
    _, err = continued.communicate(timeout=300)
    assert continued.returncode == 0, err
    assert content_of(tmp_path / "stopped") == content_of(tmp_path / "whole")


def test_what_is_wrong_is_said_once(together):
    process = together("run", "--strategy", "lamaml", "--replay-size", "0")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1  # of torchrun, whatever that of its processes is
    assert (out, err.count("error: "), err.count("stopped")) == ("", 1, 0)
    assert "several processes are not known to learn what one does with lamaml: torchrun expects some of naive" in err
