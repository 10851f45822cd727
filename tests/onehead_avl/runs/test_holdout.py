"""A part of the training images that is held out, and early stopping by it, as a run has them."""

import json

import pytest
from safetensors.torch import load_file

pytestmark = pytest.mark.usefixtures("few_drawn")


def results(folder):
    return json.loads((folder / "results.json").read_text())


def held_out(folder):
    """The logged values of held-out images: stage, epoch and metric."""
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return [(row[3], row[4], row[8], row[6]) for row in rows if row[6].endswith("_Holdout")]


def test_a_share_of_the_training_images_is_measured_after_every_epoch_and_not_learned(train_own, tmp_path):
    folder = tmp_path / "run"
    answer = train_own(folder, "--holdout", "0.3", "--epochs", "2", "--order", "seg", "cls", "--strategy", "naive")
    assert answer.status == 0, answer.err
    found = results(folder)
    counts = {each["name"]: (each["train"], each["held_out"]) for each in found["experiences"]}
    assert counts["seg"] == counts["cls"] == (7, 3)
    assert [row for row in held_out(folder) if row[3] == "mIoU_Holdout"] == [
        ("0", "1", "seg", "mIoU_Holdout"),
        ("0", "2", "seg", "mIoU_Holdout"),
    ]
    assert [row[:3] for row in held_out(folder) if row[3] == "Top1_Holdout"] == [("1", "1", "cls"), ("1", "2", "cls")]


def test_early_stopping_ends_a_stage_and_goes_back_to_its_best_epoch(train_own, tmp_path):
    folder = tmp_path / "run"
    # A step of size zero improves nothing.
    answer = train_own(
        folder,
        *("--holdout", "0.3", "--early-stopping", "2", "--epochs", "6", "--order", "seg", "cls"),
        *("--strategy", "naive", "--set", "optimisation.lr=0", "optimisation.backbone_lr=0"),
    )
    assert answer.status == 0, answer.err
    stages = results(folder)["stages"]
    assert [(stage["epochs"], stage["best_epoch"]) for stage in stages] == [(3, 1), (3, 1)]
    assert "note: seg ends after epoch 3 of 6: its held-out mIoU was best after epoch 1" in answer.err
    rows = (folder / "training_results.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [
        ["0", "0"],
        ["0", "1"],
        ["0", "2"],
        ["1", "0"],
        ["1", "1"],
        ["1", "2"],
    ]
    assert all(rows[last].split(",")[6] for last in (2, 5))  # the stage's evaluation is in the row of its last epoch


def test_without_patience_the_last_epoch_counts(train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--holdout", "0.3", "--epochs", "2", "--order", "seg")
    assert answer.status == 0, answer.err
    (stage,) = results(tmp_path / "run")["stages"]
    assert (stage["epochs"], stage["best_epoch"]) == (2, None)


def test_what_is_held_out_is_drawn_by_the_seed_and_the_same_for_every_strategy(train_own, tmp_path):
    options = ("--holdout", "0.5", "--order", "seg")
    for name, more in (("a", ("--strategy", "naive")), ("b", ("--strategy", "ewc")), ("c", ("--seeds", "1"))):
        assert train_own(tmp_path / name, *options, *more).status == 0
    weights = [load_file(tmp_path / name / "model.safetensors") for name in "abc"]
    assert all(weights[0][name].equal(value) for name, value in weights[1].items())
    assert not all(weights[0][name].equal(value) for name, value in weights[2].items())


def test_joint_training_has_no_experience_to_stop_by(train_own, tmp_path):
    path = "avalanche.training.supervised:JointTraining"
    answer = train_own(tmp_path / "run", "--holdout", "0.5", "--early-stopping", "1", "--strategy", path)
    assert answer.status == 2
    assert f"--early-stopping goes by the one experience of a stage, but {path} learns all at once" in answer.err
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("strategy", ["joint", "cumulative", "avalanche.training.supervised:JointTraining"])
def test_minibatches_that_cannot_hold_an_image_of_each_experience_are_refused(strategy, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--strategy", strategy, "--batch-size", "2")
    assert answer.status == 2
    assert "so --batch-size expects at least 3, got 2" in answer.err
