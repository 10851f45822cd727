import json
import re
import shutil
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from onehead_avl.evaluate import main
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import save_model
from onehead_avl.tasks import Task
from scenarios.embedded import embedded_data
from scenarios.stream import layout_of

NAMES = {
    "segmentation mIoU": "mIoU",
    "detection AP50": "AP50",
    "detection AP": "AP",
    "classification Top1": "Top1",
    "classification Top5": "Top5",
}


def values(answer):
    """The printed table as ``{metric: (value, images)}``."""
    assert answer.status == 0, answer.err
    head, _, *rows = answer.out.splitlines()
    assert head.split() == ["metric", "value", "95", "%", "interval", "images"]
    found = {}
    for row in rows:
        # The names and the intervals hold single blanks.
        name, value, interval, images = re.split(" {2,}", row.strip())
        low, high = map(float, interval.split(" .. "))
        assert low <= high
        found[NAMES[name]] = (float(value), int(images))
    return found


@pytest.fixture(scope="module")
def weights(trained):
    return trained[0] / "model.safetensors"


@pytest.fixture(scope="module")
def last(trained):
    """The metrics of the run after its last stage."""
    *_, row = json.loads((trained[0] / "results.json").read_text())["metrics"]["matrix"]
    return {name: value for name, value in row.items() if name != "after"}


def assert_refused(answer, status, *fragments):
    assert answer.status == status
    assert "Traceback" not in answer.err + answer.out
    (line,) = [line for line in answer.err.splitlines() if not line.startswith("loading")]
    assert line.startswith("error: ")
    assert all(str(fragment) in line for fragment in fragments), line
    assert answer.out == ""


@pytest.mark.parametrize("batch_size", [1, 16])
def test_saved_weights_have_the_last_values_of_the_run(invoke, weights, last, shared_mini_root, batch_size):
    arguments = ("--data-root", shared_mini_root, "--batch-size", batch_size, "--device", "cpu")
    found = values(invoke(main, "--weights", weights, *arguments))
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(last, abs=1e-4)
    assert {name: images for name, (_, images) in found.items()} == {
        "mIoU": 2,
        "AP50": 2,
        "AP": 2,
        "Top1": 3,
        "Top5": 3,
    }
    assert 0 < last["mIoU"] < 1


def test_the_intervals_are_those_of_the_run(invoke, weights, shared_mini_root):
    answer = invoke(main, "--weights", weights, "--data-root", shared_mini_root, "--device", "cpu")
    expected = json.loads((weights.parent / "results.json").read_text())["intervals"]
    rows = answer.out.splitlines()[2:]
    assert len(rows) == len(expected) == 5
    for row in rows:
        name = NAMES[re.split(" {2,}", row)[0]]
        assert " .. ".join(f"{end:.3f}" for end in expected[name]) in row


def test_what_cannot_be_measured_is_a_dash(invoke, weights, mini_root):
    annotations = mini_root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json"
    annotations.write_text(json.dumps(json.loads(annotations.read_text()) | {"annotations": []}))
    answer = invoke(main, "--weights", weights, "--data-root", mini_root, "--tasks", "det")
    assert [row.split() for row in answer.out.splitlines()[2:]] == [
        ["detection", "AP50", "-", "-", "2"],
        ["detection", "AP", "-", "-", "2"],
    ]


def test_only_the_folders_of_the_tasks_asked_for_are_read(invoke, weights, last, mini_root):
    shutil.rmtree(mini_root / "mini_coco_det")
    shutil.rmtree(mini_root / "mini_voc_seg" / "train")
    answer = invoke(main, "--weights", weights, "--data-root", mini_root, "--tasks", "cls", "seg")
    found = values(answer)
    assert list(found) == ["Top1", "Top5", "mIoU"]
    assert found["mIoU"][0] == pytest.approx(last["mIoU"], abs=1e-4)


def test_the_training_split_can_be_scored(invoke, weights, shared_mini_root):
    found = values(invoke(main, "--weights", weights, "--data-root", shared_mini_root, "--split", "train"))
    assert {images for _, images in found.values()} == {4}


def test_scoring_leaves_the_weights_as_they_are(invoke, weights, shared_mini_root):
    before = weights.read_bytes()
    values(invoke(main, "--weights", weights, "--data-root", shared_mini_root))
    assert weights.read_bytes() == before


@pytest.fixture
def few_drawn(monkeypatch):
    """Makes the embedded data set small."""
    monkeypatch.setattr("onehead_avl.offline.embedded_data", partial(embedded_data, n_train=7, n_val=5))


@pytest.mark.parametrize(("split", "images"), [("train", 7), ("val", 5)])
def test_without_a_folder_the_embedded_set_is_scored(invoke, few_drawn, tmp_path, split, images):
    data = [embedded_data(task, size=32, n_train=1, n_val=1) for task in Task]
    torch.manual_seed(0)
    save_model(tmp_path / "model", OneHeadNet(layout_of(data)), {part.task: part.classes for part in data}, 32)
    found = values(invoke(main, "--weights", tmp_path / "model", "--tasks", "cls", "--split", split))
    assert {name: seen for name, (_, seen) in found.items()} == {"Top1": images, "Top5": images}


def test_weights_of_other_classes_do_not_fit_the_embedded_set(invoke, few_drawn, weights):
    assert_refused(invoke(main, "--weights", weights, "--tasks", "det"), 1, "person, car, dog", "--data-root")


def test_weights_of_other_classes_do_not_fit_a_folder(invoke, weights, mini_root):
    val = mini_root / "imagenette_160" / "val"
    (val / "n03028079").rename(val / "n00000001")
    assert_refused(invoke(main, "--weights", weights, "--data-root", mini_root), 1, "n03028079 is missing")


def test_missing_weights_are_status_2(invoke, tmp_path):
    assert_refused(invoke(main, "--weights", tmp_path / "model.safetensors"), 2, tmp_path / "model.safetensors")


def test_a_missing_data_folder_is_status_2(invoke, weights, tmp_path):
    assert_refused(invoke(main, "--weights", weights, "--data-root", tmp_path / "nowhere"), 2, tmp_path / "nowhere")


def cut(path, weights):
    path.write_bytes(weights.read_bytes()[:5000])


def noise(path, weights):
    path.write_bytes(b"no weights at all")


def empty(path, weights):
    path.touch()


def foreign(path, weights):
    save_file({"weight": torch.zeros(3)}, path)


def other_metadata(path, weights):
    save_file({"weight": torch.zeros(3)}, path, metadata={"onehead_avl": "[]"})


@pytest.mark.parametrize("content", [cut, noise, empty, foreign, other_metadata], ids=lambda content: content.__name__)
def test_a_file_that_holds_no_such_weights_is_status_1(invoke, weights, tmp_path, content):
    path = tmp_path / "bad.safetensors"
    content(path, weights)
    assert_refused(invoke(main, "--weights", path), 1, path, "python -m onehead_avl.benchmark")


def test_a_batch_of_nothing_is_status_2(invoke, weights):
    assert_refused(invoke(main, "--weights", weights, "--batch-size", "0"), 2, "--batch-size expects at least 1, got 0")


@pytest.mark.parametrize(
    "arguments", [(), ("--weights", "x", "--tasks", "depth"), ("--weights", "x", "--split", "test")]
)
def test_what_argparse_cannot_read_is_status_2(invoke, arguments):
    assert invoke(main, *arguments).status == 2
