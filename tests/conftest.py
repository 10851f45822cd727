"""Tiny data sets on disk, for any test that needs a data folder, and a run of the benchmark on them."""

import contextlib
import gc
import importlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from textwrap import dedent
from typing import Any, NamedTuple

import numpy as np
import pytest
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from onehead_avl.command import run_command

# One thread, also in the processes that tests start: two on cores with other work to do wait for each other, spinning.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch, which nothing has imported yet, reads it once

DETECTION_CATEGORIES = {18: "dog", 1: "person", 3: "car"}  # not in the order of their ids, as files may be
CLASSIFICATION_CLASSES = ("n01440764", "n02102040", "n03028079")

# For each picture of a split: category id, x, y, w, h and iscrowd of its objects.
DETECTION_OBJECTS = {
    "train": [
        [(1, 4, 5, 20, 10, 0), (3, 0.5, 1.25, 8, 8.5, 0)],
        [(18, 10, 10, 12, 6, 0), (1, 0, 0, 30, 9, 1)],
        [],
        [(3, 2, 3, 25, 20, 0)],
    ],
    "val": [
        [(1, 6, 7, 18, 12, 0), (3, 1, 2, 9, 9, 0)],
        [(18, 5, 5, 22, 14, 0), (3, 20, 2, 10, 8, 1)],
    ],
}


# Python looks for garbage more seldom: it takes longer the more is imported, and here that is nearly all there is.
gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def spared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare runs what takes longer than all else in so small ones, but in tests of reports: charts and the latency.

    Runs that many tests look at have both: they are made before a test begins.
    """
    if "report" in request.path.parts or "drawn_charts" in request.fixturenames:
        return
    monkeypatch.setattr(Figure, "savefig", _blank)
    for page in ("run_page", "comparison_page"):
        if module := sys.modules.get(f"onehead_avl.report.page.{page}"):
            monkeypatch.setattr(module, "chart", lambda draw, name, alt: Markup("<figure></figure>"))
    if summary := sys.modules.get("onehead_avl.runs.summary"):
        monkeypatch.setattr(summary, "latency", lambda model, layout, device: 1.0)


@pytest.fixture
def drawn_charts() -> None:
    """Have charts drawn in a test that compares them."""


def _blank(figure: Figure, file: Any, *, format: str, **options: Any) -> None:
    """Write a picture of nothing in place of a chart."""
    Image.new("RGB", (8, 8)).save(file, format)


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for these tests alone: the user's knows nothing of them."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Write a module into the working directory; what was imported of it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    written = []

    def write(name: str, code: str) -> None:
        written.append(name)
        sys.modules.pop(name, None)
        (tmp_path / f"{name}.py").write_text(dedent(code))
        importlib.invalidate_caches()

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def mini_root(tmp_path: Path) -> Path:
    """A data folder with all three tasks in the challenge's layout, every picture of a split of another size.

    Segmentation: 4 train and 2 val pictures; picture i holds class i + 1 within a rim of void. Detection: 4 and 2
    pictures, the classes person, car and dog, a crowd in both splits, one train picture without objects.
    Classification: 4 and 3 pictures (a class cannot be empty) of 3 classes.
    """
    return _write_root(tmp_path / "data")


@pytest.fixture(scope="session")
def shared_mini_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ``mini_root``, written once for tests that only read it."""
    return _write_root(tmp_path_factory.mktemp("shared") / "data")


def _write_root(root: Path) -> Path:
    for split, pictures in (("train", 4), ("val", 2)):
        _write_segmentation(root / "mini_voc_seg" / split, pictures)
        _write_detection(root / "mini_coco_det", split)
    for split, pictures in (("train", 4), ("val", 3)):
        _write_classification(root / "imagenette_160" / split, pictures)
    return root


def _picture(position: int, split: str, first_channel: int) -> Image.Image:
    """A picture of (40 + 4 * position) x (30 + 2 * position) pixels: a bright rectangle on a slope of grey.

    The rectangle has another colour in each split, and in each task another channel for the same position.
    """
    height, width = 30 + 2 * position, 40 + 4 * position
    pixels = np.linspace(0, 120, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    pixels[8:20, 10:30, (position + first_channel) % 3] = {"train": 250, "val": 230}[split]
    return Image.fromarray(pixels)


def _write_segmentation(folder: Path, pictures: int) -> None:
    folder.mkdir(parents=True)
    for position in range(pictures):
        picture = _picture(position, folder.name, 0)
        indices = np.zeros((picture.height, picture.width), dtype=np.uint8)
        indices[7:21, 9:31] = 255
        indices[8:20, 10:30] = position + 1
        mask = Image.fromarray(indices)
        mask.putpalette([value * 37 % 256 for value in range(768)])
        picture.save(folder / f"2007_00000{position}.jpg")
        mask.save(folder / f"2007_00000{position}.png")


def _write_detection(folder: Path, split: str) -> None:
    (folder / split).mkdir(parents=True)
    (folder / "annotations").mkdir(exist_ok=True)
    images, annotations = [], []
    for position, objects in enumerate(DETECTION_OBJECTS[split]):
        picture = _picture(position, split, 1)
        image = {"id": 100 + position, "file_name": f"{100 + position:012d}.jpg"}
        images.append({**image, "width": picture.width, "height": picture.height})
        picture.save(folder / split / image["file_name"])
        for category, x, y, w, h, crowd in objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": crowd,
                }
            )
    categories = [{"id": key, "name": name} for key, name in DETECTION_CATEGORIES.items()]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / f"mini_instances_{split}2017.json").write_text(json.dumps(content))


def _write_classification(folder: Path, pictures: int) -> None:
    for position in range(pictures):
        name = CLASSIFICATION_CLASSES[position % len(CLASSIFICATION_CLASSES)]
        (folder / name).mkdir(parents=True, exist_ok=True)
        _picture(position, folder.name, 2).save(folder / name / f"{name}_{position}.JPEG")


class HungError(BaseException):
    """A case took so long that it probably never ends; no code under test can catch it by mistake."""


@pytest.fixture(scope="session")
def no_hang() -> Callable[[], contextlib.AbstractContextManager]:
    """Make a context that ends what hangs in it, a hundred times later than it should be done."""

    @contextlib.contextmanager
    def no_hang() -> Iterator[None]:
        def stop(*_: object) -> None:
            raise HungError

        before = signal.signal(signal.SIGALRM, stop)
        signal.alarm(10)
        try:
            yield
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)

    return no_hang


@pytest.fixture(scope="session")
def damage() -> Callable[[Random, bytes], bytes]:
    """Damage a file as disks, networks and editors do."""

    def damage(rng: Random, content: bytes) -> bytes:
        if not content:
            return rng.randbytes(rng.randint(0, 50))
        start = rng.randrange(len(content))
        stop = min(len(content), start + rng.choice([1, 4, 64, 1000]))
        length = stop - start
        changed = bytearray(content)
        kind = rng.choice(["flip"] * 4 + ["cut", "cut", "drop", "insert", "zero", "noise", "repeat", "head", "empty"])
        if kind == "flip":
            for position in rng.choices(range(len(content)), k=rng.choice([1, 1, 2, 8])):
                changed[position] ^= 1 << rng.randrange(8)
        elif kind == "head":  # where sizes and kinds are
            changed[rng.randrange(min(len(content), 64))] = rng.randrange(256)
        elif kind == "cut":
            del changed[start:]
        elif kind == "empty":
            del changed[:]
        else:
            pieces = {"drop": b"", "insert": rng.randbytes(length) + content[start:stop], "zero": bytes(length)}
            pieces |= {"noise": rng.randbytes(length), "repeat": content[start:stop] * 2}
            changed[start:stop] = pieces[kind]
        return bytes(changed)

    return damage


class Answer(NamedTuple):
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def invoke() -> Callable[..., Answer]:
    """Run the ``main`` of a command as ``python -m`` does, but in this process: importing Avalanche takes seconds."""

    def invoke(main: Callable[[], None], *arguments: object) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.setattr("sys.argv", ["command", *map(str, arguments)])
            try:
                status = run_command(main)
            except SystemExit as left:  # argparse's way
                status = left.code
        return Answer(status, out.getvalue(), err.getvalue())

    return invoke


@pytest.fixture(scope="session")
def train_own(invoke) -> Callable[..., Answer]:
    """Run the benchmark without a data folder, as small as can be where the arguments do not say otherwise."""
    from onehead_avl.benchmark import main

    tiny = ("--backbone-weights", "none", "--image-size", "64", "--epochs", "1", "--batch-size", "4")
    tiny += ("--replay-batch", "2", "--replay-size", "4", "--device", "cpu")
    return lambda output, *arguments: invoke(main, *tiny, "--output", output, *arguments)


@pytest.fixture(scope="session")
def train(train_own, shared_mini_root) -> Callable[..., Answer]:
    """Run the benchmark on the mini data, as small as can be where the arguments do not say otherwise."""
    return lambda output, *arguments: train_own(output, "--data", shared_mini_root, *arguments)


@pytest.fixture(scope="session")
def trained(train, tmp_path_factory) -> tuple[Path, Answer]:
    """A finished run of all three stages with replay and seed 0, and what it printed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    answer = train(folder)
    assert answer.status == 0, answer.err
    return folder, answer


@pytest.fixture(scope="session")
def compared(train, tmp_path_factory) -> tuple[Path, Answer]:
    """A finished comparison of naive and replay with the seeds 0 and 1 on the mini data, and what it printed."""
    folder = tmp_path_factory.mktemp("compared") / "runs"
    answer = train(folder, "--strategy", "naive", "replay", "--seeds", "0", "1")
    assert answer.status == 0, answer.err
    return folder, answer


@pytest.fixture
def few_drawn(monkeypatch) -> None:
    """Make the embedded data set small: ten images for each split, in which every class is the main one once."""
    from scenarios.drawn.embedded import COUNTS

    for split in COUNTS:
        monkeypatch.setitem(COUNTS, split, 10)


@pytest.fixture(scope="session")
def torchrun() -> Callable[..., subprocess.Popen]:
    """Start two processes that learn together, with what ``torchrun`` is to start."""
    root = Path(__file__).resolve().parents[1]
    alone = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    environment = {**alone, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return lambda *words: subprocess.Popen(
        [*command, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
