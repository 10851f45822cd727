import re

import pytest
import torch

from onehead_avl.report.page import strips
from onehead_avl.report.page.strips import stage_strips, strategy_strips, within_budget
from onehead_avl.report.shown import ShownPicture

ROWS = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.1, 0.15, 0.6))


def shown(name="a.jpg", experience="cls", guesses=(0, 1, 1), **values):
    image = torch.full((3, 64, 64), 100, dtype=torch.uint8)
    predictions = tuple(
        None if guess is None else {"label": torch.tensor(guess), "probabilities": torch.tensor([0.5, 0.5])}
        for guess in guesses
    )
    made = {"annotation": {"label": torch.tensor(0)}, "values": (0.0, 1.0, None)[: len(guesses)], "lost": False}
    return ShownPicture(experience, name, image, **{**made, "predictions": predictions, **values})


def captions(block):
    return re.findall(r"<figcaption>(.*?)</figcaption>", block)


def alts(block):
    return re.findall(r'alt="(.*?)"', block)


def test_a_picture_is_shown_from_the_own_stage_of_its_experience_on(record):
    run = record("naive", 0, *ROWS)
    (last,) = stage_strips(run, [shown(experience="cls")])
    assert captions(last) == ["annotation", "after cls"]
    (first,) = stage_strips(run, [shown("x/b.jpg", "seg", annotation=MASK, predictions=({"mask": MASK["mask"]},) * 3)])
    assert captions(first) == ["annotation", "after seg, mIoU 0.00", "after det, mIoU 1.00", "after cls"]
    assert alts(first)[0] == "b.jpg with its annotation: cat"
    assert alts(first)[2] == "b.jpg, predicted after det, mIoU 1.00: cat"
    assert "Most was lost" not in first


MASK = {"mask": torch.ones(64, 64, dtype=torch.int64)}


def test_a_picture_of_which_much_was_lost_says_so(record):
    (block,) = stage_strips(record("naive", 0, *ROWS), [shown(lost=True)])
    assert "Most was lost of it." in block


def test_of_networks_of_their_own_only_that_of_the_experience_is_shown(record):
    (block,) = stage_strips(
        record("from-scratch", 0, *ROWS), [shown(guesses=(None, None, 1), values=(None, None, 0.5))]
    )
    assert captions(block) == ["annotation", "after cls, Top1 0.50"]


def test_of_many_stages_the_own_the_last_and_some_between_are_shown():
    each = shown(guesses=(0,) * 21, values=(0.5,) * 21)
    assert strips._stages(each, 1) == [1, 5, 9, 12, 16, 20]


def test_a_page_that_would_be_too_large_has_the_first_pictures_of_every_experience(record, monkeypatch):
    monkeypatch.setattr(strips, "MOST_PICTURES", 4)
    pictures = [shown(f"{name}{i}", name) for name in ("seg", "cls") for i in range(3)]
    kept = within_budget(pictures, {id(each): 2 for each in pictures})
    assert [each.name for each in kept] == ["seg0", "cls0"]
    blocks = stage_strips(record("naive", 0, *ROWS), [shown(f"{i}.jpg") for i in range(4)])
    assert len(blocks) == 3
    assert "2 more images are left out" in blocks[-1]


def test_strategies_are_shown_side_by_side_at_the_end_with_the_images_that_all_have(record):
    runs = {
        "naive": (record("naive", 0, *ROWS), [shown("a.jpg"), shown("b.jpg")]),
        "replay": (record("replay", 0, *ROWS), [shown("b.jpg", values=(0, 0, 0.25)), shown("c.jpg")]),
        "from-scratch": (record("from-scratch", 0, *ROWS), [shown("b.jpg", guesses=(0, None, None))]),
    }
    (block,) = strategy_strips(runs)
    assert "<h3>cls: b.jpg</h3>" in block
    assert captions(block) == ["annotation", "naive", "replay, Top1 0.25", "from-scratch, Top1 0.00"]


@pytest.mark.parametrize("annotation", [0, 1])
def test_pictures_differ_if_what_they_show_does(record, annotation):
    (block,) = stage_strips(record("naive", 0, *ROWS), [shown(annotation={"label": torch.tensor(annotation)})])
    annotated, predicted = re.findall(r'src="(.*?)"', block)
    assert annotated != predicted
