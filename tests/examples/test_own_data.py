import json
import subprocess
import sys
from pathlib import Path

import pytest

from onehead_avl.benchmark import main
from onehead_avl.evaluate import main as evaluate

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--backbone-weights", "none", "--image-size", "32", "--batch-size", "8", "--epochs", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folders that the script writes."""
    folder = tmp_path_factory.mktemp("own") / "data"
    script = ROOT / "examples" / "own_data.py"
    subprocess.run([sys.executable, script, folder], check=True, cwd=ROOT, capture_output=True)
    return folder


def test_the_commands_of_the_page_run(invoke, folder, tmp_path):
    stream = ("--stream", folder / "stream.yaml")
    looked = invoke(main, *stream, "--check", "--output", tmp_path / "look")
    assert looked.status == 0, looked.err
    assert [len(list((tmp_path / "look" / name).iterdir())) for name in ("outlines", "things", "portraits")] == [10] * 3
    trained = invoke(main, *stream, *TINY, "--output", tmp_path / "run")
    assert trained.status == 0, trained.err
    again = invoke(main, *stream, *TINY, "--output", tmp_path / "run", "--resume")
    assert "holds a finished run: there is nothing to continue" in again.out
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [each["classes"] for each in results["experiences"]] == [
        ["background", "round", "edged"],
        ["round", "edged"],
        ["edged", "round"],
    ]
    scored = invoke(evaluate, "--weights", tmp_path / "run" / "model.safetensors", *stream)
    assert scored.status == 0, scored.err
    for name, metric in (("outlines", "mIoU"), ("things", "AP50"), ("portraits", "Top1")):
        (row,) = [line for line in scored.out.splitlines() if line.startswith(f"{name} {metric}")]
        assert f"{results['outcomes'][name][metric]['final']:.6f}" in row


def test_the_description_that_a_run_keeps_is_read_again(invoke, folder, tmp_path):
    first = invoke(
        main, "--stream", folder / "stream.yaml", *TINY, "--output", tmp_path / "run", "--order", "portraits"
    )
    assert first.status == 0, first.err
    kept = ("--stream", tmp_path / "run" / "stream.yaml", *TINY, "--order", "portraits")
    second = invoke(main, *kept, "--output", tmp_path / "again")
    assert second.status == 0, second.err
    scores = [
        [stage["scores"] for stage in json.loads((tmp_path / name / "results.json").read_text())["stages"]]
        for name in ("run", "again")
    ]
    assert scores[0] == scores[1]
