import re
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

import onehead_avl.runs.look
from onehead_avl.runs.look import look
from scenarios.experience import Stream
from scenarios.samples.sample import Sample

TABLES = {
    "seg": {"aeroplane": ("1", "1"), "bicycle": ("1", "1"), "bird": ("1", "0"), "boat": ("1", "0")},
    "det": {"person": ("2", "1"), "car": ("2", "2"), "dog": ("1", "1")},
    "cls": {"n01440764": ("2", "1"), "n02102040": ("1", "1"), "n03028079": ("1", "1")},
}


def rows_of(text):
    """The rows of all tables, cell by cell."""
    return [re.split(" {2,}", line.strip()) for line in text.splitlines()]


def drawn_files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def image_in(path):
    with Image.open(path) as image:
        return pil_to_tensor(image)


def test_a_stream_is_looked_at_and_nothing_is_trained(train, tmp_path):
    folder = tmp_path / "look"
    answer = train(folder, "--check")
    assert answer.status == 0, answer.err
    rows = rows_of(answer.out)
    assert ["experience", "kind", "head", "classes", "train", "val", "metrics"] in rows
    assert ["seg", "segmentation", "seg", "21", "4", "2", "mIoU"] in rows
    assert ["det", "detection", "det", "3", "4", "2", "AP50, AP"] in rows
    assert ["cls", "classification", "cls", "3", "4", "3", "Top1, Top5"] in rows
    for name, table in TABLES.items():
        start = rows.index([f"{name}: images with", "train", "val"])
        shown = {of: (train, val) for of, train, val in rows[start + 2 : start + 2 + len(table)]}
        assert shown.items() >= table.items() if name == "seg" else shown == table
    assert answer.out.endswith(f"\n\nwritten to {folder}\n\n")
    numbered = {"train": 4, "val": {"seg": 2, "det": 2, "cls": 3}}
    assert drawn_files(folder) == sorted(
        [f"{name}/train_{i}.png" for name in TABLES for i in range(1, numbered["train"] + 1)]
        + [f"{name}/val_{i}.png" for name in TABLES for i in range(1, numbered["val"][name] + 1)]
    )
    assert "stage 1" not in answer.err


def test_a_folder_with_files_is_not_drawn_into(train, tmp_path):
    (tmp_path / "config.json").write_text("precious")
    answer = train(tmp_path, "--check")
    assert answer.status == 2
    assert "--output expects a new or empty folder" in answer.err
    assert drawn_files(tmp_path) == ["config.json"]


def test_images_are_drawn_in_their_own_size_with_their_annotation(stream, tmp_path):
    look(stream, tmp_path)
    for experience in stream.experiences:
        for split, samples in (("train", experience.train), ("val", experience.val)):
            for number, sample in enumerate(samples, start=1):
                shown = image_in(tmp_path / experience.name / f"{split}_{number}.png")
                expected = experience.kind.draw(sample.image, sample.annotation, experience.classes)
                assert torch.equal(shown, expected)
                assert shown.shape[-1] == sample.image.shape[-1] == 32
                if experience.name != "cls":  # a class is written beside or over the image
                    assert not torch.equal(shown, sample.image)


@pytest.mark.parametrize(
    ("count", "positions"), [(3, [0, 1, 2]), (5, [0, 1, 2, 3, 4]), (12, [0, 2, 4, 6, 8]), (100, [0, 20, 40, 60, 80])]
)
def test_ten_images_of_each_experience_are_drawn_spread_over_its_splits(stream, tmp_path, count, positions):
    (experience,) = [each for each in stream.experiences if each.name == "seg"]
    image, mask = torch.zeros(3, 32, 32, dtype=torch.uint8), torch.zeros(32, 32, dtype=torch.uint8)
    samples = [Sample(str(i), image + i, {"mask": mask}) for i in range(count)]
    many = Stream("many", (replace(experience, train=samples, val=samples),))
    look(many, tmp_path)
    for split in ("train", "val"):
        for number, position in enumerate(positions, start=1):
            shown = image_in(tmp_path / "seg" / f"{split}_{number}.png")
            assert torch.equal(shown, experience.kind.draw(image + position, {"mask": mask}, experience.classes))
    assert len(drawn_files(tmp_path)) == 2 * len(positions) <= onehead_avl.runs.look.DRAWN_SAMPLES


def test_a_broken_stream_is_one_sentence(train_own, mini_root, tmp_path):
    image = mini_root / "mini_voc_seg" / "train" / "2007_000001.jpg"
    image.write_bytes(image.read_bytes()[:400])
    stream = tmp_path / "own.yaml"
    stream.write_text("experiences:\n  - {name: roads, kind: segmentation, path: data/mini_voc_seg}\n")
    answer = train_own(tmp_path / "look", "--stream", stream, "--check")
    assert answer.status == 1
    *_, last = answer.err.strip().splitlines()
    assert last.startswith("error: ")
    assert str(image) in last
    assert "Traceback" not in answer.err + answer.out
    assert drawn_files(tmp_path / "look") == []


def test_a_stream_that_is_described_wrongly_is_one_sentence_and_nothing_is_written(train_own, tmp_path):
    stream = tmp_path / "own.yaml"
    stream.write_text("experiences:\n  - {name: roads, kind: segmentation, path: nowhere}\n")
    answer = train_own(tmp_path / "look", "--stream", stream, "--check")
    assert answer.status == 2
    (line,) = answer.err.strip().splitlines()
    assert line.startswith(f"error: {stream}:2: path: ")
    assert not (tmp_path / "look").exists()


def test_the_images_of_a_share_of_the_classes_are_counted_by_these(train_own, few_drawn, tmp_path):
    answer = train_own(tmp_path / "look", "--stream", "split6", "--check")
    assert answer.status == 0, answer.err
    rows = rows_of(answer.out)
    # Ten images with each class once: five of each half.
    assert ["cls-1", "classification", "cls-1", "5", "5", "5", "Top1, Top5"] in rows
    assert ["cls-2", "classification", "cls-2", "5", "5", "5", "Top1, Top5"] in rows
    start = rows.index(["cls-2: images with", "train", "val"])
    assert [row[1:] for row in rows[start + 2 : start + 7]] == [["1", "1"]] * 5
    assert len(list((tmp_path / "look" / "cls-1").iterdir())) == 10
    with Image.open(tmp_path / "look" / "seg-2" / "train_1.png") as drawn:
        assert drawn.size == (64, 64)
