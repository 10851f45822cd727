"""Every layout is recognised without a word, and trained on by one command."""

import json

import pytest

from onehead_avl.kinds.kind import kind_of
from scenarios.described import Described
from scenarios.layouts import reader_of
from scenarios.samples.source import Source

LAYOUTS = {
    "masks_by_split": ("segmentation", "masks"),
    "masks_by_kind": ("segmentation", "masks"),
    "voc_devkit": ("segmentation", "voc_devkit"),
    "coco": ("detection", "coco"),
    "roboflow_coco": ("detection", "coco"),
    "yolo": ("detection", "yolo"),
    "roboflow_xml": ("detection", "voc_xml"),
    "xml_by_split": ("detection", "voc_xml"),
    "class_folders": ("classification", "class_folders"),
    "table": ("classification", "csv"),
}


@pytest.mark.parametrize("write", LAYOUTS)
def test_a_layout_is_recognised(layouts, tmp_path, write):
    kind, expected = LAYOUTS[write]
    path = getattr(layouts, write)(tmp_path)
    found, _ = reader_of(Described("mine", kind, Source(path), "a.yaml:1"), kind_of(kind))
    assert found == expected


def test_a_devkit_holds_boxes_too(layouts, tmp_path):
    layouts.voc_devkit(tmp_path)
    found, _ = reader_of(Described("mine", "detection", Source(tmp_path), "a.yaml:1"), kind_of("detection"))
    assert found == "voc_xml"


def test_one_command_trains_on_all_of_them(layouts, train_own, tmp_path):
    lines = ["experiences:"]
    for write, (kind, layout) in LAYOUTS.items():
        path = getattr(layouts, write)(tmp_path / write)
        lines += [f"  - name: {write}", f"    kind: {kind}", f"    path: {path}"]
        lines += ["    names: {0: background, 1: sky, 2: cat}"] if layout == "masks" else []
    lines += ["  - name: boxes", "    kind: detection", f"    path: {tmp_path / 'voc_devkit' / 'VOCdevkit'}"]
    (tmp_path / "stream.yaml").write_text("\n".join(lines))
    answer = train_own(tmp_path / "run", "--stream", tmp_path / "stream.yaml", "--strategy", "naive")
    assert answer.status == 0, answer.err
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert len(results["stages"]) == len(LAYOUTS) + 1
    classes = {each["name"]: each["classes"] for each in results["experiences"]}
    assert classes["masks_by_kind"] == ["background", "sky", "cat"]
    assert classes["coco"] == ["person", "traffic light", "dog"]
    assert classes["boxes"] == ["dog", "person", "traffic light"]
    assert classes["table"] == ["red, or tulip", "rose"]
    assert all(outcome for outcome in results["outcomes"].values())
