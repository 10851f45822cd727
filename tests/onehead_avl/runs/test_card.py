from pathlib import Path

import pytest

from onehead_avl.runs.card import _DRAWN, _OFFICIAL, _origins, _pretraining
from onehead_avl.runs.config import Config


class Prepared:
    """What a card asks of a run."""

    def __init__(self, manifest=None, **options):
        self.config = Config(**options).resolved()
        self.manifest_sha256 = manifest


def test_drawn_images_are_the_programs_own():
    assert _origins(Prepared()) == dict.fromkeys(("seg", "det", "cls"), _DRAWN)


def test_a_folder_with_a_manifest_holds_the_official_sets(tmp_path):
    found = _origins(Prepared("abc", data=tmp_path))
    assert found == dict(zip(("seg", "det", "cls"), _OFFICIAL.values(), strict=True))


def test_of_other_folders_no_licence_is_known(tmp_path):
    found = _origins(Prepared(data=tmp_path))
    assert found["seg"].place == "mini_voc_seg"
    assert {each.licence for each in found.values()} == {"not known here: that of whoever made them"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, None),
        ({"backbone_weights": "imagenet"}, "had learned ImageNet's classes"),
        ({"backbone_weights": "a/b.safetensors"}, "began with `b.safetensors`"),
        ({"start_from": Path("a/c.safetensors")}, "and the rest began with `c.safetensors`"),
        ({"model": "examples.own_network:Plain"}, "is built by `examples.own_network:Plain`"),
    ],
)
def test_what_the_backbone_began_with_is_said(options, said):
    found = _pretraining(Prepared(**options))
    assert found is None if said is None else found.startswith(said)


def test_the_card_of_a_run_lies_beside_its_weights(trained):
    text = (trained[0] / "MODEL_CARD.md").read_text()
    assert "python -m onehead_avl.benchmark --data" in text
    assert "mobilenet_v3_small, an FPN layer and one head" in text
    assert (trained[0] / "model.safetensors").exists()
