"""Streams in which a kind returns: a ready-made one, and one of somebody's own; learned, continued and evaluated."""

import csv
import json
import re
import shutil

import pytest

import onehead_avl.runs.run
from onehead_avl.evaluate import main as evaluate
from onehead_avl.model.saved import load_model
from scenarios.description import read_description

OWN = """\
experiences:
  - {name: people, kind: detection, path: street, classes: [person]}
  - {name: traffic, kind: detection, path: street, classes: [dog, car]}
"""
SPLIT6 = ("seg-1", "det-1", "cls-1", "seg-2", "det-2", "cls-2")


def results(folder):
    return json.loads((folder / "results.json").read_text())


def finals(folder):
    """The final value of every metric of every experience, as tables call it."""
    return {
        f"{name} {metric}": outcome["final"]
        for name, metrics in results(folder)["outcomes"].items()
        for metric, outcome in metrics.items()
    }


def shown(answer):
    """The table that the evaluation prints as ``{metric: value}``."""
    assert answer.status == 0, answer.err
    rows = [re.split(" {2,}", line.strip()) for line in answer.out.splitlines()[2:]]
    return {name: float(value) for name, value, *_ in rows}


def assert_refused(answer, *fragments):
    assert answer.status == 2
    assert "Traceback" not in answer.err + answer.out
    *_, last = answer.err.strip().splitlines()
    assert last.startswith("error: ")
    assert all(str(fragment) in last for fragment in fragments), last


@pytest.fixture(scope="module")
def home(shared_mini_root, tmp_path_factory):
    """A folder with a stream of one's own and its images."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(shared_mini_root / "mini_coco_det", home / "street")
    (home / "own.yaml").write_text(OWN)
    return home


@pytest.fixture(scope="module")
def own(home, train_own):
    """A finished run on the stream of one's own."""
    answer = train_own(home / "run", "--stream", home / "own.yaml")
    assert answer.status == 0, answer.err
    return home / "run", answer


@pytest.fixture
def interrupted(own, home, train_own, tmp_path, monkeypatch):
    """The same command again, stopped when all was learned but nothing of it was written; its folder."""

    def write(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(onehead_avl.runs.run, "write", write)
        answer = train_own(tmp_path / "again", "--stream", home / "own.yaml")
    assert answer.status == 130
    return tmp_path / "again"


def test_experiences_of_one_kind_are_told_apart_everywhere(own):
    folder, answer = own
    found = results(folder)
    assert (found["stream"], found["order"]) == ("own", ["people", "traffic"])
    assert [(each["name"], each["head"], each["classes"]) for each in found["experiences"]] == [
        ("people", "people", ["person"]),
        ("traffic", "traffic", ["dog", "car"]),
    ]
    # Training images without any of the classes are left out: one has none at all, one has a car alone.
    assert [(each["train"], each["val"]) for each in found["experiences"]] == [(2, 2), (3, 2)]
    for said in (
        found["untrained"],
        found["outcomes"],
        found["intervals"],
        *(each["scores"] for each in found["stages"]),
    ):
        assert list(said) == ["people", "traffic"]
    assert found["checklist"] is None
    assert "rule" not in answer.out
    assert {" ".join(line.split()[:2]) for line in answer.out.splitlines() if " AP" in line} >= finals(folder).keys()
    with (folder / "eval_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["experience"] for row in rows] == ["people", "traffic"] * 3
    for row, scores in zip(rows[2:], [each["scores"] for each in found["stages"] for _ in range(2)], strict=True):
        assert float(row["AP50"]) == scores[row["experience"]]["AP50"]


def test_each_experience_has_a_part_of_the_output_to_itself(own):
    layout = load_model(own[0] / "model.safetensors").model.layout
    people, traffic = layout.parts
    assert (people.classes, traffic.classes) == (("person",), ("dog", "car"))
    assert people.channels.stop == traffic.channels.start


def test_the_run_says_what_it_learned_wherever_it_is_read(own, home, invoke, tmp_path, monkeypatch):
    folder, _ = own
    assert [(each.name, each.classes) for each in read_description(str(folder / "stream.yaml")).experiences] == [
        ("people", ("person",)),
        ("traffic", ("dog", "car")),
    ]
    monkeypatch.chdir(tmp_path)
    weights = ("--weights", folder / "model.safetensors", "--device", "cpu")
    for stream in (home / "own.yaml", folder / "stream.yaml"):
        found = shown(invoke(evaluate, *weights, "--stream", stream))
        assert found == pytest.approx(finals(folder), abs=1e-4)
    assert list(shown(invoke(evaluate, *weights, "--stream", home / "own.yaml", "--tasks", "traffic"))) == [
        "traffic AP50",
        "traffic AP",
    ]


def test_what_was_interrupted_ends_as_if_it_had_not_been(own, home, train_own, interrupted):
    answer = train_own(interrupted, "--stream", home / "own.yaml", "--resume")
    assert answer.status == 0, answer.err
    for name in ("model.safetensors", "eval_results.csv", "training_results.csv", "per_class.csv", "stream.yaml"):
        assert (interrupted / name).read_bytes() == (own[0] / name).read_bytes()
    assert results(interrupted)["outcomes"] == results(own[0])["outcomes"]
    assert results(interrupted)["untrained"] == results(own[0])["untrained"]


def test_another_order_or_stream_does_not_continue_a_run(home, train_own, interrupted):
    stream = ("--stream", home / "own.yaml")
    answer = train_own(interrupted, *stream, "--order", "traffic", "people", "--resume")
    assert_refused(answer, f"--resume expects the command that began {interrupted}", "other values of --order;")
    assert_refused(train_own(interrupted, "--stream", "challenge", "--resume"), "other values of --epochs, --order;")
    other = home / "other.yaml"
    other.write_text(OWN.replace("dog, car", "car, dog"))
    assert_refused(train_own(interrupted, "--stream", other, "--resume"), "the data")
    assert not (interrupted / "results.json").exists()


def test_a_finished_run_of_an_older_version_is_not_continued(own, home, train_own, tmp_path):
    folder = tmp_path / "older"
    shutil.copytree(own[0], folder)
    content = json.dumps({"strategy": "replay", "seed": 0, "order": ["people", "traffic"], "metrics": {}})
    (folder / "results.json").write_text(content)
    answer = train_own(folder, "--stream", home / "own.yaml", "--resume")
    assert answer.status == 1
    *_, last = answer.err.strip().splitlines()
    assert last.startswith(f"error: {folder / 'results.json'}: expected results of version 4, found none: ")
    assert (folder / "results.json").read_text() == content


def test_a_data_folder_is_not_for_a_stream_that_has_its_own(home, train, tmp_path):
    answer = train(tmp_path / "run", "--stream", home / "own.yaml")
    assert_refused(answer, "--data is for the streams that have a name", home / "own.yaml")
    assert not (tmp_path / "run").exists()


def test_a_stream_of_ones_own_that_is_called_challenge_is_not_the_challenge(home, train_own, tmp_path):
    stream = home / "challenge.yaml"
    stream.write_text("experiences:\n  - {name: flowers, kind: detection, path: street}\n")
    answer = train_own(tmp_path / "run", "--stream", stream)
    assert answer.status == 0, answer.err
    assert results(tmp_path / "run")["checklist"] is None


def test_experiences_that_share_a_head_share_a_part_of_the_output(train, tmp_path):
    answer = train(tmp_path / "run", "--stream", "domains", "--order", "seg-night", "seg", "--strategy", "naive")
    assert answer.status == 0, answer.err
    found = results(tmp_path / "run")
    assert (found["order"], found["checklist"]) == (["seg-night", "seg"], None)
    assert {each["name"]: each["head"] for each in found["experiences"] if "seg" in each["name"]} == {
        "seg": "seg",
        "seg-night": "seg",
    }
    layout = load_model(tmp_path / "run" / "model.safetensors").model.layout
    assert len(layout.parts) == 6
    assert len(layout.heads) == 3
    assert layout.parts[0] == layout.parts[3]
    night, day = (found["outcomes"][name]["mIoU"] for name in ("seg-night", "seg"))
    assert night["forgetting"] is not None
    assert day["forgetting"] is None


def test_six_experiences_are_learned_continued_and_evaluated(train_own, invoke, few_drawn, tmp_path, monkeypatch):
    folder, command = tmp_path / "run", ("--stream", "split6", "--order", *SPLIT6[::-1])

    def write(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(onehead_avl.runs.run, "write", write)
        assert train_own(folder, *command).status == 130
    assert_refused(train_own(folder, "--stream", "split6", "--resume"), "other values of --order;")
    answer = train_own(folder, *command, "--resume")
    assert answer.status == 0, answer.err

    found = results(folder)
    assert (found["stream"], found["order"], found["checklist"]) == ("split6", list(SPLIT6[::-1]), None)
    assert [stage["experiences"] for stage in found["stages"]] == [[name] for name in SPLIT6[::-1]]
    assert [each["name"] for each in found["experiences"]] == list(SPLIT6)  # as the stream defines them
    assert list(found["outcomes"]) == list(SPLIT6[::-1])
    assert len(found["share_of_single_task"]["after"]) == 6
    for name, metrics in found["outcomes"].items():
        for outcome in metrics.values():
            assert (outcome["forward_transfer"] is None) == (name == "cls-2")
            assert (outcome["forgetting"] is None) == (name == "seg-1")
    weights = ("--weights", folder / "model.safetensors", "--device", "cpu")
    assert shown(invoke(evaluate, *weights, "--stream", "split6")) == pytest.approx(finals(folder), abs=1e-4)
