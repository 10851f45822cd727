from onehead_avl.prepare import sources
from scenarios.challenge import FOLDERS


def test_archives_needed():
    assert sources.needed_archives(list(FOLDERS), full=False) == ["voc", "coco_annotations", "coco_val", "imagenette"]
    assert sources.needed_archives(["det"], full=True) == ["coco_annotations", "coco_val", "coco_train"]


def test_the_table_of_archives_is_plausible():
    assert {archive.name for archive in sources.ARCHIVES.values()} == {
        *("VOCtrainval_11-May-2012.tar", "annotations_trainval2017.zip", "val2017.zip", "train2017.zip"),
        "imagenette2-160.tgz",
    }
    for archive in sources.ARCHIVES.values():
        assert len(bytes.fromhex(archive.sha256)) == 32
        assert archive.size > 90e6
        assert all(url.startswith("http") and url.endswith(f"/{archive.name}") for url in archive.urls)
