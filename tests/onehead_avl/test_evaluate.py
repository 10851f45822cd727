import json
import math
import re
import shutil

import pytest
import torch
from safetensors.torch import save_file

from onehead_avl.evaluate import main
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import save_model
from scenarios.drawn.embedded import COUNTS, drawn_classes

METRICS = ["seg mIoU", "det AP50", "det AP", "cls Top1", "cls Top5"]


def values(answer):
    """The printed table as ``{metric: (value, images)}``."""
    assert answer.status == 0, answer.err
    head, _, *rows = answer.out.splitlines()
    assert head.split() == ["metric", "value", "95", "%", "interval", "images"]
    found = {}
    for row in rows:
        # The names and the intervals hold single blanks.
        name, value, interval, images = re.split(" {2,}", row.strip())
        low, high = map(float, interval.split(" .. ")) if interval != "-" else (-math.inf, math.inf)
        assert low <= high
        found[name] = (float(value), int(images))
    return found


@pytest.fixture(scope="module")
def weights(trained):
    return trained[0] / "model.safetensors"


@pytest.fixture(scope="module")
def last(trained):
    """The metrics of the run after its last stage."""
    *_, stage = json.loads((trained[0] / "results.json").read_text())["stages"]
    return {f"{name} {metric}": value for name, row in stage["scores"].items() for metric, value in row.items()}


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
    assert {name: images for name, (_, images) in found.items()} == dict(zip(METRICS, (2, 2, 2, 3, 3), strict=True))
    assert list(found) == METRICS
    assert 0 < last["seg mIoU"] < 1


def test_the_intervals_are_those_of_the_run(invoke, weights, shared_mini_root):
    answer = invoke(main, "--weights", weights, "--data-root", shared_mini_root, "--device", "cpu")
    expected = json.loads((weights.parent / "results.json").read_text())["intervals"]
    rows = answer.out.splitlines()[2:]
    assert len(rows) == sum(len(intervals) for intervals in expected.values()) == 5
    for row in rows:
        name, metric = re.split(" {2,}", row)[0].split()
        interval = expected[name][metric]
        assert re.split(" {2,}", row)[2] == ("-" if interval is None else " .. ".join(f"{end:.3f}" for end in interval))


def test_what_cannot_be_measured_is_a_dash(invoke, weights, mini_root):
    annotations = mini_root / "mini_coco_det" / "annotations" / "mini_instances_val2017.json"
    annotations.write_text(json.dumps(json.loads(annotations.read_text()) | {"annotations": []}))
    answer = invoke(main, "--weights", weights, "--data-root", mini_root, "--tasks", "det")
    assert [row.split() for row in answer.out.splitlines()[2:]] == [
        ["det", "AP50", "-", "-", "2"],
        ["det", "AP", "-", "-", "2"],
    ]


def test_only_the_folders_of_the_experiences_asked_for_are_read(invoke, weights, last, mini_root):
    shutil.rmtree(mini_root / "mini_coco_det")
    shutil.rmtree(mini_root / "mini_voc_seg" / "train")
    answer = invoke(main, "--weights", weights, "--data-root", mini_root, "--tasks", "cls", "seg")
    found = values(answer)
    assert list(found) == ["cls Top1", "cls Top5", "seg mIoU"]
    assert found["seg mIoU"][0] == pytest.approx(last["seg mIoU"], abs=1e-4)


def test_the_training_split_can_be_scored(invoke, weights, shared_mini_root):
    found = values(invoke(main, "--weights", weights, "--data-root", shared_mini_root, "--split", "train"))
    assert {images for _, images in found.values()} == {4}


def test_scoring_leaves_the_weights_as_they_are(invoke, weights, shared_mini_root):
    before = weights.read_bytes()
    values(invoke(main, "--weights", weights, "--data-root", shared_mini_root))
    assert weights.read_bytes() == before


@pytest.fixture
def untrained(tmp_path):
    """Weights for one experience of the drawn images, or of some of their classes."""

    def untrained(name="cls", kind="classification", classes=None):
        torch.manual_seed(0)
        layout = layout_of_heads([(name, name, kind_of(kind), classes or drawn_classes(kind))])
        save_model(tmp_path / "model", OneHeadNet(layout), layout, 32, "challenge")
        return tmp_path / "model"

    return untrained


@pytest.mark.parametrize(("split", "images"), [("train", 7), ("val", 5)])
def test_without_a_folder_the_embedded_set_is_scored(invoke, monkeypatch, untrained, split, images):
    monkeypatch.setitem(COUNTS, "train", 7)
    monkeypatch.setitem(COUNTS, "val", 5)
    found = values(invoke(main, "--weights", untrained(), "--tasks", "cls", "--split", split))
    assert {name: seen for name, (_, seen) in found.items()} == {"cls Top1": images, "cls Top5": images}


def test_a_ready_made_stream_is_scored_by_its_name(invoke, few_drawn, untrained):
    weights = untrained("cls-2", classes=drawn_classes("classification")[5:])
    found = values(invoke(main, "--weights", weights, "--stream", "split6"))
    assert {name: seen for name, (_, seen) in found.items()} == {"cls-2 Top1": 5, "cls-2 Top5": 5}
    assert found["cls-2 Top5"][0] == 1  # of five classes


def test_weights_of_other_classes_do_not_fit_the_embedded_set(invoke, few_drawn, weights):
    assert_refused(invoke(main, "--weights", weights, "--tasks", "det"), 1, "person, car, dog", "the drawn images have")


def test_an_experience_is_scored_by_its_name_in_weights_and_stream(invoke, few_drawn, weights, untrained):
    answer = invoke(main, "--weights", weights, "--tasks", "depth")
    assert_refused(answer, 2, f"expected experiences of the weights {weights}, seg, det, cls, found 'depth'")
    answer = invoke(main, "--weights", weights, "--stream", "split6", "--tasks", "seg")
    assert_refused(answer, 2, "expected experiences of the stream split6, seg-1, det-1,", "found 'seg'")
    answer = invoke(main, "--weights", weights, "--stream", "split6")
    assert_refused(answer, 2, "expected experiences of the weights", "in the stream split6, found seg-1", "--stream")


def test_what_the_stream_lacks_is_not_scored_and_said(invoke, weights, last, mini_root, tmp_path):
    stream = tmp_path / "own.yaml"
    stream.write_text("experiences:\n  - {name: seg, kind: segmentation, path: data/mini_voc_seg}\n")
    answer = invoke(main, "--weights", weights, "--stream", stream, "--device", "cpu")
    assert answer.status == 0, answer.err
    *_, row, note = answer.out.splitlines()
    assert row.split()[:3] == ["seg", "mIoU", f"{last['seg mIoU']:.6f}"]
    assert note == "not in the stream own, so not scored: det, cls"


def test_an_experience_of_another_kind_is_refused(invoke, weights, mini_root, tmp_path):
    stream = tmp_path / "own.yaml"
    stream.write_text("experiences:\n  - {name: det, kind: classification, path: data/imagenette_160}\n")
    answer = invoke(main, "--weights", weights, "--stream", stream)
    assert_refused(answer, 2, f"{stream}:2", "expected det of the kind detection", "found classification")


def test_a_data_folder_is_for_the_streams_that_have_a_name(invoke, weights, mini_root, tmp_path):
    stream = tmp_path / "own.yaml"
    stream.write_text("experiences:\n  - {name: seg, kind: segmentation, path: data/mini_voc_seg}\n")
    answer = invoke(main, "--weights", weights, "--stream", stream, "--data-root", mini_root)
    assert_refused(answer, 2, "--data-root is for the streams that have a name", stream)


@pytest.mark.parametrize(
    ("stream", "fragment"),
    [("split7", "unknown stream 'split7'"), ("nowhere.yaml", "nowhere.yaml: expected a file that describes a stream")],
)
def test_a_stream_that_is_not_there_is_status_2(invoke, weights, stream, fragment):
    assert_refused(invoke(main, "--weights", weights, "--stream", stream), 2, fragment)


def test_weights_of_other_classes_do_not_fit_a_folder(invoke, weights, mini_root):
    val = mini_root / "imagenette_160" / "val"
    (val / "n03028079").rename(val / "n00000001")
    answer = invoke(main, "--weights", weights, "--data-root", mini_root, "--tasks", "cls")
    assert answer.status == 1
    note, error = [line for line in answer.err.splitlines() if not line.startswith("loading")]
    assert note.startswith("note: ")
    assert "cls val has no example of n03028079" in note
    assert error.startswith(f"error: {val / 'n00000001'}: expected the class folders n01440764, n02102040, n03028079,")


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


@pytest.mark.parametrize("arguments", [(), ("--weights", "x", "--tasks"), ("--weights", "x", "--split", "test")])
def test_what_argparse_cannot_read_is_status_2(invoke, arguments):
    assert invoke(main, *arguments).status == 2


def test_a_device_that_cannot_be_is_refused_before_anything_is_loaded(invoke, tmp_path):
    answer = invoke(main, "--weights", tmp_path / "none.safetensors", "--device", "gpu")
    assert_refused(answer, 2, "--device expects auto, cpu, cuda, cuda:N or mps, got 'gpu'")
    assert "loading" not in answer.err


def test_a_gpu_that_is_not_there_is_refused(invoke, weights, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    answer = invoke(main, "--weights", weights, "--device", "cuda:1")
    assert_refused(answer, 2, "--device cuda:1: expected a GPU, found none; use --device cpu")
