from pathlib import Path

import pytest
import torch

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import kind_of
from onehead_avl.kinds.segmentation import Segmentation
from scenarios.described import DRAWN, Described
from scenarios.drawn.embedded import COUNTS
from scenarios.drawn.looks import CATEGORIES
from scenarios.layouts import reader_of
from scenarios.samples.findings import Fault
from scenarios.samples.sample import Sample
from scenarios.samples.source import Source


class Depth(Segmentation):
    """A kind whose annotation no layout holds."""

    name = "depth"
    parts = ("depth",)


class Contours(Segmentation):
    """A kind of its own that reads masks."""

    name = "contours"


def described(kind, path=None, **options):
    source = {name: options.pop(name) for name in ("train", "val", "names", "size") if name in options}
    return Described("mine", kind, Source(path, **source), "a.yaml:3", **options)


def refused(kind, path=None, made=None, **options):
    with pytest.raises(Fault) as caught:
        reader_of(described(kind, path, **options), made or kind_of(kind))
    return str(caught.value)


def call(reader, split="train", source=None, classes=None):
    return reader(source or Source(), split, [], classes)


@pytest.mark.parametrize(
    ("kind", "folder", "layout"),
    [
        ("segmentation", "mini_voc_seg", "voc"),
        ("detection", "mini_coco_det", "coco"),
        ("classification", "imagenette_160", "class_folders"),
    ],
)
def test_a_layout_is_recognised_or_named(mini_root, kind, folder, layout):
    for named in (None, layout):
        found, reader = reader_of(described(kind, mini_root / folder, format=named), kind_of(kind))
        assert found == layout
        assert len(call(reader, source=Source(mini_root / folder))[0]) == 4


def test_named_folders_are_recognised_as_masks(mini_root):
    parts = {"images": "train", "masks": "train"}
    layout, _ = reader_of(described("segmentation", mini_root / "mini_voc_seg", train=parts), Segmentation())
    assert layout == "masks"


@pytest.mark.parametrize("name", ["data.yaml", "table.csv"])
def test_files_are_recognised(tmp_path, name):
    (tmp_path / name).touch()
    kind, layout = {"data.yaml": ("detection", "yolo"), "table.csv": ("classification", "csv")}[name]
    assert reader_of(described(kind, tmp_path / name), kind_of(kind))[0] == layout


def test_a_layout_of_another_kind_is_not_recognised(mini_root):
    message = refused("detection", mini_root / "mini_voc_seg")
    assert message.startswith(
        f"{mini_root / 'mini_voc_seg'}: expected a layout of detection images (coco, voc_xml, yolo)"
    )
    assert "recognised none; correct the path of experience mine, or name the layout with format" in message


def test_a_named_layout_of_another_kind_is_refused(mini_root):
    message = refused("detection", mini_root / "mini_voc_seg", format="voc")
    assert message == (
        "a.yaml:3: format: expected a layout of detection images (coco, voc_xml, yolo), got voc; name another one"
    )


@pytest.mark.parametrize("name", ["nowhere", "x" * 5000])
def test_a_path_that_does_not_exist_is_named(tmp_path, name):
    with pytest.raises(Fault) as caught:
        reader_of(described("detection", tmp_path / name), kind_of("detection"))
    assert caught.value.finding.file == tmp_path / name
    assert caught.value.finding.problem.startswith("expected the images of experience mine, found none")


def test_a_missing_path_names_the_description():
    assert refused("detection").startswith("a.yaml:3: expected the images of experience mine")


@pytest.mark.parametrize(
    ("kind", "folder", "said", "options"),
    [
        ("detection", "mini_coco_det", "names", {"names": {0: "cat"}}),
        ("segmentation", "mini_voc_seg", "val: images", {"val": {"images": "a"}}),
        ("classification", "imagenette_160", "train: a", {"train": {"a": "b"}}),
    ],
)
def test_what_a_layout_would_not_look_at_is_refused(mini_root, kind, folder, said, options):
    message = refused(kind, mini_root / folder, **options)
    assert message.startswith(f"a.yaml:3: {said} means nothing to the layout")


def test_a_kind_of_its_own_reads_the_layouts_that_have_its_parts(mini_root):
    assert reader_of(described("x:Contours", mini_root / "mini_voc_seg"), Contours())[0] == "voc"
    message = refused("x:Depth", mini_root / "mini_voc_seg", made=Depth())
    assert "expected a layout of depth images (none)" in message
    message = refused("x:Depth", mini_root / "mini_voc_seg", made=Depth(), format="voc")
    assert "expected a layout of depth images (module:function), got voc" in message


def test_drawn_images_have_the_classes_of_their_kind(monkeypatch):
    monkeypatch.setitem(COUNTS, "val", 2)
    layout, reader = reader_of(described("detection", format=DRAWN), kind_of("detection"))
    assert layout == DRAWN
    samples, classes = call(reader, "val", Source(size=40), CATEGORIES)
    assert classes == CATEGORIES
    assert [sample.image.shape for sample in samples] == [(3, 40, 40)] * 2
    with pytest.raises(Fault, match="expected the classes cat, the drawn images have disk, square"):
        call(reader, "val", Source(size=40), ("cat",))


def test_drawn_images_serve_a_kind_of_its_own_that_reads_their_parts(monkeypatch):
    monkeypatch.setitem(COUNTS, "val", 1)
    _, reader = reader_of(described("x:Contours", format=DRAWN), Contours())
    assert call(reader, "val", Source(size=40))[0][0].annotation.keys() == {"mask"}
    assert "expected a kind with drawn images (segmentation, " in refused("x:Depth", made=Depth(), format=DRAWN)


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """Write a module with a reader, and find that reader."""

    def brought(name, body):
        monkeypatch.syspath_prepend(str(tmp_path))
        head = (
            "from scenarios.samples.sample import Sample\nimport torch\n\ndef read(source, split, findings, classes):\n"
        )
        text = f"{head}    {body}\n"
        (tmp_path / f"{name}.py").write_text(text)
        return reader_of(described("x:Depth", tmp_path / "anywhere", format=f"{name}:read"), Depth())[1]

    return brought


GOOD = "[Sample('a', torch.zeros(3, 2, 2).byte(), {'depth': torch.zeros(2, 2)})]"


def test_a_reader_of_its_own_is_called(brought):
    reader = brought("reader_good", f"return {GOOD}, ['near']")
    samples, classes = call(reader)
    assert classes == ("near",)
    assert isinstance(samples[0], Sample)
    assert torch.equal(samples[0].annotation["depth"], torch.zeros(2, 2))


@pytest.mark.parametrize(
    "answer", ["None", f"{GOOD}", "[1], ()", f"{GOOD.replace('depth', 'mask')}, ()", "3, ()"], ids=range(5)
)
def test_a_reader_that_answers_otherwise_is_refused_by_name(brought, answer, request):
    reader = brought(f"reader_bad_{request.node.callspec.id}", f"return {answer}")
    with pytest.raises(
        UsageError, match=r"^a\.yaml:3: format: expected reader_bad_.:read to return samples with depth"
    ):
        call(reader)


def test_a_reader_that_changes_the_classes_is_refused(brought):
    reader = brought("reader_other", f"return {GOOD}, ('far',)")
    with pytest.raises(UsageError, match=r"expected reader_other:read to map val to the classes near, got far"):
        call(reader, "val", classes=("near",))


@pytest.mark.parametrize("path", ["nowhere_at_all:read", "pathlib:nothing", "scenarios.described:DRAWN"])
def test_what_is_no_reader_names_the_line(path):
    with pytest.raises(UsageError, match=r"^a\.yaml:3: format: "):
        reader_of(described("x:Depth", Path("a"), format=path), Depth())
