"""Thousands of broken data folders, drawn from seeds: each is refused with a sentence, or read into valid samples.

Of each, whatever becomes of it: boxes in are boxes kept and boxes counted in findings, pictures in the folders are
pictures read and pictures counted, what is right without a finding is what the files say to the letter, and a copy
that is repaired has the same boxes and nothing fatal. ``pytest -n 0 -s tests/scenarios/test_fuzz.py`` shows
how the cases of each kind ended.
"""

import io
import json
import math
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from onehead_avl.errors import DataError
from onehead_avl.prepare.adopt import adopt
from scenarios.challenge import FOLDERS as CHALLENGE
from scenarios.described import Described, Description
from scenarios.experience import Experience
from scenarios.reading import inspect, read_stream
from scenarios.samples.findings import SHOWN, Finding
from scenarios.samples.rules import ROUNDING
from scenarios.samples.sample import Sample
from scenarios.samples.source import Source

ANNOTATIONS = "mini_coco_det/annotations/mini_instances_{}2017.json"
PICTURES = {
    "seg": "mini_voc_seg/{}/2007_000001.jpg",
    "det": "mini_coco_det/{}/000000000101.jpg",
    "cls": "imagenette_160/{}/n02102040/n02102040_1.JPEG",
}
MASK = "mini_voc_seg/{}/2007_000001.png"
ROWS = "yolo/labels/{}/1.txt"
PATHS = {**CHALLENGE, "yolo": "yolo/data.yaml", "csv": "labels.csv"}
KINDS = {
    "seg": "segmentation",
    "det": "detection",
    "yolo": "detection",
    "cls": "classification",
    "csv": "classification",
}


@pytest.fixture
def root(mini_root: Path) -> Path:
    """The challenge's folders, and the two other kinds of layout: text files and a table."""
    rows = []
    for split in ("train", "val"):
        for part in ("images", "labels"):
            (mini_root / "yolo" / part / split).mkdir(parents=True)
        for position in range(2):
            image = mini_root / f"mini_coco_det/{split}/{100 + position:012d}.jpg"
            (mini_root / f"yolo/images/{split}/{position}.jpg").write_bytes(image.read_bytes())
            (mini_root / f"yolo/labels/{split}/{position}.txt").write_text("0 0.5 0.5 0.25 0.5\n1 0.25 0.5 0.5 0.9\n")
            rows.append(f"{image.relative_to(mini_root).as_posix()},{'ab'[position]},{split}")
    (mini_root / "yolo/data.yaml").write_text(
        "path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n"
    )
    (mini_root / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
    return mini_root


@dataclass(frozen=True)
class Broken:
    """A file of an experience and what it is made into.

    ``check`` is given the data if they are read all the same, and what the file held before; where it goes by the
    letter of the file, only if there is no finding either.
    """

    name: str
    file: str
    content: bytes
    check: Callable[[Experience, bytes], None] = lambda data, before: None
    by_letter: bool = False


def assert_valid(data: Experience) -> None:
    """Every promise that ``Sample`` makes, checked without the code of the readers."""
    assert data.train
    assert data.val
    names = [sample.name for sample in data.train + data.val]
    assert len(set(names)) == len(names)
    for sample in data.train + data.val:
        channels, height, width = sample.image.shape
        assert (channels, sample.image.dtype) == (3, torch.uint8)
        assert min(height, width) > 0
        {"seg": assert_valid_mask, "det": assert_valid_boxes, "yolo": assert_valid_boxes}.get(
            data.name, assert_valid_label
        )(sample.annotation, len(data.classes), height, width)
    learned = {(sample.image.shape, sample.image.numpy().tobytes()) for sample in data.train}
    assert not any((sample.image.shape, sample.image.numpy().tobytes()) in learned for sample in data.val)


def assert_valid_mask(parts: Mapping, n_classes: int, height: int, width: int) -> None:
    assert (parts["mask"].shape, parts["mask"].dtype) == ((height, width), torch.uint8)
    assert set(np.unique(parts["mask"].numpy())) <= {*range(n_classes), 255}


def assert_valid_boxes(parts: Mapping, n_classes: int, height: int, width: int) -> None:
    n = len(parts["boxes"])
    assert (parts["boxes"].shape, parts["boxes"].dtype) == ((n, 4), torch.float32)
    assert (parts["labels"].shape, parts["labels"].dtype) == ((n,), torch.int64)
    assert (parts["crowd"].shape, parts["crowd"].dtype) == ((n,), torch.bool)
    for x1, y1, x2, y2 in parts["boxes"].tolist():
        assert all(map(math.isfinite, (x1, y1, x2, y2)))
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
    assert all(0 <= label < n_classes for label in parts["labels"].tolist())


def assert_valid_label(parts: Mapping, n_classes: int, height: int, width: int) -> None:
    assert type(parts["label"]) is int
    assert 0 <= parts["label"] < n_classes


def described(root: Path, *names: str) -> Description:
    """Some experiences on a data folder."""
    experiences = [Described(name, KINDS[name], Source(Path(PATHS[name])), where=name) for name in names]
    return Description("challenge", tuple(experiences)).on(root, size=32)


def outcome(root: Path, broken: Broken, copied: bool) -> str:
    """Read a root with one broken file: ``refused``, ``repaired``, ``noted`` or ``right``; anything else fails."""
    path = root / broken.file
    before = path.read_bytes()
    path.write_bytes(broken.content)
    try:
        experiences, findings = inspect(described(root, broken.name), tell=assert_one_line)
        for finding in findings:
            assert_one_line(str(finding))
        fatal = [finding for finding in findings if finding.fatal]
        hopeless = [finding for finding in fatal if not finding.repair]
        if not hopeless:
            assert_all_counted(root, broken, *experiences, findings)
        try:
            (data,) = read_stream(described(root, broken.name), tell=assert_one_line).experiences
        except DataError as error:
            assert_refusal(root, error)
        else:
            assert not fatal
            assert_valid(data)
            if not (broken.by_letter and findings):
                broken.check(data, before)
        if copied and broken.name in CHALLENGE:
            assert_copied(root, broken.name, experiences, hopeless)
        return "refused" if hopeless else "repaired" if fatal else "noted" if findings else "right"
    finally:
        path.write_bytes(before)


def assert_refusal(root: Path, error: DataError) -> None:
    lines = str(error).split("\n")
    assert len(lines) <= SHOWN + 2
    for line in lines:
        assert_one_line(line)
    if len(lines) == 1:
        assert lines[0].startswith(str(root)) or ": experience " in lines[0]  # where the stream is described
    else:
        assert f"problems in {root}" in lines[0]


def assert_all_counted(root: Path, broken: Broken, data: Experience, findings: list[Finding]) -> None:
    """Compare what was read and counted with what the files hold, without the code of the readers."""
    pictures, boxes = there(root, broken.name)
    samples = {sample.name: sample for sample in (*data.train, *data.val)}.values()  # a folder may be named twice
    if pictures is not None:
        assert pictures == len(samples) + sum(finding.pictures for finding in findings)
    if boxes is not None:
        kept = sum(len(sample.annotation["boxes"]) for sample in samples)
        assert boxes == kept + sum(finding.boxes for finding in findings)


def there(root: Path, name: str) -> tuple[int | None, int | None]:
    """How many pictures and how many boxes the folders of an experience hold; ``None`` where files do not say."""
    if name == "seg":
        return len(list((root / CHALLENGE["seg"]).rglob("*.jpg"))), None
    if name == "cls":
        return len(list((root / CHALLENGE["cls"]).rglob("*.JPEG"))), None
    if name == "det":
        contents = [json.loads((root / ANNOTATIONS.format(split)).read_bytes()) for split in ("train", "val")]
        boxes = sum(len(content["annotations"]) for content in contents)
        return len(list((root / CHALLENGE["det"]).rglob("*.jpg"))), boxes
    if name == "yolo":
        rows = [file.read_bytes() for file in (root / "yolo/labels").rglob("*.txt")]
        try:
            texts = [text.decode("utf-8-sig") for text in rows]
        except ValueError:
            return len(list((root / "yolo/images").rglob("*.jpg"))), None
        boxes = sum(bool(row.strip()) for text in texts for row in text.splitlines())
        return len(list((root / "yolo/images").rglob("*.jpg"))), boxes
    return None, None


def assert_copied(root: Path, name: str, read: list[Experience], hopeless: list[Finding]) -> None:
    """Have a copy repaired: it has what was read but for pictures that are there twice, and nothing fatal in it."""
    copy = root.parent / "copy"
    try:
        adopt(root, copy, [name], assert_one_line)
    except DataError as error:
        assert_refusal(root, error)
        left = [{sample.digest for sample in samples} for each in read for samples in (each.train, each.val)]
        assert hopeless or not all(left) or left[0] <= left[1]
        return
    finally:
        adopted = copy.exists() and (copy / "manifest.json").exists()
        if not adopted:
            rmtree(copy, ignore_errors=True)
    try:
        assert not hopeless
        (again,) = read_stream(described(copy, name), tell=assert_one_line).experiences
        (data,) = read
        seen, boxes = set(), 0
        for sample in [*data.val, *data.train]:
            if sample.digest not in seen:
                boxes += len(sample.annotation.get("boxes", ()))
            seen.add(sample.digest)
        samples = [*again.train, *again.val]
        assert {sample.digest for sample in samples} == seen
        assert sum(len(sample.annotation.get("boxes", ())) for sample in samples) == boxes
    finally:
        rmtree(copy)


def assert_one_line(line: str) -> None:
    assert 0 < len(line) < 1400
    assert line.isprintable()


# What is broken, drawn from a seed: damaged files ...


def split_of(rng: Random) -> str:
    return rng.choice(["train", "val"])


def damaged_annotations(rng: Random, root: Path, damage: Callable) -> Broken:
    file = ANNOTATIONS.format(split_of(rng))
    content = damage(rng, (root / file).read_bytes())
    return Broken("det", file, content, nothing_is_lost, by_letter=True)


def damaged_picture(rng: Random, root: Path, damage: Callable) -> Broken:
    name = rng.choice(list(PICTURES))
    file = PICTURES[name].format(split_of(rng))
    stored = io.BytesIO()
    with Image.open(root / file) as picture:
        kind = rng.choice(["JPEG"] * 4 + ["PNG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
        options: dict[str, Any] = {"progressive": rng.random() < 0.5} if kind == "JPEG" else {}
        picture.convert(rng.choice(["RGB", "L"])).save(stored, kind, **options)
    content = stored.getvalue()
    broken = damage(rng, content)

    def check(data: Experience, before: bytes) -> None:
        sample = sample_of(data, root / file, Path(file).suffix)
        if len(broken) < len(content) and content.startswith(broken):  # cut behind its last pixel
            whole = np.array(Image.open(io.BytesIO(content)).convert("RGB"))
            assert np.array_equal(sample.image.permute(1, 2, 0).numpy(), whole)

    return Broken(name, file, broken, check)


def damaged_mask(rng: Random, root: Path, damage: Callable) -> Broken:
    """A PNG has checksums, so no pixel may change unnoticed."""
    file = MASK.format(split_of(rng))
    with Image.open(root / file) as mask:
        width, height = mask.size
    values = np.frombuffer(rng.randbytes(width * height), dtype=np.uint8).reshape(height, width) % 21
    stored = io.BytesIO()
    Image.fromarray(values).save(stored, "PNG", compress_level=rng.randrange(10))

    def check(data: Experience, before: bytes) -> None:
        assert np.array_equal(sample_of(data, root / file, ".jpg").annotation["mask"].numpy(), values)

    return Broken("seg", file, damage(rng, stored.getvalue()), check)


def sample_of(data: Experience, path: Path, suffix: str) -> Sample:
    (sample,) = [sample for sample in data.train + data.val if sample.name == str(path.with_suffix(suffix))]
    return sample


# ... annotations of another structure ...

DEEP = "a list of lists of lists"
ODD = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        3,
        18,
        100,
        101,
        1.5,
        -0.0,
        1e-320,
        1e9,
        1e308,
        10**9,
        10**20,
        10**400,
        -(10**400),
    ),
    *(math.nan, math.inf, -math.inf, "", "1", "NaN", "person", "000000000101.jpg", "..", "/", "../x.jpg", "a\0b", "\n"),
    *("\ud800", "\u202e", "é" * 300, "x" * 5000, [], {}, [1, 2, 3, 4], [0, 0, 1e308, 1e308], [math.nan] * 4, [[[]]]),
    *([1, 1, "2", 2], [1, 1, 2], [1, 1, 2, 2, 2], [-1, -1, 3, 3], [0, 0, 0, 0], {"id": 1}, DEEP),
]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every ``(container, key)`` of a JSON value."""
    if not isinstance(value, (dict, list)):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    return [place for key in keys for place in [(value, key), *places(value[key])]]


def restructured_annotations(rng: Random, root: Path, damage: Callable) -> Broken:
    file = ANNOTATIONS.format(split_of(rng))
    content = json.loads((root / file).read_bytes())
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        restructure(rng, content)
    text = json.dumps(content)
    depth = rng.choice([3, *(rng.randrange(700, 1000) for _ in range(8)), 100_000])  # Python's own limit is 1000
    text = text.replace(json.dumps(DEEP), "[" * depth + "]" * depth)
    return Broken("det", file, text.encode(), nothing_is_lost, by_letter=True)


def restructure(rng: Random, content: Any) -> None:
    """Change one place of a JSON value."""
    candidates = places(content)
    if not candidates:
        return
    # Each name of a key has the same chance, however many entries have it.
    of_name: dict[str, list] = {}
    for place in candidates:
        of_name.setdefault(place[1] if isinstance(place[1], str) else "", []).append(place)
    namesakes = of_name[rng.choice(list(of_name))]
    container, key = rng.choice(namesakes)
    kind = rng.choice(["replace", "replace", "replace", "delete", "copy", "wrap", "number", "rename", "extend", "deep"])
    if kind == "replace":
        alike = [value for value in ODD if type(value) is type(container[key])]
        container[key] = rng.choice(alike if alike and rng.random() < 0.5 else ODD)
    elif kind == "delete":
        del container[key]
    elif kind == "copy":  # also makes ids and names that are there twice, or that belong elsewhere
        other, other_key = rng.choice(candidates if rng.random() < 0.3 else namesakes)
        container[key] = json.loads(json.dumps(other[other_key]))
    elif kind == "deep":
        container[key] = DEEP
    elif kind == "wrap":
        container[key] = [container[key]]
    elif kind == "number" and type(container[key]) in (int, float):
        container[key] += rng.choice([-100, -1, -0.5, 1e-9, 0.5, 1, 100])
    elif kind == "rename" and isinstance(container, dict):
        container[rng.choice(["id", "bbox", "iscrowd", "a"])] = container.pop(key)
    elif isinstance(container, list):
        container.append(json.loads(json.dumps(container[key])))


def nothing_is_lost(data: Experience, before: bytes) -> None:
    """What was accepted is what the files say, entry by entry, by COCO's definition."""
    root = data.root.parent
    for split, samples in (("train", data.train), ("val", data.val)):
        content = json.loads((root / ANNOTATIONS.format(split)).read_bytes())
        names = {category["id"]: category["name"] for category in content["categories"]}
        read = {Path(sample.name).name: sample for sample in samples}
        assert len(samples) == len(content["images"]) == len({image["id"] for image in content["images"]})
        assert len({entry["id"] for entry in content["annotations"]}) == len(content["annotations"])
        assert len(names) == len(content["categories"]) == len(set(names.values()))
        assert sum(len(sample.annotation["boxes"]) for sample in samples) == len(content["annotations"])
        for image in content["images"]:
            sample = read[Path(image["file_name"]).name]
            assert sample.image.shape[1:] == (image["height"], image["width"])
            assert {type(image[key]) for key in ("id", "width", "height")} == {int}
            listed = [entry for entry in content["annotations"] if entry["image_id"] == image["id"]]
            for box, label, crowd, entry in zip(
                sample.annotation["boxes"], sample.annotation["labels"], sample.annotation["crowd"], listed, strict=True
            ):
                x, y, w, h = entry["bbox"]
                assert torch.allclose(box, torch.tensor([x, y, x + w, y + h]).float(), rtol=0, atol=ROUNDING + 1e-5)
                assert data.classes[label] == names[entry["category_id"]]
                assert crowd == entry.get("iscrowd", 0)
                assert {type(entry[key]) for key in ("id", "image_id", "category_id")} == {int}


# ... and pictures and masks that are whole, but of another content; whether they are valid is known.


def refused_only(data: Experience, before: bytes) -> None:
    pytest.fail("it was accepted")


def other_mask(rng: Random, root: Path, damage: Callable) -> Broken:
    """A mask of any mode, size, format and values."""
    file = MASK.format(split_of(rng))
    with Image.open(root / file) as mask:
        width, height = mask.size
    size = (width, height) if rng.random() < 0.7 else rng.choice([(1, 1), (height, width), (width + 1, height)])
    mode = rng.choice(["P", "P", "P", "P", "L", "L", "L", "1", "RGB", "RGBA", "LA", "I;16"])
    top = rng.choice([20, 20, 21, 255])
    values = [rng.choice([rng.randint(0, top), 255, 0]) for _ in range(size[0] * size[1])]
    kind = rng.choice(["PNG"] * 4 + ["BMP", "JPEG"])
    stored = io.BytesIO()
    picture = Image.new("L", size)
    picture.putdata(values)
    if mode == "P":
        picture.putpalette([rng.randrange(256) for _ in range(768)])
    elif mode == "I;16":
        picture = Image.fromarray(np.array(values, dtype=np.uint16).reshape(size[1], size[0]))
    elif mode != "L":
        picture = picture.convert(mode)
    if kind == "JPEG" or (kind == "BMP" and mode in ("LA", "I;16")):
        picture = picture.convert("L")
    picture.save(stored, kind)
    right = mode in ("P", "L") and kind == "PNG" and size == (width, height)
    right = right and all(value <= 20 or value == 255 for value in values)

    def same_values(data: Experience, before: bytes) -> None:
        assert sample_of(data, root / file, ".jpg").annotation["mask"].flatten().tolist() == values

    return Broken("seg", file, stored.getvalue(), same_values if right else refused_only)


def bomb(rng: Random, root: Path, damage: Callable) -> Broken:
    """A few bytes that claim to be many pixels: by their header alone, or by zeros that pack well."""
    side, bits, data = rng.choice([(10_000, 1, _packed()), *((side, 8, b"") for side in (10_000, 40_000, 2**31 - 1))])
    colour = 0 if bits == 1 else rng.choice([0, 2, 3, 6])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0))]
    if rng.random() < 0.3:
        chunks.append((b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000 if rng.random() < 0.05 else 1_100_000))))
    chunks += [(b"IDAT", data), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        content += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    name, file = rng.choice([*PICTURES.items(), ("seg", MASK)])
    return Broken(name, file.format(split_of(rng)), content, refused_only)


@cache
def _packed() -> bytes:
    """All the pixels of a picture of 10,000 x 10,000 black or white ones."""
    return zlib.compress(bytes(10_000 * (1 + 10_000 // 8)))


# ... and what the other layouts are written in.


def damaged_rows(rng: Random, root: Path, damage: Callable) -> Broken:
    """A text file of boxes, damaged anywhere, or a word of it replaced."""
    file = ROWS.format(split_of(rng))
    before = (root / file).read_bytes()
    words = before.decode().split(" ")
    words[rng.randrange(len(words))] = rng.choice(["2", "-1", "0.1", "nan", "1e400", "", "x", "1.5", "0x1", "٣", "\0"])
    content = damage(rng, before) if rng.random() < 0.5 else " ".join(words).encode()

    def as_written(data: Experience, before: bytes) -> None:
        parts = sample_of(data, root / file.replace("labels", "images"), ".jpg")
        height, width = parts.image.shape[1:]
        rows = [list(map(float, row.split())) for row in content.decode().splitlines() if row.strip()]
        assert parts.annotation["labels"].tolist() == [row[0] for row in rows]
        for box, (_, cx, cy, w, h) in zip(parts.annotation["boxes"], rows, strict=True):
            corners = [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
            assert torch.allclose(box, torch.tensor(corners), rtol=0, atol=ROUNDING + 1e-3)

    return Broken("yolo", file, content, as_written, by_letter=True)


def damaged_description(rng: Random, root: Path, damage: Callable) -> Broken:
    file = PATHS["yolo"]
    before = (root / file).read_bytes()
    words = before.decode().split(" ")
    words[rng.randrange(len(words))] = rng.choice(
        ["*a", "&a", "no", "[", "{}", "3", "!!int", "..", "\0", "x" * 5000, "?"]
    )
    return Broken("yolo", file, damage(rng, before) if rng.random() < 0.5 else " ".join(words).encode())


def damaged_table(rng: Random, root: Path, damage: Callable) -> Broken:
    file = PATHS["csv"]
    before = (root / file).read_bytes()
    words = before.decode().split(",")
    words[rng.randrange(len(words))] = rng.choice(['"', "", "a", "train", "test", "\n", "..", "/", "\0", "x" * 200_000])
    content = damage(rng, before) if rng.random() < 0.5 else ",".join(words).encode()

    def nothing_is_lost(data: Experience, before: bytes) -> None:
        rows = [row.split(",") for row in content.decode("utf-8-sig").split("\n")[1:] if row.strip("\r")]
        kept = [(name, label) for name, label, split in rows if split.strip("\r") in ("train", "val")]
        read = [(Path(each.name), data.classes[each.annotation["label"]]) for each in (*data.train, *data.val)]
        assert sorted(read) == sorted((root / name.strip('"'), label.strip('"')) for name, label in kept)

    return Broken("csv", file, content, nothing_is_lost, by_letter=True)


COPIED = 8
"""Of so many cases one is imported, too."""

WAYS = {
    damaged_annotations: 400,
    restructured_annotations: 1500,
    damaged_picture: 500,
    damaged_mask: 600,
    other_mask: 300,
    bomb: 50,
    damaged_rows: 300,
    damaged_description: 300,
    damaged_table: 300,
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_broken_data_are_refused_or_valid(root, damage, no_hang, way):
    ended = Counter()
    for seed in range(WAYS[way]):
        broken = way(Random(seed), root, damage)
        try:
            with no_hang():
                ended[outcome(root, broken, copied=seed % COPIED == 0)] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise AssertionError(f"{way.__name__}, seed {seed}, {broken.file}: {broken.content[:300]!r}") from error
    print(f"\n{way.__name__}: {WAYS[way]} cases, {dict(ended)}")
    assert sum(ended.values()) == WAYS[way]
    assert ended["refused"] + ended["repaired"] + ended["noted"] > WAYS[way] // 4
    for name in PATHS:  # each case put its file back
        assert not any(finding.fatal for finding in inspect(described(root, name), tell=assert_one_line)[1])


def test_there_are_enough_cases():
    assert sum(WAYS.values()) >= 2000
