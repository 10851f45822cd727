"""How time and memory grow with the number of images: ``python -m benchmarks.scale FOLDER [COUNT ...]``.

Draws scenes of 448 x 448 pixels into FOLDER, in the real layouts, once: COUNT training images (240, 2400 and 24000) and
a tenth as many validation images for each of three tasks. Then each count is learned in a process of its own, at the
default batch and memory budget, once all images that there is room for were decoded. Told are the seconds of the first
start, which checks all images, and of the second; the milliseconds of an image in an epoch, by the wall and by the
processor, over 2,400 images of it; and the largest memory of the process.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

COUNTS = (240, 2400, 24000)
SIDE = 448
SHADES = range(-24, 24, 4)
"""How much lighter the images are that are made of one scene, each of them mirrored, too: drawing takes longest."""

TIMED = 2400
"""Images of an epoch that are timed: spread over all of them."""

EPOCHS = {240: 4}
"""Of each experience, where one is too short to be timed; the last one counts."""

DONE = "complete"
FOLDERS = {"segmentation": "mini_voc_seg", "detection": "mini_coco_det", "classification": "imagenette_160"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("counts", type=int, nargs="*", default=COUNTS, metavar="COUNT")
    parser.add_argument("--size", type=int, default=320, help="side of the network's square; default: 320")
    parser.add_argument("--tasks", nargs="+", default=["seg", "det", "cls"], help="default: seg det cls")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)  # what a process of this program measures
    parser.add_argument("--start", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only is not None:
        print(json.dumps(measured(arguments.folder, arguments.only, arguments.size, arguments.tasks, arguments.start)))
        return
    for count in arguments.counts:
        if not (arguments.folder / str(count) / DONE).exists():
            draw(arguments.folder / str(count), count)
    print(f"{'images':>8}  {'first start':>11}  {'second':>8}  {'memory':>9}   an image of the last epoch")
    for count in arguments.counts:
        environment = {**os.environ, "XDG_CACHE_HOME": str(arguments.folder / f"cache{count}")}
        shutil.rmtree(environment["XDG_CACHE_HOME"], ignore_errors=True)
        command = [sys.executable, "-m", "benchmarks.scale", str(arguments.folder), "--only", str(count)]
        command += ["--size", str(arguments.size), "--tasks", *arguments.tasks]
        first = _answer([*command, "--start"], environment)
        second = _answer(command, environment)
        epochs = "  ".join(f"{task} {wall:.1f} ms, {used:.1f} of processor" for task, wall, used in second["epochs"])
        starts = f"{first['start']:>9.1f} s  {second['start']:>6.1f} s"
        print(f"{count:>8}  {starts}  {second['memory']:>6.0f} MB   {epochs}", flush=True)


def _answer(command: Sequence[str], environment: dict[str, str]) -> dict[str, Any]:
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def measured(folder: Path, count: int, size: int, tasks: Sequence[str], start_only: bool) -> dict[str, Any]:
    """Start, and learn each experience, in this process."""
    from onehead_avl.command import quiet_third_parties

    quiet_third_parties()
    from onehead_avl.runs.config import Config
    from onehead_avl.runs.identity import Identities
    from onehead_avl.runs.preparation import prepare
    from scenarios.reading import read_stream
    from scenarios.samples.stored import StoredSample

    config = Config(
        data=folder / str(count), order=tuple(tasks), strategy=("naive",), image_size=size, backbone_weights="none"
    ).resolved()
    began = time.perf_counter()
    stream = read_stream(config.placed(), tell=lambda line: None)
    Identities(stream)
    found: dict[str, Any] = {"start": time.perf_counter() - began, "epochs": []}
    if start_only:
        return found
    for sample in (sample for each in stream.experiences for sample in (*each.train, *each.val)):
        assert isinstance(sample, StoredSample)
        if sample.picture.slot is not None:
            _ = sample.image, sample.annotation
    prepared = prepare(config, stream)
    strategy = prepared.strategy
    for experience, task in zip(prepared.benchmark.train_stream, tasks, strict=True):
        experience._dataset = experience.dataset.subset(range(0, count, max(1, count // TIMED)))
        clock = _Epochs()
        strategy.plugins.append(clock)
        strategy.train_epochs = EPOCHS.get(count, 1)
        strategy.train(experience)
        strategy.plugins.remove(clock)
        found["epochs"].append((task, *(1000 * seconds / len(experience.dataset) for seconds in clock.last)))
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _Epochs() -> Any:  # a class, whose base takes seconds to import
    from avalanche.core import SupervisedPlugin

    class Epochs(SupervisedPlugin):
        """Keeps the seconds of the last epoch, by the wall and by the processor."""

        def before_training_epoch(self, strategy, **kwargs) -> None:
            self._began = time.perf_counter(), time.process_time()

        def after_training_epoch(self, strategy, **kwargs) -> None:
            wall, used = self._began
            self.last = time.perf_counter() - wall, time.process_time() - used

    return Epochs()


def draw(root: Path, count: int) -> None:
    """Write scenes in the real layouts, ``count`` for training and a tenth for validation."""
    shutil.rmtree(root, ignore_errors=True)
    for kind, folder in FOLDERS.items():
        for split, images in (("train", count), ("val", max(count // 10, 24))):
            title = f"drawing {images} images of {kind} {split}"
            scenes = iter(tqdm(_scenes(kind, split, images), desc=title, total=images, leave=False, disable=None))
            {"segmentation": _write_masks, "detection": _write_boxes, "classification": _write_classes}[kind](
                root / folder, split, scenes
            )
    (root / DONE).touch()


def _scenes(kind: str, split: str, images: int) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Images ``(H, W, 3)`` and their annotations, no two of which are the same."""
    from scenarios.drawn.embedded import drawn

    made = [(shade, mirrored) for shade in SHADES for mirrored in (False, True)]
    for number in range(images):
        if number % len(made) == 0:
            # One at a time: the seed of a data set of a single image is its number.
            (scene,) = drawn(kind, split, size=SIDE, count=1, seed=number // len(made))
        shade, mirrored = made[number % len(made)]
        pixels = np.clip(scene.image.permute(1, 2, 0).numpy().astype(int) + shade, 0, 255).astype(np.uint8)
        parts: dict[str, Any] = {
            name: part if isinstance(part, int) else part.numpy() for name, part in scene.annotation.items()
        }
        if mirrored:
            pixels = pixels[:, ::-1]
            if "mask" in parts:
                parts["mask"] = parts["mask"][:, ::-1]
            if "boxes" in parts:
                parts["boxes"] = np.stack(
                    [
                        SIDE - parts["boxes"][:, 2],
                        parts["boxes"][:, 1],
                        SIDE - parts["boxes"][:, 0],
                        parts["boxes"][:, 3],
                    ],
                    1,
                )
        yield pixels, parts


def _save(pixels: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, quality=90)


def _write_masks(root: Path, split: str, scenes: Iterator) -> None:
    for number, (pixels, parts) in enumerate(scenes):
        _save(pixels, root / split / f"{number:06d}.jpg")
        _save(parts["mask"], root / split / f"{number:06d}.png")


def _write_boxes(root: Path, split: str, scenes: Iterator) -> None:
    from scenarios.drawn.embedded import drawn_classes

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (pixels, parts) in enumerate(scenes):
        _save(pixels, root / split / f"{number:06d}.jpg")
        images.append({"id": number, "file_name": f"{number:06d}.jpg", "width": SIDE, "height": SIDE})
        for (left, top, right, bottom), label, crowd in zip(
            *(parts[part].tolist() for part in ("boxes", "labels", "crowd")), strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": [left, top, right - left, bottom - top],
                    "iscrowd": int(crowd),
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(drawn_classes("detection"))]
    (root / "annotations").mkdir(exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / f"mini_instances_{split}2017.json").write_text(json.dumps(content))


def _write_classes(root: Path, split: str, scenes: Iterator) -> None:
    for number, (pixels, parts) in enumerate(scenes):
        _save(pixels, root / split / f"class{parts['label']}" / f"{number:06d}.JPEG")


if __name__ == "__main__":
    main()
