"""The official archives in small, a web server that misbehaves on request, and the command on both."""

import functools
import hashlib
import http.server
import io
import json
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onehead_avl.prepare import download, sources
from onehead_avl.prepare.__main__ import main
from onehead_avl.prepare.sources import ARCHIVES, Archive
from scenarios.description import read_description
from scenarios.experience import Experience
from scenarios.reading import read_stream
from scenarios.samples.classes import COCO_IDS

CLASSES = ("n01440764", "n02102040", "n03028079")
MINI = ("--train", "6", "--val", "3", "--categories", "person", "car", "dog")
"""As many pictures as the small archives have."""

TWINS = {"voc": "2007_000001", "coco": 1002, "imagenette": "val/n02102040/ILSVRC_1.JPEG"}
"""One photograph that is in all three data sets, in COCO byte by byte and in Imagenette with another comment."""


@pytest.fixture(scope="session")
def read_folder() -> Callable[[Path, str], Experience]:
    """Read an experience of the challenge from a data folder, as training does: whatever is wrong is refused."""

    def read_folder(root: Path, task: str) -> Experience:
        challenge = read_description("challenge").on(root, 32)
        asked = [each for each in challenge.experiences if each.name == task]
        (experience,) = read_stream(replace(challenge, experiences=tuple(asked)), lambda line: None).experiences
        return experience

    return read_folder


def noise(seed: int, width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    channels = {"RGB": 3, "CMYK": 4, "L": 1}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(), mode=mode)


def jpeg(picture: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def palette_png(indices: np.ndarray) -> bytes:
    mask = Image.fromarray(indices.astype(np.uint8), mode="P")
    mask.putpalette([value * 37 % 256 for value in range(768)])
    file = io.BytesIO()
    mask.save(file, "PNG")
    return file.getvalue()


def voc_files() -> dict[str, bytes]:
    """14 training and 8 validation pictures; picture i has classes i and i + 1 of the first five, one has class 20."""
    files, lists = {}, {"train": [], "val": []}
    for number in range(22):
        stem = f"2007_{number:06d}"
        lists["train" if number < 14 else "val"].append(stem)
        indices = np.zeros((48, 64))
        indices[4:30, 4:30] = 255
        indices[6:20, 6:20] = number % 5 + 1
        indices[20:28, 20:28] = 20 if number in (3, 17) else (number + 1) % 5 + 1
        files[f"JPEGImages/{stem}.jpg"] = jpeg(noise(number))
        files[f"SegmentationClass/{stem}.png"] = palette_png(indices)
        files[f"Annotations/{stem}.xml"] = b"<annotation/>"
    files["JPEGImages/2007_999999.jpg"] = jpeg(noise(999))  # not of the segmentation task
    for split, stems in lists.items():
        files[f"ImageSets/Segmentation/{split}.txt"] = "".join(f"{stem}\n" for stem in stems).encode()
    return files


def coco_files(voc: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """20 validation and 9 training pictures: most with objects, three boxes that are impossible, one crowd alone."""
    found: dict[str, dict[str, bytes]] = {"annotations": {}, "val2017": {}, "train2017": {}}
    categories = [{"id": key, "name": name, "supercategory": "thing"} for name, key in COCO_IDS.items()]
    for split, start, pictures in (("val", 1000, 20), ("train", 2000, 9)):
        images, annotations = [], []

        def annotate(image, name, box, crowd=0, annotations=annotations):
            annotations.append(
                {
                    "id": 1000 * image + len(annotations),
                    "image_id": image,
                    "category_id": COCO_IDS[name],
                    "bbox": box,
                    "area": 100.0,
                    "iscrowd": crowd,
                    "segmentation": [[1, 1, 9, 1, 9, 9]],
                }
            )

        for number in range(start, start + pictures):
            name, mode = f"{number:012d}.jpg", {1004: "L", 1005: "CMYK"}.get(number, "RGB")
            same = voc[f"JPEGImages/{TWINS['voc']}.jpg"]
            found[f"{split}2017"][name] = same if number == TWINS["coco"] else jpeg(noise(number, mode=mode))
            images.append({"id": number, "file_name": name, "width": 64, "height": 48, "license": 3})
            annotate(number, ("person", "car", "dog", "zebra")[number % 4], [2.5, 3.0, 20.25, 10.0])
        for image in range(start, start + 3):
            annotate(image, "person", [1.0, 1.0, 30.0, 20.0], crowd=1)
            annotate(image, "car", [5.0, 5.0, 0.0, 10.0])  # no area
            annotate(image, "dog", [50.0, 40.0, 30.0, 30.0])  # reaches 16 pixels over the edge
            annotate(image, "dog", [60.5, 1.0, 4.0, 5.0])  # half a pixel: rounding
        annotate(start + 7, "person", [0.0, 0.0, 60.0, 40.0], crowd=1)  # a picture of zebras
        content = {
            "info": {"year": 2017},
            "licenses": [{"id": 3, "name": "CC"}],
            "images": images,
            "annotations": annotations,
            "categories": categories,
        }
        found["annotations"][f"instances_{split}2017.json"] = json.dumps(content).encode()
    found["annotations"]["captions_val2017.json"] = b"{}"
    return found


def imagenette_files() -> dict[str, bytes]:
    """Three classes of 6 training and 4 validation pictures."""
    files = {"noisy_imagenette.csv": b"path\n"}
    for split, pictures in (("train", 6), ("val", 4)):
        for label, name in enumerate(CLASSES):
            for number in range(pictures):
                seed = 3000 + 100 * label + number + (50 if split == "val" else 0)
                files[f"{split}/{name}/ILSVRC_{number}.JPEG"] = jpeg(noise(seed))
    twin = int(TWINS["voc"][-6:])
    files[TWINS["imagenette"]] = jpeg(noise(twin), comment="the same photograph")
    return files


def write_tar(path: Path, folder: str, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_zip(path: Path, folder: str, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{folder}/", b"")
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)


def as_published(archive: Archive, path: Path, hosts: tuple[str, ...] = ()) -> Archive:
    """An entry of the table of archives for a file."""
    content = path.read_bytes()
    return replace(archive, name=path.name, hosts=hosts, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="session")
def official(tmp_path_factory) -> Path:
    """A folder with the five archives, and the folders extracted from them in ``extracted``."""
    folder = tmp_path_factory.mktemp("official")
    voc = voc_files()
    coco = coco_files(voc)
    content = {
        "voc": voc,
        "coco_annotations": coco["annotations"],
        "coco_val": coco["val2017"],
        "coco_train": coco["train2017"],
        "imagenette": imagenette_files(),
    }
    for key, files in content.items():
        archive = ARCHIVES[key]
        write = write_zip if archive.name.endswith(".zip") else write_tar
        write(folder / archive.name, archive.folder, files)
        for name, data in files.items():
            path = folder / "extracted" / archive.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


class Server(http.server.ThreadingHTTPServer):
    """Serves the files of a folder, and misbehaves as planned.

    Attributes:
        requests: The ``(file name, Range header)`` of every request.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, folder))
        self.requests: list[tuple[str, str | None]] = []
        self.over = threading.Event()
        self._planned: dict[str, list] = {}

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def plan(self, name: str, *faults: str | int | None) -> None:
        """What the next requests for a file get: a fault each, ``None`` for a proper answer; the last one stays."""
        self._planned[name] = list(faults)

    def next_fault(self, name: str) -> str | int | None:
        planned = self._planned.get(name, [None])
        return planned.pop(0) if len(planned) > 1 else planned[0]

    def handle_error(self, request, client_address) -> None:
        """Nothing: clients that hang up are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, folder: Path, *arguments) -> None:
        self._folder = folder
        super().__init__(*arguments)

    def log_message(self, *arguments) -> None:
        """Nothing: tests are quiet."""

    def do_GET(self) -> None:
        name, asked = self.path.rsplit("/", 1)[-1], self.headers.get("Range")
        self.server.requests.append((name, asked))
        fault, path = self.server.next_fault(name), self._folder / name
        if self.headers.get("Accept-Encoding") != "identity":
            fault = 406  # lest it be compressed on the way
        if isinstance(fault, int) or not path.is_file():
            self.send_error(fault or 404)
            return
        content = path.read_bytes()
        ignored = not asked or fault in ("ignore range", "ignore range and cut")
        start = 0 if ignored else int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_error(416)
            return
        if fault == "page":
            content, start = b"<html>please sign in</html>", 0
        elif fault == "wrong bytes":
            content = bytes(len(content))
        elif fault == "other range":
            start //= 2
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if fault != "too many":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        if fault in ("cut", "cut before", "ignore range and cut", "stall", "silence"):
            self.wfile.write(rest[: 0 if fault in ("cut before", "silence") else (len(rest) + 1) // 2])
            self.wfile.flush()
            if fault in ("stall", "silence"):
                self.server.over.wait(300)
            self.close_connection = True
        else:
            self.wfile.write(rest + bytes(5000 if fault == "too many" else 0))


@pytest.fixture
def server(official) -> Iterator[Server]:
    """A web server that has the official archives."""
    with Server(official) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def archives(official, server, monkeypatch) -> dict[str, Archive]:
    """The table of archives, with the small ones on the local server and little patience."""
    table = {key: as_published(each, official / each.name, (server.host,)) for key, each in ARCHIVES.items()}
    monkeypatch.setattr(sources, "ARCHIVES", table)
    monkeypatch.setattr(download, "PATIENCE", download.Patience(connect=2, read=0.3, tries=3, pause=0.001))
    monkeypatch.setattr(download, "_CHUNK", 1 << 10)
    return table


@pytest.fixture
def prepare(invoke, archives) -> Callable:
    """Run the command on the small archives, drawing as many pictures as they have."""
    return lambda root, *arguments: invoke(main, "--root", root, *MINI, *arguments)


def tree(root: Path) -> dict[str, bytes]:
    """All files of a folder, also hidden ones."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def read_tree() -> Callable[[Path], dict[str, bytes]]:
    return tree


@pytest.fixture
def source(mini_root) -> Path:
    """The mini data, every picture another one and categories in the order of their ids, so that nothing is wrong."""
    for number, path in enumerate(sorted(path for path in mini_root.rglob("*") if path.suffix in (".jpg", ".JPEG"))):
        with Image.open(path) as picture:
            size = picture.size
        path.write_bytes(jpeg(noise(5000 + number, *size)))
    path = mini_root / "mini_coco_det" / "annotations" / "mini_instances_train2017.json"
    content = json.loads(path.read_text())
    content["categories"].sort(key=lambda entry: entry["id"])
    path.write_text(json.dumps(content))
    return mini_root


@pytest.fixture
def root(tmp_path) -> Path:
    """A data folder that is not there yet."""
    return tmp_path / "data"


@pytest.fixture
def built(prepare, root) -> tuple:
    """A data folder that was prepared, and what the command said."""
    answer = prepare(root)
    assert answer.status == 0, answer.err
    return root, answer


@pytest.fixture
def extracted(official, tmp_path) -> Path:
    """A copy of the extracted folders, to break."""
    return shutil.copytree(official / "extracted", tmp_path / "extracted")


@pytest.fixture(scope="session")
def assert_refused() -> Callable:
    """Check that a command ended with a status and one sentence that has some fragments in it."""

    def assert_refused(answer, status, *fragments):
        assert answer.status == status
        assert "Traceback" not in answer.err + answer.out
        last = answer.err.strip().splitlines()[-1]
        assert last.startswith("error: ")
        assert all(str(fragment) in last for fragment in fragments), last

    return assert_refused


@pytest.fixture
def adopt(invoke, tmp_path) -> Callable:
    """Adopt a folder into a new one: the answer, and the findings as they were said."""

    def adopt(source, *arguments):
        answer = invoke(main, "--import", source, "--root", tmp_path / "adopted", *arguments)
        said = answer.out.split("\n\n")[0].splitlines()
        return answer, [line.removeprefix(f"{source}: ").removeprefix(f"{source}/") for line in said]

    return adopt


@pytest.fixture
def adopted(tmp_path) -> Path:
    """The folder that ``adopt`` writes."""
    return tmp_path / "adopted"
