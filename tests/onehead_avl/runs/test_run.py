import csv
import hashlib
import json
import math

import pytest
import torch
import torchvision
from PIL import Image

from onehead_avl.evaluation.record import Record
from onehead_avl.model.saved import load_model
from onehead_avl.runs.config import Config
from onehead_avl.runs.summary import _keeps
from scenarios.description import read_description
from strategies.named import parts_of

FILES = {
    *("config.json", "stream.yaml", "results.json", "training_results.csv", "eval_results.csv", "metrics.csv"),
    *("per_class.csv", "tables.txt", "log.txt", "model.safetensors", "MODEL_CARD.md", "plots"),
    *("details.json", "shown.npz", "report.html"),
}
METRICS = {"seg": ["mIoU"], "det": ["AP50", "AP"], "cls": ["Top1", "Top5"]}


def results(folder):
    return json.loads((folder / "results.json").read_text())


def scores(folder):
    """The values after each stage."""
    return [stage["scores"] for stage in results(folder)["stages"]]


def values_of(outcomes, quantity):
    """A quantity of every metric of every experience."""
    return {
        (name, metric): outcome[quantity] for name, metrics in outcomes.items() for metric, outcome in metrics.items()
    }


def rules_of(folder):
    return {rule["name"]: rule for rule in results(folder)["checklist"]}


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
    """A folder with a run of two experiences, in another order, from weights in a file, for each of two strategies."""
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
        order=("seg", "det", "cls"),
        epochs=(1, 1, 1),
        image_size=64,
        batch_size=4,
        replay_size=4,
        replay_batch=2,
        device="cpu",
        output=folder,
    )
    assert found == json.loads(json.dumps(used.as_dict()))


def test_the_stream_is_described_with_the_folder_that_the_images_were_in(trained, shared_mini_root):
    description = read_description(str(trained[0] / "stream.yaml"))
    assert [(each.name, each.kind, each.source.path) for each in description.experiences] == [
        ("seg", "segmentation", shared_mini_root / "mini_voc_seg"),
        ("det", "detection", shared_mini_root / "mini_coco_det"),
        ("cls", "classification", shared_mini_root / "imagenette_160"),
    ]


def test_the_results_say_what_was_run(trained):
    found = results(trained[0])
    assert (found["strategy"], found["seed"], found["order"]) == ("replay", 0, ["seg", "det", "cls"])
    assert (found["version"], found["stream"], found["separate"]) == (4, "challenge", False)
    assert [(each["experiences"], each["epochs"]) for each in found["stages"]] == [
        ([name], 1) for name in ("seg", "det", "cls")
    ]
    assert {name: list(metrics) for name, metrics in found["outcomes"].items()} == METRICS
    assert all(stage["seconds"] > 0 for stage in found["stages"])
    assert [
        (each["name"], each["kind"], each["head"], each["train"], each["val"]) for each in found["experiences"]
    ] == [
        ("seg", "segmentation", "seg", 4, 2),
        ("det", "detection", "det", 4, 2),
        ("cls", "classification", "cls", 4, 3),
    ]
    assert [len(each["classes"]) for each in found["experiences"]] == [21, 3, 3]
    assert {each["name"]: list(each["metrics"]) for each in found["experiences"]} == METRICS
    assert all(all(each["metrics"].values()) for each in found["experiences"])
    assert torch.__version__.startswith(found["environment"]["torch"])
    assert found["environment"]["device"] == "cpu"


def test_the_results_are_read_as_they_were_written(trained):
    found = results(trained[0])
    assert json.loads(json.dumps(Record.from_json(found, "results.json").as_json())) == found


def test_the_results_name_the_manifest_of_the_data(trained, train, mini_root, tmp_path):
    assert results(trained[0])["manifest_sha256"] is None
    (mini_root / "manifest.json").write_bytes(b"a manifest")
    answer = train(tmp_path / "run", "--data", mini_root, "--order", "cls")
    assert answer.status == 0, answer.err
    digest = hashlib.sha256(b"a manifest").hexdigest()
    assert results(tmp_path / "run")["manifest_sha256"] == digest


def test_all_metrics_are_measured_before_training_and_after_every_stage(trained):
    rows = [results(trained[0])["untrained"], *scores(trained[0])]
    assert len(rows) == 4
    for row in rows:
        assert {name: set(values) for name, values in row.items()} == {name: set(of) for name, of in METRICS.items()}
        values = [value for metrics in row.values() for value in metrics.values()]
        assert all(value is not None and 0 <= value <= 1 and math.isfinite(value) for value in values)


def test_the_values_of_single_classes_are_those_behind_the_metric(trained):
    folder, _ = trained
    rows = table(folder / "per_class.csv")
    final = [row for row in rows if row["stage"] == "cls"]
    assert len(rows) == 3 * len(final)
    for name, metric, of in (("seg", "IoU", "mIoU"), ("det", "AP", "AP")):
        values = [
            float(row["value"])
            for row in final
            if (row["experience"], row["metric"]) == (name, metric) and row["value"]
        ]
        assert sum(values) / len(values) == pytest.approx(scores(folder)[-1][name][of], abs=1e-6)
    classes = {row["class"] for row in final if row["experience"] == "det"}
    assert classes == {"person", "car", "dog"}


def test_the_checklist_counts_replayed_images_and_pictures(trained):
    rules = rules_of(trained[0])
    assert rules["replayed images a step"]["measured"] == "2"
    assert rules["train / val images a task"]["measured"] == "4 / 3"
    assert rules["detection classes"]["measured"] == "3"
    assert rules["detection classes"]["passed"] is False
    assert rules["parameters"]["passed"] is True
    assert "mIoU drop from just learned" in rules


def test_the_tables_are_printed(trained):
    folder, answer = trained
    found = results(folder)
    (row,) = [line for line in answer.out.splitlines() if line.startswith("seg mIoU")]
    for value in (found["outcomes"]["seg"]["mIoU"]["final"], found["untrained"]["seg"]["mIoU"]):
        assert f" {value:.4f} " in row
    assert "replayed images a step" in answer.out
    assert f"written to {folder}\n" in answer.out


def test_the_intervals_are_of_every_metric(trained):
    found = results(trained[0])["intervals"]
    assert {name: list(intervals) for name, intervals in found.items()} == METRICS
    for (name, metric), final in values_of(results(trained[0])["outcomes"], "final").items():
        if final in (0, 1):  # equal images say nothing of others
            assert found[name][metric] is None
        else:
            low, high = found[name][metric]
            assert 0 <= low < final < high <= 1
    assert found["seg"]["mIoU"][0] < found["seg"]["mIoU"][1]


def test_the_costs_are_measured(trained):
    found = results(trained[0])
    assert found["stored_bytes"] == 4 * (3 * 64**2 + 4)  # four pictures and their weights in the reservoir
    assert found["peak_memory_bytes"] is None or found["peak_memory_bytes"] > 10 * 2**20
    assert found["options"] == {"replay": {}}


def test_the_checklist_says_what_the_strategy_keeps(trained, joint, compared):
    folders = (trained[0], joint, compared[0] / "naive_seg-det-cls_seed0")
    rules = [rules_of(folder) for folder in folders]
    assert [
        (rule["what the strategy keeps"]["measured"], rule["what the strategy keeps"]["passed"]) for rule in rules
    ] == [
        ("segmentation samples", True),
        ("samples of every task", False),
        ("nothing", True),
    ]


def test_joint_training_is_one_stage_of_all_experiences(joint):
    found = results(joint)
    (stage,) = found["stages"]
    assert (stage["experiences"], stage["epochs"]) == (["seg", "det", "cls"], 2)
    assert {name: list(metrics) for name, metrics in found["outcomes"].items()} == METRICS
    for name, metrics in found["outcomes"].items():
        for metric, outcome in metrics.items():
            assert outcome["just_learned"] == outcome["final"] == stage["scores"][name][metric] is not None
            assert outcome["forgetting"] is outcome["drop_from_just_learned"] is outcome["forward_transfer"] is None
    assert {name: list(intervals) for name, intervals in found["intervals"].items()} == METRICS
    assert found["stored_bytes"] is None
    assert rules_of(joint)["replayed images a step"]["measured"] is None
    assert not [name for name in rules_of(joint) if "drop" in name]


def test_joint_training_sees_as_many_pictures_as_the_stages_together(joint):
    rows = table(joint / "training_results.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]  # the mean of 1, 2 and 2 epochs


def test_joint_training_learns_every_experience_in_its_minibatches(joint):
    evaluated = table(joint / "eval_results.csv")
    assert [row["eval_exp"] for row in evaluated] == ["0", "1", "2"] * 2
    assert [row["experience"] for row in evaluated] == ["seg", "det", "cls"] * 2
    assert {row["training_exp"] for row in evaluated[:3]} == {""}  # before training
    assert "" not in {row["training_exp"] for row in evaluated[3:]}
    assert {entry.name for entry in joint.iterdir()} == FILES


def test_from_scratch_reports_each_experience_after_its_own_stage_alone(compared):
    folder = compared[0] / "from-scratch_seg-det-cls_seed0"
    found = results(folder)
    assert found["separate"] is True
    for position, name in enumerate(("seg", "det", "cls")):
        for metric, outcome in found["outcomes"][name].items():
            own = scores(folder)[position][name][metric]
            assert outcome["just_learned"] == outcome["single_task"] == own is not None
            assert outcome["forgetting"] is outcome["drop_from_just_learned"] is outcome["forward_transfer"] is None
            assert (outcome["final"] is None) == (name != "cls")
    # Of the others' models none is left.
    assert {name: list(intervals) for name, intervals in found["intervals"].items()} == {"cls": METRICS["cls"]}
    assert not [
        rule
        for rule in found["checklist"]
        if "drop" in rule["name"] and rule["measured"] not in (None, "+0.0%", "-0.0%")
    ]


def test_the_first_stage_of_from_scratch_is_that_of_any_other_strategy(compared):
    first = [scores(compared[0] / f"{name}_seg-det-cls_seed0") for name in ("from-scratch", "naive")]
    assert first[0][0] == first[1][0]
    assert first[0][1:] != first[1][1:]


def test_all_strategies_start_from_the_same_untrained_network(compared):
    untrained = [
        results(compared[0] / f"{name}_seg-det-cls_seed0")["untrained"] for name in ("from-scratch", "naive", "replay")
    ]
    assert untrained[0] == untrained[1] == untrained[2]
    assert untrained[0] != results(compared[0] / "naive_seg-det-cls_seed1")["untrained"]


def test_a_single_run_knows_the_single_task_values_of_a_comparison_before_it(compared, train, tmp_path):
    answer = train(tmp_path / "run", "--strategy", "naive", "--seeds", "1", "--set")
    assert answer.status == 2
    answer = train(tmp_path / "run", "--strategy", "naive", "--seeds", "1")
    assert answer.status == 0, answer.err
    alone = results(compared[0] / "from-scratch_seg-det-cls_seed1")["outcomes"]
    found, in_comparison = results(tmp_path / "run"), results(compared[0] / "naive_seg-det-cls_seed1")
    assert values_of(found["outcomes"], "single_task") == values_of(alone, "just_learned")
    assert found["share_of_single_task"] == in_comparison["share_of_single_task"]
    assert (found["outcomes"], found["untrained"]) == (in_comparison["outcomes"], in_comparison["untrained"])
    assert scores(tmp_path / "run") == scores(compared[0] / "naive_seg-det-cls_seed1")


def test_the_share_of_single_task_performance_is_a_mean_over_primary_metrics(compared):
    found = results(compared[0] / "naive_seg-det-cls_seed0")
    primary = {name: found["outcomes"][name][metrics[0]] for name, metrics in METRICS.items()}
    shares = found["share_of_single_task"]
    assert len(shares["after"]) == 3
    assert shares["after"][0] == pytest.approx(1)  # the first experience was learned alone
    if all(outcome["single_task"] for outcome in primary.values()):
        ratios = [outcome["final"] / outcome["single_task"] for outcome in primary.values()]
        assert shares["final"] == shares["after"][-1] == pytest.approx(sum(ratios) / 3)
        assert shares["course"] == pytest.approx(sum(shares["after"]) / 3)
    else:  # a value of zero is no reference
        assert shares["final"] is shares["course"] is None


def test_weights_that_explode_are_one_sentence_and_status_1(train, tmp_path):
    answer = train(
        tmp_path / "run",
        *("--strategy", "ewc", "--set", "ewc.lambda=1e300", "--order", "seg", "cls"),
    )
    assert answer.status == 1
    assert "Traceback" not in answer.err + answer.out
    last = answer.err.strip().splitlines()[-1]
    assert last.startswith("error: expected a loss of at most 1e+06, found nan in iteration 1 of epoch 1 of stage 2, ")
    assert "from what the strategy adds to the loss of the experiences; lower" in last
    assert not (tmp_path / "run" / "results.json").exists()


def test_forgetting_is_what_avalanche_measured(trained):
    folder, _ = trained
    last = {row["experience"]: row for row in table(folder / "eval_results.csv") if row["training_exp"] == "2"}
    outcomes = results(folder)["outcomes"]
    for name, metrics in METRICS.items():
        for metric in metrics:
            forgetting = outcomes[name][metric]["forgetting"]
            cell = last[name][f"{metric}_forgetting"]
            if name == "cls":
                assert (forgetting, cell) == (None, "")
            else:
                assert float(cell) == pytest.approx(forgetting, abs=1e-12)
                assert outcomes[name][metric]["backward_transfer"] == -forgetting
    assert abs(outcomes["seg"]["mIoU"]["forgetting"]) > 1e-4


def test_the_scores_are_what_the_csv_log_says(trained):
    folder, _ = trained
    rows = table(folder / "eval_results.csv")
    assert [(row["training_exp"], row["experience"]) for row in rows] == [
        (stage, name) for stage in ("", "0", "1", "2") for name in METRICS
    ]
    for row in rows:
        of = scores(folder)[int(row["training_exp"])] if row["training_exp"] else results(folder)["untrained"]
        for metric in METRICS[row["experience"]]:
            assert float(row[metric]) == of[row["experience"]][metric]
        others = {metric for name, metrics in METRICS.items() if name != row["experience"] for metric in metrics}
        assert {row[metric] for metric in others} == {""}


def test_forward_transfer_is_the_gain_over_the_untrained_row_of_the_csv_log(trained):
    folder, _ = trained
    rows = {(row["training_exp"], row["experience"]): row for row in table(folder / "eval_results.csv")}
    outcomes = results(folder)["outcomes"]
    assert outcomes["seg"]["mIoU"]["forward_transfer"] is None
    for name, before in (("det", "0"), ("cls", "1")):
        for metric in METRICS[name]:
            gain = float(rows[before, name][metric]) - float(rows["", name][metric])
            assert outcomes[name][metric]["forward_transfer"] == pytest.approx(gain, abs=1e-12)


def test_the_same_seed_gives_the_same_run(trained, compared):
    first, again = trained[0], compared[0] / "replay_seg-det-cls_seed0"
    assert results(again)["seed"] == 0
    assert scores(first) == scores(again)
    assert results(first)["untrained"] == results(again)["untrained"]
    assert results(first)["intervals"] == results(again)["intervals"]
    values = [[(row["metric"], row["value"]) for row in table(folder / "metrics.csv")] for folder in (first, again)]
    assert values[0] == values[1]
    weights = [load_model(folder / "model.safetensors").model.state_dict() for folder in (first, again)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_another_seed_gives_another_run(trained, compared):
    other = compared[0] / "replay_seg-det-cls_seed1"
    assert results(other)["seed"] == 1
    assert scores(trained[0]) != scores(other)


def test_the_text_log_is_avalanches(trained):
    text = (trained[0] / "log.txt").read_text()
    assert text.count("-- >> End of training phase << --") == 3
    assert text.count("-- Starting eval on experience") == 12
    assert "mIoU_Exp/eval_phase/test_stream/Task000/Exp000" in text


def test_the_weights_know_their_classes_and_size(trained):
    saved = load_model(trained[0] / "model.safetensors")
    assert (saved.image_size, saved.stream) == (64, "challenge")
    layout = saved.model.layout
    assert layout.names == ("seg", "det", "cls")
    seg, det, cls = layout.parts
    assert det.classes == ("person", "car", "dog")
    assert cls.classes == ("n01440764", "n02102040", "n03028079")
    assert len(seg.classes) == 21


def test_each_strategy_has_a_folder_of_its_own(two_strategies):
    for name, replayed in (("naive", "0"), ("replay", "2")):
        folder = two_strategies / f"{name}_seg-cls_seed0"
        assert {entry.name for entry in folder.iterdir()} == FILES
        assert results(folder)["strategy"] == name
        assert json.loads((folder / "config.json").read_text())["strategy"] == [name]
        assert rules_of(folder)["replayed images a step"]["measured"] == replayed


def test_strategies_of_one_seed_start_alike_and_part_when_one_replays(two_strategies):
    naive, replay = (scores(two_strategies / f"{name}_seg-cls_seed0") for name in ("naive", "replay"))
    assert naive[0] == replay[0]
    losses = [
        [row["training_loss"] for row in table(two_strategies / f"{name}_seg-cls_seed0" / "training_results.csv")]
        for name in ("naive", "replay")
    ]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]


def test_experiences_that_were_not_learned_are_no_outcome(two_strategies):
    found = results(two_strategies / "naive_seg-cls_seed0")
    assert {name: list(metrics) for name, metrics in found["outcomes"].items()} == {
        name: METRICS[name] for name in ("seg", "cls")
    }
    assert all(
        list(row) == ["seg", "cls"] for row in [found["untrained"], *scores(two_strategies / "naive_seg-cls_seed0")]
    )
    assert [each["name"] for each in found["experiences"]] == ["seg", "det", "cls"]
    assert not [rule for rule in found["checklist"] if rule["name"].startswith("AP50")]


def test_what_cannot_be_measured_is_unknown_and_not_zero(train, mini_root, tmp_path):
    annotations = mini_root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json"
    annotations.write_text(json.dumps(json.loads(annotations.read_text()) | {"annotations": []}))
    answer = train(tmp_path / "run", "--data", mini_root, "--order", "det", "seg")
    assert answer.status == 0, answer.err
    found = results(tmp_path / "run")
    assert [row["det"] for row in [found["untrained"], *scores(tmp_path / "run")]] == [{"AP50": None, "AP": None}] * 3
    assert found["intervals"]["det"] == {"AP50": None, "AP": None}
    assert found["outcomes"]["det"]["AP50"].pop("higher_is_better") is True
    assert set(found["outcomes"]["det"]["AP50"].values()) == {None}
    assert found["share_of_single_task"]["final"] is None
    (rule,) = [rule for rule in found["checklist"] if rule["name"] == "AP50 drop from just learned"]
    assert (rule["measured"], rule["passed"]) == (None, None)
    assert {row["AP50"] for row in table(tmp_path / "run" / "eval_results.csv")} == {""}


def test_periodic_evaluation_fills_the_training_log(two_strategies):
    rows = table(two_strategies / "naive_seg-cls_seed0" / "training_results.csv")
    assert [(row["training_exp"], row["epoch"]) for row in rows] == [("0", "0"), ("0", "1"), ("1", "0")]
    measured = scores(two_strategies / "naive_seg-cls_seed0")
    assert [float(rows[1]["val_mIoU_seg"]), float(rows[2]["val_mIoU_seg"])] == [row["seg"]["mIoU"] for row in measured]
    assert all(row["val_mIoU_seg"] and row["val_Top1_cls"] and not row["val_AP_det"] for row in rows)


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


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_vanishes_while_a_run_learns_ends_it_with_its_name(
    write, train_own, mini_root, tmp_path, workers
):
    write(
        "thief",
        """
        from pathlib import Path
        from avalanche.core import SupervisedPlugin

        class Thief(SupervisedPlugin):
            def __init__(self, file):
                self.file = Path(file)

            def before_training_epoch(self, strategy, **kwargs):
                self.file.unlink(missing_ok=True)
        """,
    )
    file = mini_root / "mini_voc_seg/train/2007_000002.jpg"
    options = ("--plugin", "thief:Thief", "--set", f"Thief.file={file}", "--memory", "0", "--workers", workers)
    answer = train_own(tmp_path / "run", "--data", mini_root, "--strategy", "naive", *options)
    assert answer.status == 1
    (line,) = [line for line in answer.err.splitlines() if line.startswith("error")]
    assert line == (
        f"error: {file}: expected the picture that was checked when the data were read, found another one or none; "
        "restore it, and continue with --resume what was interrupted"
    )
    assert "Traceback" not in answer.err


def test_what_mistakes_cost_is_told_of_detection_alone_and_adds_up_to_no_more_than_is_missing(trained):
    folder, _ = trained
    told = results(folder)["mistakes"]
    assert list(told) == ["det"]
    final = scores(folder)[-1]["det"]["AP50"]
    assert all(0 <= cost <= 1 - final for cost in told["det"].values())
    assert sum(told["det"].values()) > 0
    assert "lost to mistakes" in (folder / "tables.txt").read_text()


def test_the_checklist_says_what_methods_keep_and_once_by_what_the_network_grows():
    assert _keeps(parts_of("naive")) == "nothing"
    assert _keeps(parts_of("isolation")) == "nothing, the network grows by channels of neck and head"
    assert _keeps(parts_of("onehead+isolation")) == (
        "segmentation samples, the previous model, nothing, the network grows by channels of neck and head"
    )
    assert _keeps(()) is None


def test_a_run_in_half_precision_says_so_and_keeps_a_network_that_computes_so(train, tmp_path):
    folder = tmp_path / "run"
    answer = train(folder, "--strategy", "onehead", "--precision", "bf16", "--epochs", "1")
    assert answer.status == 0, answer.err
    assert json.loads((folder / "config.json").read_text())["precision"] == "bf16"
    saved = load_model(folder / "model.safetensors").model
    assert saved.precision == "bf16"
    assert {weight.dtype for weight in saved.parameters()} == {torch.float32}
    assert results(folder)["weights_agree"] is True
