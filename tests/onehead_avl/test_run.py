import csv
import hashlib
import json
import math

import pytest
import torch
import torchvision
from PIL import Image

from onehead_avl.config import Config
from onehead_avl.model.saved import load_model
from onehead_avl.report.results import SCORES
from onehead_avl.run import scores_of
from onehead_avl.tasks import Task

FILES = {
    *("config.json", "results.json", "training_results.csv", "eval_results.csv", "metrics.csv", "log.txt"),
    *("model.safetensors", "plots"),
}


def results(folder):
    return json.loads((folder / "results.json").read_text())


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def two_seeds(train, tmp_path_factory):
    """A folder with a run of seed 1 and, after it, one of seed 0."""
    folder = tmp_path_factory.mktemp("seeds") / "runs"
    answer = train(folder, "--seeds", "1", "0")
    assert answer.status == 0, answer.err
    return folder


@pytest.fixture(scope="module")
def two_strategies(train, tmp_path_factory):
    """A folder with a run of two tasks, in another order, from weights in a file, for each of two strategies."""
    folder = tmp_path_factory.mktemp("strategies")
    torch.manual_seed(0)
    torch.save(torchvision.models.mobilenet_v3_small().state_dict(), folder / "start.pth")
    answer = train(
        folder / "runs",
        *("--strategy", "naive", "replay", "--order", "seg", "cls", "--epochs", "2", "1", "--eval-every", "1"),
        *("--backbone-weights", folder / "start.pth"),
    )
    assert answer.status == 0, answer.err
    return folder / "runs"


def test_the_folder_holds_everything_and_nothing_else(trained):
    folder, _ = trained
    assert {entry.name for entry in folder.iterdir()} == FILES
    for name in FILES - {"plots"}:
        assert (folder / name).stat().st_size > 0
    assert {entry.name for entry in (folder / "plots").iterdir()} == {"loss.png", "metrics.png"}
    for path in (folder / "plots").iterdir():
        with Image.open(path) as picture:
            picture.verify()
            assert picture.format == "PNG"


def test_the_configuration_is_what_was_used(trained, shared_mini_root):
    folder, _ = trained
    found = json.loads((folder / "config.json").read_text())
    used = Config(
        data=shared_mini_root,
        backbone_weights="none",
        seeds=(0,),
        epochs=(1, 1, 1),
        image_size=64,
        batch_size=4,
        replay_size=4,
        replay_batch=2,
        device="cpu",
        output=folder,
    )
    assert found == json.loads(json.dumps(used.as_dict()))


def test_the_results_say_what_was_run(trained):
    found = results(trained[0])
    assert (found["strategy"], found["seed"], found["order"]) == ("replay", 0, ["seg", "det", "cls"])
    assert [row["after"] for row in found["metrics"]["matrix"]] == ["seg", "det", "cls"]
    assert list(found["metrics"]["outcomes"]) == [name for names in SCORES.values() for name in names]
    assert set(found["seconds"]) == {"seg", "det", "cls"}
    assert all(value > 0 for value in found["seconds"].values())
    assert torch.__version__.startswith(found["environment"]["torch"])
    assert found["environment"]["device"] == "cpu"


def test_the_results_name_the_manifest_of_the_data(trained, train, mini_root, tmp_path):
    assert results(trained[0])["data"] == {"manifest_sha256": None}
    (mini_root / "manifest.json").write_bytes(b"a manifest")
    answer = train(tmp_path / "run", "--data", mini_root, "--order", "cls")
    assert answer.status == 0, answer.err
    digest = hashlib.sha256(b"a manifest").hexdigest()
    assert results(tmp_path / "run")["data"] == {"manifest_sha256": digest}


def test_all_metrics_are_measured_after_every_stage(trained):
    for row in results(trained[0])["metrics"]["matrix"]:
        values = [value for name, value in row.items() if name != "after"]
        assert len(values) == 5
        assert all(value is not None and 0 <= value <= 1 and math.isfinite(value) for value in values)


def test_the_checklist_counts_replayed_images_and_pictures(trained):
    rules = {rule["name"]: rule for rule in results(trained[0])["checklist"]}
    assert rules["replayed images a step"]["measured"] == "2"
    assert rules["train / val images a task"]["measured"] == "4 / 3"
    assert rules["detection classes"]["measured"] == "3"
    assert rules["detection classes"]["passed"] is False
    assert rules["parameters"]["passed"] is True
    assert "mIoU drop from just learned" in rules


def test_the_tables_are_printed(trained):
    folder, answer = trained
    assert "strategy replay, seed 0: seg -> det -> cls\n" in answer.out
    final = results(folder)["metrics"]["outcomes"]["mIoU"]["final"]
    (row,) = [line for line in answer.out.splitlines() if line.startswith("segmentation mIoU")]
    assert f" {final:.4f} " in row
    assert "replayed images a step" in answer.out
    assert f"written to {folder}\n" in answer.out


def test_forgetting_is_what_avalanche_measured(trained):
    folder, _ = trained
    last = {row["eval_exp"]: row for row in table(folder / "eval_results.csv") if row["training_exp"] == "2"}
    outcomes = results(folder)["metrics"]["outcomes"]
    for exp, task in enumerate(Task):
        for metric in SCORES[task]:
            forgetting = outcomes[metric]["forgetting"]
            cell = last[str(exp)][f"{metric}_forgetting"]
            if task is Task.CLS:
                assert (forgetting, cell) == (None, "")
            else:
                assert float(cell) == pytest.approx(forgetting, abs=1e-12)
                assert outcomes[metric]["backward_transfer"] == -forgetting
    assert abs(outcomes["mIoU"]["forgetting"]) > 1e-4


def test_the_matrix_is_what_the_csv_log_says(trained):
    folder, _ = trained
    matrix = results(folder)["metrics"]["matrix"]
    for row in table(folder / "eval_results.csv"):
        for metric in SCORES[Task(int(row["eval_exp"]))]:
            assert float(row[metric]) == matrix[int(row["training_exp"])][metric]


def test_the_same_seed_gives_the_same_run(trained, two_seeds):
    first, again = trained[0], two_seeds / "replay-seed0"
    assert results(again)["seed"] == 0
    assert results(first)["metrics"] == results(again)["metrics"]
    values = [[(row["metric"], row["value"]) for row in table(folder / "metrics.csv")] for folder in (first, again)]
    assert values[0] == values[1]
    weights = [load_model(folder / "model.safetensors").model.state_dict() for folder in (first, again)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_another_seed_gives_another_run(trained, two_seeds):
    other = two_seeds / "replay-seed1"
    assert results(other)["seed"] == 1
    assert results(trained[0])["metrics"] != results(other)["metrics"]


def test_the_text_log_is_avalanches(trained):
    text = (trained[0] / "log.txt").read_text()
    assert text.count("-- >> End of training phase << --") == 3
    assert text.count("-- Starting eval on experience") == 9
    assert "mIoU_Exp/eval_phase/test_stream/Task000/Exp000" in text


def test_the_weights_know_their_classes_and_size(trained):
    saved = load_model(trained[0] / "model.safetensors")
    assert saved.image_size == 64
    assert saved.classes[Task.DET] == ("person", "car", "dog")
    assert saved.classes[Task.CLS] == ("n01440764", "n02102040", "n03028079")
    assert len(saved.classes[Task.SEG]) == 21


def test_each_strategy_has_a_folder_of_its_own(two_strategies):
    assert {entry.name for entry in two_strategies.iterdir()} == {"naive-seed0", "replay-seed0"}
    for name, replayed in (("naive", "0"), ("replay", "2")):
        folder = two_strategies / f"{name}-seed0"
        assert {entry.name for entry in folder.iterdir()} == FILES
        assert results(folder)["strategy"] == name
        assert json.loads((folder / "config.json").read_text())["strategy"] == [name]
        rules = {rule["name"]: rule["measured"] for rule in results(folder)["checklist"]}
        assert rules["replayed images a step"] == replayed


def test_strategies_of_one_seed_start_alike_and_part_when_one_replays(two_strategies):
    naive, replay = (results(two_strategies / f"{name}-seed0")["metrics"]["matrix"] for name in ("naive", "replay"))
    assert naive[0] == replay[0]
    losses = [
        [row["training_loss"] for row in table(two_strategies / f"{name}-seed0" / "training_results.csv")]
        for name in ("naive", "replay")
    ]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]


def test_tasks_that_were_not_learned_are_no_outcome(two_strategies):
    found = results(two_strategies / "naive-seed0")
    assert list(found["metrics"]["outcomes"]) == ["mIoU", "Top1", "Top5"]
    assert all(row["AP50"] is None for row in found["metrics"]["matrix"])
    assert not [rule for rule in found["checklist"] if rule["name"].startswith("AP50")]


def test_what_cannot_be_measured_is_unknown_and_not_zero(train, mini_root, tmp_path):
    annotations = mini_root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json"
    annotations.write_text(json.dumps(json.loads(annotations.read_text()) | {"annotations": []}))
    answer = train(tmp_path / "run", "--data", mini_root, "--order", "det", "seg")
    assert answer.status == 0, answer.err
    found = results(tmp_path / "run")
    assert [row["AP50"] for row in found["metrics"]["matrix"]] == [None, None]
    assert set(found["metrics"]["outcomes"]["AP50"].values()) == {"det", None}
    (rule,) = [rule for rule in found["checklist"] if rule["name"] == "AP50 drop from just learned"]
    assert (rule["measured"], rule["passed"]) == (None, None)
    assert {row["AP50"] for row in table(tmp_path / "run" / "eval_results.csv")} == {""}


def test_periodic_evaluation_fills_the_training_log(two_strategies):
    rows = table(two_strategies / "naive-seed0" / "training_results.csv")
    assert [(row["training_exp"], row["epoch"]) for row in rows] == [("0", "0"), ("0", "1"), ("1", "0")]
    matrix = results(two_strategies / "naive-seed0")["metrics"]["matrix"]
    assert [float(rows[1]["val_mIoU"]), float(rows[2]["val_mIoU"])] == [row["mIoU"] for row in matrix]
    assert all(row["val_mIoU"] and row["val_Top1"] and not row["val_AP"] for row in rows)


def test_pretrained_weights_keep_their_batch_statistics(two_strategies):
    model = load_model(two_strategies / "replay-seed0" / "model.safetensors").model
    start = torch.load(two_strategies.parent / "start.pth", weights_only=True)
    kept = {name: value for name, value in model.backbone.state_dict().items() if name.endswith("running_var")}
    assert len(kept) > 10
    assert all(torch.equal(value, start[name]) for name, value in kept.items())
    assert any(
        not torch.equal(value, start[name])
        for name, value in model.backbone.state_dict().items()
        if name.endswith("weight")
    )


def test_scores_are_the_task_metrics_among_all_that_was_emitted():
    emitted = {
        "Loss_Epoch/train_phase/train_stream/Task000": 1.0,
        "mIoU_Exp/eval_phase/test_stream/Task000/Exp001": 0.25,
        "mIoU_ExperienceForgetting/eval_phase/test_stream/Task000/Exp001": 0.5,
        "AP50_Exp/eval_phase/test_stream/Task001/Exp000": 0.125,
        "Loss_Exp/eval_phase/test_stream/Task000/Exp001": 2.0,
    }
    assert scores_of(emitted) == {"mIoU": 0.25, "AP50": 0.125}
