import hashlib
import json

import pytest

from onehead_avl.errors import DataError
from onehead_avl.prepare.__main__ import main
from onehead_avl.prepare.manifest import differences, manifest_digest, read_manifest


@pytest.fixture
def root(tmp_path):
    """A data folder with three files and their manifest."""
    contents = {
        "mini_voc_seg/train/a.jpg": b"a",
        "mini_voc_seg/val/b.jpg": b"b",
        "imagenette_160/val/n01440764/c.JPEG": b"c",
    }
    files = {}
    for name, content in contents.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    split = {"pictures": 1, "classes": {"person": 1}}
    manifest = {"version": 1, "options": {}, "sets": {"seg": {"train": split, "val": split}}, "files": files}
    (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "data"


def test_the_digest_is_that_of_the_file(root):
    assert manifest_digest(root) == hashlib.sha256((root / "manifest.json").read_bytes()).hexdigest()


def test_without_a_manifest_there_is_no_digest(tmp_path):
    assert manifest_digest(None) is None
    assert manifest_digest(tmp_path) is None
    assert manifest_digest(tmp_path / "none") is None


def test_a_folder_as_its_manifest_says(root):
    assert differences(root, read_manifest(root)) == []


def test_every_difference_is_found(root):
    (root / "mini_voc_seg" / "train" / "a.jpg").write_bytes(b"A")
    (root / "mini_voc_seg" / "val" / "b.jpg").rename(root / "mini_voc_seg" / "val" / "d.jpg")
    (root / "mini_coco_det").mkdir()
    (root / "mini_coco_det" / "e.jpg").touch()
    assert differences(root, read_manifest(root)) == [
        "mini_coco_det/e.jpg is not in the manifest",
        "mini_voc_seg/train/a.jpg was changed",
        "mini_voc_seg/val/b.jpg is missing",
        "mini_voc_seg/val/d.jpg is not in the manifest",
    ]


def test_what_readers_do_not_look_at_does_not_matter(root):
    (root / "notes.txt").touch()
    (root / "raw").mkdir()
    (root / "raw" / "val2017.zip").touch()
    (root / "mini_voc_seg" / "train" / ".DS_Store").touch()
    assert differences(root, read_manifest(root)) == []


def test_verify_says_what_is_there(invoke, root):
    answer = invoke(main, "--root", root, "--verify")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == f"{root} is as its manifest says, sha256 {manifest_digest(root)}"


def test_verify_names_the_first_differences(invoke, root):
    for name in "vwxyz":
        (root / "imagenette_160" / f"{name}.jpg").touch()
    answer = invoke(main, "--root", root, "--verify")
    assert (answer.status, answer.out) == (1, "")
    listed = ", ".join(f"imagenette_160/{name}.jpg is not in the manifest" for name in "vwx")
    assert answer.err == (
        f"error: {root} is not as its manifest says: {listed} and 2 more; restore the files or prepare a new folder\n"
    )


def test_verify_without_a_manifest(invoke, tmp_path):
    answer = invoke(main, "--root", tmp_path, "--verify")
    assert answer.status == 1
    assert answer.err == (
        f"error: {tmp_path / 'manifest.json'} cannot be read (No such file or directory); build a data folder with its "
        f"manifest by python -m onehead_avl.prepare --root {tmp_path}\n"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"files": {}, "options": {}, "sets": {}}',
        b'{"files": {"a": {}}, "options": {}, "sets": {}}',
        b'{"files": {"a": {"size": 1, "sha256": "x"}}, "options": 1, "sets": {}}',
        b'{"files": [1], "options": {}, "sets": {}}',
        b'{"files": {"a": {"size": 1, "sha256": "x"}}, "options": {}}',
        b'{"files": {"a": {"size": 1, "sha256": "x"}}, "options": {}, "sets": []}',
        b'{"files": {"a": {"size": 1, "sha256": "x"}}, "options": {}, "sets": {"depth": {}}}',
    ],
)
def test_another_file_of_that_name_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(
        DataError, match=r"manifest\.json: expected a manifest of onehead_avl\.prepare, found something"
    ):
        read_manifest(tmp_path)
