import csv
import hashlib
import json
import math

import pytest
import torch
import torchvision
from PIL import Image

from onehead_avl.config import Config
from onehead_avl.errors import TrainingError
from onehead_avl.model.saved import load_model
from onehead_avl.report.results import SCORES
from onehead_avl.run import require_finite, scores_of
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
def joint(compared, train, tmp_path_factory):
    """A finished run of joint training; a comparison with the same configuration went before it."""
    folder = tmp_path_factory.mktemp("joint") / "run"
    answer = train(folder, "--strategy", "joint", "--epochs", "1", "2", "2")
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
    final = results(folder)["metrics"]["outcomes"]["mIoU"]["final"]
    (row,) = [line for line in answer.out.splitlines() if line.startswith("segmentation mIoU")]
    assert f" {final:.4f} " in row
    assert "replayed images a step" in answer.out
    assert f"written to {folder}\n" in answer.out


def test_the_intervals_are_of_every_metric(trained):
    found = results(trained[0])["intervals"]
    assert set(found) == {name for names in SCORES.values() for name in names}
    outcomes = results(trained[0])["metrics"]["outcomes"]
    for name, (low, high) in found.items():
        assert 0 <= low <= outcomes[name]["final"] <= high <= 1
    assert found["mIoU"][0] < found["mIoU"][1]


def test_the_costs_are_measured(trained):
    found = results(trained[0])
    assert found["stored_bytes"] == 4 * (3 * 64**2 + 4)  # four pictures and their weights in the reservoir
    assert found["peak_memory_bytes"] is None or found["peak_memory_bytes"] > 10 * 2**20
    assert found["options"] == {"replay": {}}


def test_the_checklist_says_what_the_strategy_keeps(trained, joint, compared):
    folders = (trained[0], joint, compared[0] / "naive_seg-det-cls_seed0")
    rules = [{rule["name"]: rule for rule in results(folder)["checklist"]} for folder in folders]
    assert [
        (rule["what the strategy keeps"]["measured"], rule["what the strategy keeps"]["passed"]) for rule in rules
    ] == [
        ("segmentation samples", True),
        ("samples of every task", False),
        ("nothing", True),
    ]


def test_joint_training_is_one_stage_of_all_tasks(joint):
    found = results(joint)
    (row,) = found["metrics"]["matrix"]
    assert row["after"] == "joint"
    assert set(found["seconds"]) == {"joint"}
    for name, outcome in found["metrics"]["outcomes"].items():
        assert outcome["just_learned"] == outcome["final"] == row[name] is not None
        assert outcome["forgetting"] is outcome["drop_from_just_learned"] is None
    assert set(found["intervals"]) == set(found["metrics"]["outcomes"])
    assert found["stored_bytes"] is None
    assert {rule["measured"] for rule in found["checklist"] if rule["name"] == "replayed images a step"} == {None}
    assert not [rule for rule in found["checklist"] if "drop" in rule["name"]]


def test_joint_training_sees_as_many_pictures_as_the_stages_together(joint):
    rows = table(joint / "training_results.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]  # the mean of 1, 2 and 2 epochs


def test_joint_training_learns_every_task_in_its_minibatches(joint):
    evaluated = table(joint / "eval_results.csv")
    assert [row["eval_exp"] for row in evaluated] == ["0", "1", "2"]
    assert {entry.name for entry in joint.iterdir()} == FILES


def test_from_scratch_reports_each_task_after_its_own_stage_alone(compared):
    found = results(compared[0] / "from-scratch_seg-det-cls_seed0")
    own = {row["after"]: row for row in found["metrics"]["matrix"]}
    for metric, outcome in found["metrics"]["outcomes"].items():
        assert outcome["just_learned"] == outcome["single_task"] == own[outcome["task"]][metric]
        assert outcome["forgetting"] is outcome["drop_from_just_learned"] is None
        assert (outcome["final"] is None) == (outcome["task"] != "cls")
    assert set(found["intervals"]) == {"Top1", "Top5"}  # of the others' models none is left
    assert not [
        rule for rule in found["checklist"] if "drop" in rule["name"] and rule["measured"] not in (None, "+0.0%")
    ]


def test_the_first_stage_of_from_scratch_is_that_of_any_other_strategy(compared):
    first = [
        results(compared[0] / f"{name}_seg-det-cls_seed0")["metrics"]["matrix"] for name in ("from-scratch", "naive")
    ]
    assert first[0][0] == first[1][0]
    assert first[0][1:] != first[1][1:]


def test_a_single_run_knows_the_single_task_values_of_a_comparison_before_it(compared, train, tmp_path):
    answer = train(tmp_path / "run", "--strategy", "naive", "--seeds", "1", "--set")
    assert answer.status == 2
    answer = train(tmp_path / "run", "--strategy", "naive", "--seeds", "1")
    assert answer.status == 0, answer.err
    alone = results(compared[0] / "from-scratch_seg-det-cls_seed1")["metrics"]["outcomes"]
    found = results(tmp_path / "run")["metrics"]["outcomes"]
    assert {name: each["single_task"] for name, each in found.items()} == {
        name: each["just_learned"] for name, each in alone.items()
    }
    assert results(tmp_path / "run")["metrics"] == results(compared[0] / "naive_seg-det-cls_seed1")["metrics"]


def test_weights_that_explode_are_one_sentence_and_status_1(train, tmp_path):
    answer = train(
        tmp_path / "run",
        *("--strategy", "ewc", "--set", "ewc.lambda=1e300", "--order", "seg", "cls"),
    )
    assert answer.status == 1
    assert "Traceback" not in answer.err + answer.out
    last = answer.err.strip().splitlines()[-1]
    assert last.startswith("error: expected a loss of at most 1e+06, found nan in iteration 1 of epoch 1 of stage 2, ")
    assert "from what the strategy adds to the loss of the tasks; lower" in last
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(value):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    require_finite(model, 1)
    with torch.no_grad():
        model[1].weight[0, 1] = value
    with pytest.raises(TrainingError, match=r"after 4 epochs, .* in 1 tensors, the first of them 1\.weight; lower"):
        require_finite(model, 4)


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


def test_the_same_seed_gives_the_same_run(trained, compared):
    first, again = trained[0], compared[0] / "replay_seg-det-cls_seed0"
    assert results(again)["seed"] == 0
    assert results(first)["metrics"]["matrix"] == results(again)["metrics"]["matrix"]
    assert results(first)["intervals"] == results(again)["intervals"]
    values = [[(row["metric"], row["value"]) for row in table(folder / "metrics.csv")] for folder in (first, again)]
    assert values[0] == values[1]
    weights = [load_model(folder / "model.safetensors").model.state_dict() for folder in (first, again)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_another_seed_gives_another_run(trained, compared):
    other = compared[0] / "replay_seg-det-cls_seed1"
    assert results(other)["seed"] == 1
    assert results(trained[0])["metrics"]["matrix"] != results(other)["metrics"]["matrix"]


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
    for name, replayed in (("naive", "0"), ("replay", "2")):
        folder = two_strategies / f"{name}_seg-cls_seed0"
        assert {entry.name for entry in folder.iterdir()} == FILES
        assert results(folder)["strategy"] == name
        assert json.loads((folder / "config.json").read_text())["strategy"] == [name]
        rules = {rule["name"]: rule["measured"] for rule in results(folder)["checklist"]}
        assert rules["replayed images a step"] == replayed


def test_strategies_of_one_seed_start_alike_and_part_when_one_replays(two_strategies):
    naive, replay = (
        results(two_strategies / f"{name}_seg-cls_seed0")["metrics"]["matrix"] for name in ("naive", "replay")
    )
    assert naive[0] == replay[0]
    losses = [
        [row["training_loss"] for row in table(two_strategies / f"{name}_seg-cls_seed0" / "training_results.csv")]
        for name in ("naive", "replay")
    ]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]


def test_tasks_that_were_not_learned_are_no_outcome(two_strategies):
    found = results(two_strategies / "naive_seg-cls_seed0")
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
    assert found["intervals"]["AP50"] is found["intervals"]["AP"] is None
    assert set(found["metrics"]["outcomes"]["AP50"].values()) == {"det", None}
    (rule,) = [rule for rule in found["checklist"] if rule["name"] == "AP50 drop from just learned"]
    assert (rule["measured"], rule["passed"]) == (None, None)
    assert {row["AP50"] for row in table(tmp_path / "run" / "eval_results.csv")} == {""}


def test_periodic_evaluation_fills_the_training_log(two_strategies):
    rows = table(two_strategies / "naive_seg-cls_seed0" / "training_results.csv")
    assert [(row["training_exp"], row["epoch"]) for row in rows] == [("0", "0"), ("0", "1"), ("1", "0")]
    matrix = results(two_strategies / "naive_seg-cls_seed0")["metrics"]["matrix"]
    assert [float(rows[1]["val_mIoU"]), float(rows[2]["val_mIoU"])] == [row["mIoU"] for row in matrix]
    assert all(row["val_mIoU"] and row["val_Top1"] and not row["val_AP"] for row in rows)


def test_pretrained_weights_keep_their_batch_statistics(two_strategies):
    model = load_model(two_strategies / "replay_seg-cls_seed0" / "model.safetensors").model
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
