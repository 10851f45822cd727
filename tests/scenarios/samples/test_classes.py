from onehead_avl.prepare.options import CATEGORIES
from scenarios.samples.classes import COCO_IDS, VOC_CLASSES


def test_coco_has_80_categories_with_ids_up_to_90():
    assert len(COCO_IDS) == len(set(COCO_IDS.values())) == 80
    assert sorted(set(range(1, 91)) - set(COCO_IDS.values())) == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert list(COCO_IDS.values()) == sorted(COCO_IDS.values())


def test_the_ids_of_the_challenges_categories():
    assert [COCO_IDS[name] for name in CATEGORIES] == [1, 3, 16, 17, 18, 44, 47, 62, 67, 84]


def test_voc_has_20_classes_and_background():
    assert len(VOC_CLASSES) == len(set(VOC_CLASSES)) == 21
    assert VOC_CLASSES[0] == "background"
