import pytest
import yaml

from onehead_avl.report.model_card import Provenance, model_card
from onehead_avl.report.page.verdict import verdict

ROWS = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.1, 0.15, 0.6))
ORIGINS = {name: Provenance(f"set | {name}", f"licence {name}") for name in ("seg", "det", "cls")}


@pytest.fixture
def card(record):
    def card(pretraining=None, **values):
        run = record("naive", 3, *ROWS, environment={"torch": "2.9"}, **values)
        return run, model_card(
            run, "a network", 1_234_567, 320, "python -m onehead_avl.benchmark", ORIGINS, pretraining
        )

    return card


def table(text, header):
    """The rows of a table by what its header begins with."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header}"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.replace(r"\|", "¦").strip("|").split("|")])
    return rows


def test_it_begins_with_what_model_hubs_read(card):
    _, text = card()
    _, front, _ = text.split("---\n", 2)
    found = yaml.safe_load(front)
    assert found["library_name"] == "onehead-avl"
    assert found["tags"] == ["continual-learning", "segmentation", "detection", "classification"]


def test_it_says_what_was_learned_from_what_under_which_licence(card):
    _, text = card()
    assert table(text, "experience") == [
        ["seg", "segmentation", "background, cat", "240", "set ¦ seg", "licence seg"],
        ["det", "detection", "cat, dog", "200", "set ¦ det", "licence det"],
        ["cls", "classification", "cat, dog", "100", "set ¦ cls", "licence cls"],
    ]
    assert "a network, 1.23 M parameters" in text
    assert "seg, then det, then cls" in text


def test_it_says_how_good_the_model_is(card):
    run, text = card()
    assert verdict(run) in text
    rows = table(text, "metric")
    assert rows[0] == ["seg mIoU", "0.400", "0.100", "0.100 .. 0.900", "60"]
    assert rows[1] == ["det AP50", "0.200", "0.150", "-", "50"]
    assert rows[-1] == ["cls Top5", "-", "-", "-", "60"]


def test_it_says_what_the_backbone_had_learned_before(card):
    assert "The backbone began at random." in card()[1]
    assert "The backbone had learned ImageNet's classes." in card("had learned ImageNet's classes")[1]


def test_it_says_which_data_it_were_if_that_is_known(card):
    assert "Checksum of the data's manifest: `abc`." in card(manifest_sha256="abc")[1]
    assert "Checksum" not in card()[1]
