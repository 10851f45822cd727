import json
import sys
from functools import partial

import pytest
import torch

from benchmarks import crossvalidation
from benchmarks.folds import folded
from onehead_avl.command import run_command
from onehead_avl.evaluation.record import Record
from onehead_avl.model.saved import load_model

TINY = ("--backbone-weights", "none", "--image-size", "64", "--epochs", "1", "--batch-size", "4", "--replay-batch", "2")


@pytest.fixture
def validate(monkeypatch, capsys, shared_mini_root):
    """Call the program; its runs are done in this process, which spares them the imports."""

    def validate(*words):
        monkeypatch.setattr(sys, "argv", ["crossvalidation", *map(str, words)])
        status = run_command(crossvalidation.main)
        return status, *capsys.readouterr()

    done = []

    def here(folder, run):
        done.append(run)
        crossvalidation._place(folder, *run).mkdir(exist_ok=True)
        crossvalidation._run(crossvalidation._config(folder), folder, *run)
        return 0

    monkeypatch.setattr(crossvalidation, "_process", here)
    monkeypatch.setattr(crossvalidation, "FOLDS", 2)
    monkeypatch.setattr(crossvalidation, "folded", partial(folded, folds=2))
    validate.done = done
    validate.options = ("--", "--data", shared_mini_root, *TINY)
    return validate


def test_each_fold_is_learned_once_and_recipes_are_compared_on_all_images(validate, tmp_path, monkeypatch):
    for name, strategy in (("a", "naive"), ("b", "from-scratch")):
        status, out, err = validate(tmp_path / name, *validate.options, "--order", "det", "cls", "--strategy", strategy)
        assert status == 0, err
        assert sorted(validate.done) == [(0, fold) for fold in range(2)]
        validate.done.clear()
        assert "det after its stage AP50" in out
        assert ("det at the end AP50" in out) == (strategy == "naive")  # no network from scratch has learned all

    folds = [json.loads(file.read_text()) for file in sorted((tmp_path / "a").glob("seed0_fold*/results.json"))]
    sizes = [{each["name"]: (each["train"], each["val"]) for each in fold["experiences"]}["cls"] for fold in folds]
    assert sizes[0] == sizes[1][::-1]
    # Pooled by hand: Top-1 of all images is the mean of the folds', weighted by their images.
    scores = [fold["stages"][-1]["scores"]["cls"]["Top1"] for fold in folds]
    right = sum(score * val for score, (_, val) in zip(scores, sizes, strict=True))

    place = tmp_path / "a" / "seed0_fold1"
    networks = {moment: network for moment, _, network in crossvalidation._networks(place)}
    assert list(networks) == ["det after its stage", "cls after its stage", "det at the end", "cls at the end"]
    for moment, file in zip(networks, ["stages/1_det", "stages/2_cls", "model", "model"], strict=True):
        expected = load_model(place / f"{file}.safetensors").model.state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in networks[moment].state_dict().items())
    weights = [networks[moment].last.weight for moment in ("det after its stage", "det at the end")]
    assert not torch.equal(*weights)

    status, out, err = validate(tmp_path / "a", *validate.options, "--order", "det", "cls", "--strategy", "naive")
    assert status == 0, err
    assert validate.done == []
    shown = next(line for line in out.splitlines() if line.startswith("cls at the end Top1"))
    assert float(shown.split()[5]) == pytest.approx(right / sum(sizes[0]), abs=1e-4)

    monkeypatch.setattr("onehead_avl.runs.identity.digest_of_code", lambda: "another program")
    status, _, err = validate(tmp_path / "a", *validate.options, "--order", "det", "cls", "--strategy", "naive")
    assert status == 2
    assert "holds results of before the program changed; choose another folder" in err

    status, out, err = validate(tmp_path / "a", tmp_path / "b")
    assert status == 0, err
    rows = [line.split() for line in out.split("against")[1].splitlines() if line.startswith("det")]
    # The first experience is learned in the same way by both.
    assert rows == [["det", "after", "its", "stage", value, "0.0000", "-"] for value in ("AP", "AP50", "loss")]


def test_a_folder_is_of_one_recipe(validate, tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "recipe.json").write_text('["--strategy", "naive"]')
    status, _, err = validate(folder, "--", "--strategy", "replay")
    assert status == 2
    assert "is of other options, --strategy naive" in err
    assert validate.done == []


def test_wrong_options_are_refused_before_anything_is_written(validate, tmp_path):
    status, _, err = validate(tmp_path / "a", "--", "--strategy", "replays")
    assert status == 2
    assert "unknown strategy 'replays'" in err
    assert not (tmp_path / "a").exists()


def test_runs_that_fail_are_named_with_their_logs_and_nothing_is_shown(validate, tmp_path, monkeypatch):
    monkeypatch.setattr(crossvalidation, "_process", lambda folder, run: int(run == (0, 1)))
    status, out, err = validate(tmp_path / "a", *validate.options, "--strategy", "naive")
    assert (status, out) == (1, "")
    assert err.endswith(f"1 runs failed; the reasons stand in {tmp_path / 'a' / 'seed0_fold1'}.log\n")


def test_folders_of_other_data_are_not_compared(validate, tmp_path):
    for name, data in (("a", "some"), ("b", "others")):
        place = tmp_path / name / "seed0_fold0"
        place.mkdir(parents=True)
        (tmp_path / name / "recipe.json").write_text('["--strategy", "naive"]')
        (place / "results.json").write_text(
            json.dumps(Record("naive", {}, 0, "mine", (), (), (), depends_on={"the data": data}).as_json())
        )
    status, _, err = validate(tmp_path / "a", tmp_path / "b")
    assert status == 2
    assert f"{tmp_path / 'b'} is of other data than {tmp_path / 'a'}" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a",), "found no recipe.json"),
        (("a", "--jobs", "0"), "--jobs expects at least 1, got 0"),
        (("a", "--", "--strategy", "naive", "replay"), "expected one strategy"),
        (("a", "--", "--strategy", "ewc", "--set", "ewc.lambda=1,2"), "one value of each hyper-parameter"),
        (("a", "--", "--order", "all"), "one order"),
        (("a", "b", "--", "--strategy", "naive"), "expected one folder before the options"),
    ],
)
def test_what_cannot_be_done_is_refused(validate, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    status, _, err = validate(*words)
    assert status == 2
    assert said in err
