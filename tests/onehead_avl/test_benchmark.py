import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import onehead_avl.runs.compare
from onehead_avl.benchmark import main
from onehead_avl.system.lock import exclusive

CHECKOUT = Path(__file__).resolve().parents[2]
ONE_EPOCH = ("--image-size", "64", "--epochs", "1", "--batch-size", "4")
ANNOTATIONS = Path("mini_coco_det") / "annotations" / "mini_instances_train2017.json"


def assert_one_sentence(answer, status, *fragments):
    """The last line says what is wrong; above it are only the loading of libraries and what is worth knowing."""
    assert answer.status == status
    assert "Traceback" not in answer.err + answer.out
    *above, last = answer.err.strip().splitlines()
    assert last.startswith("error: ")
    assert all(str(fragment) in last for fragment in fragments), last
    assert {line for line in above if not line.startswith("note: ")} <= {"loading torch and Avalanche"}


def python_m(*arguments, cwd=CHECKOUT):
    return subprocess.run([sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, cwd=cwd)


def annotate(root, change):
    """Apply a change to the objects of the detection data."""
    path = root / ANNOTATIONS
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_help_is_shown():
    done = python_m("onehead_avl.benchmark", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m onehead_avl.benchmark")
    assert done.stderr == ""


def test_the_command_trains_in_a_process_of_its_own(shared_mini_root, tmp_path):
    done = python_m(
        *("onehead_avl.benchmark", "--data", shared_mini_root, "--backbone-weights", "none", *ONE_EPOCH),
        *("--order", "cls", "--output", tmp_path / "run", "--device", "cpu"),
    )
    assert done.returncode == 0, done.stderr
    assert "cls Top1" in done.stdout
    assert f"written to {tmp_path / 'run'}" in done.stdout
    assert "Warning" not in done.stderr  # neither a missing solver nor anything else
    assert "Traceback" not in done.stderr
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    assert found["order"] == ["cls"]
    assert found["outcomes"]["cls"]["Top1"]["forgetting"] is None


def test_without_data_the_embedded_set_is_learned_and_said_to_be_drawn(invoke, few_drawn, tmp_path):
    answer = invoke(main, *ONE_EPOCH, "--order", "det", "--output", tmp_path / "run", "--strategy", "naive")
    assert answer.status == 0, answer.err
    assert "The embedded data set: drawn scenes" in answer.out
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [stage["experiences"] for stage in found["stages"]] == [["det"]]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["backbone_weights"] == "none"


@pytest.fixture
def no_training(monkeypatch, record):
    """Runs end at once."""

    def run(config, stream, folder, depends_on, single_task):
        return record("replay", 0, (0.25, 0.125, 0.5), (0.25, 0.25, 0.5), (0.25, 0.25, 0.75))

    monkeypatch.setattr(onehead_avl.runs.compare, "run", run)


def test_a_run_computes_with_the_threads_that_are_asked_for(
    invoke, monkeypatch, no_training, tmp_path, shared_mini_root
):
    told = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    command = ("--data", shared_mini_root, "--backbone-weights", "none", "--output", tmp_path / "run", "--threads", "3")
    assert invoke(main, *command).status == 0
    assert told == [3]


def test_the_usual_folder_is_named_by_date_and_time(invoke, monkeypatch, no_training, tmp_path, shared_mini_root):
    monkeypatch.chdir(tmp_path)
    answer = invoke(main, "--data", shared_mini_root, "--backbone-weights", "none")
    assert answer.status == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", folder.name)
    assert "\ncls Top1 " in answer.out
    assert answer.out.endswith(f"\n\nwritten to runs/{folder.name}\n\n")


def test_ctrl_c_ends_with_status_130(invoke, monkeypatch, tmp_path, shared_mini_root):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(onehead_avl.runs.compare, "run", interrupted)
    answer = invoke(main, "--data", shared_mini_root, "--output", tmp_path / "run")
    assert answer.status == 130
    assert answer.err.splitlines()[-1] == "stopped: what was written so far is kept"
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--data", "nowhere"), "--data expects a folder, found none at nowhere"),
        (
            ("--strategy", "wishful"),
            "unknown strategy 'wishful', expected some of naive, from-scratch, joint, cumulative, replay,",
        ),
        (("--order", "seg", "depth"), "unknown experience 'depth', expected some of seg, det, cls"),
        (("--stream", "split6", "--order", "seg"), "unknown experience 'seg', expected some of seg-1, det-1, cls-1,"),
        (("--stream", "split6", "--order", "all"), "--order all expects at most 4 experiences, but split6 has 6"),
        (("--stream", "split7"), "unknown stream 'split7'"),
        (("--stream", "nowhere.yaml"), "nowhere.yaml: expected a file that describes a stream, found none"),
        (("--epochs", "1", "2"), "--epochs expects"),
        (("--image-size", "50"), "--image-size expects"),
        (("--backbone", "vgg"), "unknown backbone 'vgg': expected one of mobilenet_v3_small, "),
        (("--device", "gpu"), "--device expects auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_loaded_or_written(invoke, tmp_path, arguments, fragment):
    answer = invoke(main, *arguments, "--output", tmp_path / "run")
    assert_one_sentence(answer, 2, fragment)
    assert len(answer.err.splitlines()) == 1
    assert answer.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seeds", [("0",), ("0", "1")], ids=["single", "comparison"])
@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--backbone", "timm:resnet_18"), "did you mean timm:resnet18 or"),
        (("--backbone", "timm:test_vit"), "expected features at strides 8, 16 and 32, found 16"),
        (("--device", "cuda:1"), "--device cuda:1: expected a GPU, found none; use --device cpu"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_read(
    invoke, tmp_path, monkeypatch, arguments, fragment, seeds
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("scenarios.reading.read_stream", None)
    answer = invoke(main, *arguments, "--seeds", *seeds, "--output", tmp_path / "run")
    assert_one_sentence(answer, 2, fragment)
    assert answer.out == ""


def test_looking_at_a_stream_needs_no_gpu(invoke, few_drawn, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    answer = invoke(main, "--check", "--device", "cuda:1", "--output", tmp_path / "run")
    assert answer.status == 0, answer.err


def test_all_wrong_values_are_named_in_one_sentence(invoke):
    answer = invoke(main, "--strategy", "wishful", "--order", "depth", "--batch-size", "0")
    assert_one_sentence(answer, 2, "'wishful'", "'depth'", "--batch-size")


def test_an_unknown_option_is_status_2(invoke):
    assert invoke(main, "--unknown").status == 2


def test_a_folder_with_files_is_not_written_over(invoke, tmp_path, shared_mini_root):
    (tmp_path / "results.json").write_text("precious")
    answer = invoke(main, "--data", shared_mini_root, "--output", tmp_path)
    assert_one_sentence(answer, 2, "--output expects a new or empty folder", tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "precious"


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_an_output_that_cannot_be_written_is_status_1(invoke, tmp_path, shared_mini_root, place):
    (tmp_path / "file").touch()
    answer = invoke(main, "--data", shared_mini_root, "--output", tmp_path / place)
    assert_one_sentence(answer, 1, "--output expects a folder that can be written", tmp_path / place)


def truncated_jpeg(root):
    path = root / "mini_voc_seg" / "train" / "2007_000001.jpg"
    path.write_bytes(path.read_bytes()[:400])
    return path


def mask_of_another_size(root):
    path = root / "mini_voc_seg" / "val" / "2007_000001.png"
    Image.open(path).crop((0, 0, 20, 20)).save(path)
    return path


def missing_picture(root):
    (root / "mini_coco_det" / "train" / "000000000102.jpg").unlink()
    return "image 102: expected the file '000000000102.jpg', found none; add it"


def unknown_category(root):
    annotate(root, lambda content: content["annotations"][1].update(category_id=77))
    return "annotation 2 has category 77"


def box_of_three_numbers(root):
    annotate(root, lambda content: content["annotations"][0].update(bbox=[5, 5, 10]))
    return "annotation 1: expected a bbox of four finite numbers"


def masks_without_classes(root):
    path = root / "mini_voc_seg" / "train"
    for mask in path.glob("*.png"):
        Image.new("L", Image.open(mask).size).save(mask)
    return f"{path}: expected masks with classes"


def missing_set(root):
    path = root / "imagenette_160"
    shutil.rmtree(path)
    return path


BREAKAGES = (
    *(truncated_jpeg, mask_of_another_size, missing_picture, unknown_category, box_of_three_numbers),
    *(masks_without_classes, missing_set),
)


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_data_that_cannot_be_used_are_one_sentence_and_status_1(invoke, mini_root, tmp_path, breakage):
    fragment = breakage(mini_root)
    answer = invoke(main, "--data", mini_root, "--backbone-weights", "none", "--output", tmp_path / "run")
    assert_one_sentence(answer, 1, fragment)
    assert list((tmp_path / "run").iterdir()) == []  # so the same command works once the data are mended


def test_all_that_is_wrong_with_the_data_is_reported_at_once(invoke, mini_root, tmp_path):
    broken = [breakage(mini_root) for breakage in (truncated_jpeg, missing_picture, box_of_three_numbers)]
    answer = invoke(main, "--data", mini_root, "--backbone-weights", "none", "--output", tmp_path / "run")
    assert answer.status == 1
    assert "Traceback" not in answer.err + answer.out
    notes, report = answer.err.split("error: ")
    assert "seg train has no example of" in notes
    first, *lines = report.splitlines()
    assert first == (
        f"3 problems in {mini_root}: the data cannot be used until each of them is mended; or python -m "
        f"onehead_avl.prepare --import {mini_root} --root NEW writes a copy without it"
    )
    assert len(lines) == 3
    assert all(any(str(fragment) in line for line in lines) for fragment in broken)


def test_what_is_only_worth_knowing_is_a_note_and_the_run_goes_on(invoke, no_training, tmp_path, mini_root):
    stray = mini_root / "mini_coco_det" / "val" / "stray.jpg"
    stray.touch()
    annotate(mini_root, lambda content: content["annotations"][0].update(bbox=[35, 5, 20, 10]))
    annotate(mini_root, lambda content: content["annotations"][1].update(bbox=[5, 5, 0, 10]))
    for picture in (mini_root / "imagenette_160" / "train" / "n02102040").iterdir():
        picture.unlink()
    answer = invoke(main, "--data", mini_root, "--backbone-weights", "none", "--output", tmp_path / "run")
    assert answer.status == 0
    assert "boxes that reach over the edge of their image are cut there: there is one, annotation 1" in answer.err
    assert "boxes without area in their image are skipped: there is one, annotation 2" in answer.err
    assert "cls train has no example of n02102040" in answer.err
    assert f"note: {stray.parent}: pictures not listed in mini_instances_val2017.json are not read" in answer.err
    assert "note: " not in answer.out


def test_missing_backbone_weights_are_status_2(invoke, shared_mini_root, tmp_path):
    answer = invoke(
        main, "--data", shared_mini_root, "--backbone-weights", tmp_path / "none.pth", "--output", tmp_path / "run"
    )
    assert_one_sentence(answer, 2, "--backbone-weights", "none.pth")
    assert not (tmp_path / "run").exists()


def test_broken_backbone_weights_are_status_1(invoke, shared_mini_root, tmp_path):
    weights = tmp_path / "broken.pth"
    weights.write_bytes(b"no weights")
    answer = invoke(main, "--data", shared_mini_root, "--backbone-weights", weights, "--output", tmp_path / "run")
    assert_one_sentence(answer, 1, weights)


@pytest.mark.parametrize("seeds", [("0",), ("0", "1")], ids=["single", "comparison"])
def test_a_folder_that_another_process_writes_is_left_alone(train, tmp_path, seeds):
    with exclusive(tmp_path, tmp_path / ".running", "being written", "--output"):
        answer = train(tmp_path, "--seeds", *seeds)
        assert answer.status == 1
        assert answer.err.startswith(f"error: {tmp_path} is being written by process {os.getpid()} on ")
        assert [entry.name for entry in tmp_path.iterdir()] == [".running"]
