import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from onehead_avl.errors import DataError
from onehead_avl.kinds.kind import kind_of
from scenarios.domains import night
from scenarios.samples import stored
from scenarios.samples.arena import slots
from scenarios.samples.facts import mask_facts, picture_facts
from scenarios.samples.stored import StoredMask, StoredPicture, StoredSample

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
MASK = np.array([[0, 3], [9, 255]], dtype=np.uint8).repeat(3, axis=0).repeat(5, axis=1)


def table(**values):
    """The class index of each value; void for those that are not given."""
    made = torch.full((256,), 255, dtype=torch.uint8)
    for value, index in values.items():
        made[int(value[1:])] = index
    return made


TABLE = table(v0=0, v3=1, v9=2)


def write(path, pixels, orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


CHANGED = (
    "expected the picture that was checked when the data were read, found another one or none; restore it, and "
    "continue with --resume what was interrupted"
)


@pytest.fixture
def picture(tmp_path):
    """A picture that was checked."""
    path = write(tmp_path / "a.png", PIXELS)
    return StoredPicture(path, picture_facts(path))


@pytest.fixture
def mask(tmp_path):
    """Its mask."""
    path = write(tmp_path / "a_mask.png", MASK)
    return StoredMask(path, mask_facts(path), TABLE)


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded from now on."""
    names = []
    for name in ("decode_rgb", "decode_indices"):
        decode = getattr(stored, name)
        monkeypatch.setattr(stored, name, lambda file, decode=decode: (names.append(file.name), decode(file))[1])
    return names


def boxes(*corners, labels=None):
    count = len(corners)
    return {
        "boxes": torch.tensor(corners, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels or range(count), dtype=torch.int64),
        "crowd": torch.zeros(count, dtype=torch.bool),
    }


def test_a_picture_is_decoded_when_it_is_read(picture, decoded):
    assert (picture.size, picture.shape, decoded) == ((6, 10), (3, 6, 10), [])
    image = picture.read()
    assert image.is_contiguous()
    assert torch.equal(image, torch.from_numpy(PIXELS).permute(2, 0, 1))
    picture.read()
    assert decoded == ["a.png"] * 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pixels_are_those_of_pillow(tmp_path, orientation):
    path = write(tmp_path / "a.png", PIXELS, orientation)
    plain, turned = (StoredPicture(path, picture_facts(path), upright) for upright in (False, True))
    with Image.open(path) as opened:
        shown = np.array(ImageOps.exif_transpose(opened))
    assert torch.equal(plain.read(), torch.from_numpy(PIXELS).permute(2, 0, 1))
    image = turned.read()
    assert torch.equal(image, torch.from_numpy(shown).permute(2, 0, 1))
    assert image.is_contiguous()
    assert image.shape == turned.shape == (3, *turned.size)
    assert plain.size == (6, 10)


def test_a_mask_holds_class_indices(mask, decoded):
    assert (mask.shape, decoded) == ((6, 10), [])
    assert mask.present.tolist() == [[0, 1, 2, 255]]
    assert decoded == []
    found = mask.read()
    assert found.dtype == torch.uint8
    assert torch.equal(found, TABLE[torch.from_numpy(MASK).long()])
    assert decoded == ["a_mask.png"]


def test_values_of_one_class_are_present_once(tmp_path):
    path = write(tmp_path / "a.png", MASK)
    assert StoredMask(path, mask_facts(path), table(v0=1, v3=1)).present.tolist() == [[1, 255]]


def test_what_has_a_slot_is_decoded_once(picture, mask, decoded):
    picture.slot, mask.slot = slots([PIXELS.size, MASK.size], 10_000)
    images, masks = [picture.read() for _ in range(3)], [mask.read() for _ in range(3)]
    assert decoded == ["a.png", "a_mask.png"]
    assert all(torch.equal(image, torch.from_numpy(PIXELS).permute(2, 0, 1)) for image in images)
    assert all(torch.equal(each, TABLE[torch.from_numpy(MASK).long()]) for each in masks)


def test_a_sample_that_another_process_gets_decodes_there(picture, mask, decoded):
    picture.slot, mask.slot = slots([PIXELS.size, MASK.size], 10_000)
    sample = StoredSample(picture, mask=mask)
    _ = sample.image
    sent = pickle.loads(pickle.dumps(sample))
    assert (sent.picture.slot, sent.mask.slot) == (None, None)
    assert torch.equal(sent.image, sample.image)
    assert torch.equal(sent.annotation["mask"], sample.annotation["mask"])
    assert decoded == ["a.png", "a.png", "a_mask.png", "a_mask.png"]


def test_a_sample_is_known_without_decoding(picture, mask, decoded):
    sample = StoredSample(picture, {"label": 3}, mask, (4, 5))
    assert (sample.name, sample.size, sample.places) == (picture.file, (6, 10), (4, 5))
    assert sample.digest == picture_facts(Path(picture.file)).digest
    assert sample.brief["label"] == 3
    assert sample.brief["mask"].tolist() == [[0, 1, 2, 255]]
    assert repr(sample) == f"StoredSample({picture.file!r})"
    sample.checksum()
    assert decoded == []
    assert sample.annotation.keys() == {"label", "mask"}
    assert decoded == ["a_mask.png"]
    assert sample.image.shape == (3, 6, 10)
    assert decoded == ["a_mask.png", "a.png"]


def test_a_sample_without_a_mask_decodes_nothing_for_its_annotation(picture, decoded):
    parts = boxes((1, 1, 5, 5))
    sample = StoredSample(picture, parts)
    assert sample.annotation is sample.brief is sample.parts is parts
    assert decoded == []
    assert StoredSample(picture).annotation == {}


def selected(sample, new):
    """A sample with some of the classes of its mask, as reading chooses them."""
    select = partial(kind_of("segmentation").select, new=new)
    return sample.changed(f"classes {sorted(new.items())}", annotation=select)


def test_a_change_is_made_when_it_is_asked_for_and_the_sample_stays_as_it_was(picture, mask, decoded):
    sample = StoredSample(picture, mask=mask)
    changed = selected(sample.changed("domain night", image=night), {2: 1})
    assert decoded == []
    assert changed.brief["mask"].tolist() == [[0, 0, 1, 255]]
    assert torch.equal(changed.image, night(sample.image))
    lookup = torch.zeros(256, dtype=torch.uint8)
    lookup[2], lookup[255] = 1, 255
    assert torch.equal(changed.annotation["mask"], lookup[sample.annotation["mask"].long()])
    assert torch.equal(sample.image, torch.from_numpy(PIXELS).permute(2, 0, 1))
    assert (changed.name, changed.size, changed.digest, changed.places) == (
        *(sample.name, sample.size, sample.digest, sample.places),
    )


def test_changes_are_made_in_the_order_given(picture):
    sample = StoredSample(picture, {"label": 1})
    more = sample.changed("more", lambda image: image // 2, lambda parts: {"label": parts["label"] + 1})
    both = more.changed("twice", lambda image: image + 1, lambda parts: {"label": parts["label"] * 10})
    assert torch.equal(both.image, sample.image // 2 + 1)
    assert (both.annotation, more.annotation, sample.annotation) == ({"label": 20}, {"label": 2}, {"label": 1})


# Checksums.


@pytest.fixture
def made(tmp_path, decoded):
    """The checksum of a sample that is made of something else in one respect."""

    def made(
        pixels=PIXELS, mask=MASK, of=TABLE, parts=None, name="a.png", orientation=1, upright=False, change=lambda it: it
    ):
        path = write(tmp_path / name, pixels, orientation)
        of_mask = write(tmp_path / f"mask {name}.png", mask)
        decoded.clear()
        picture = StoredPicture(path, picture_facts(path), upright)
        sample = StoredSample(picture, parts, StoredMask(of_mask, mask_facts(of_mask), of))
        checksum = change(sample).checksum()
        assert decoded == []
        return checksum

    return made


def flipped(pixels):
    changed = pixels.copy()
    changed.flat[7] ^= 1
    return changed


@pytest.mark.parametrize(
    "other",
    [
        {"pixels": flipped(PIXELS)},
        {"pixels": PIXELS.reshape(10, 6, 3), "mask": MASK.reshape(10, 6)},
        {"mask": MASK[::-1].copy()},  # the same values at other places
        {"of": table(v0=0, v3=2, v9=1)},
        {"of": table(v0=0, v3=1)},
        {"parts": {"label": 1}},
        {"parts": {"label": 2}},
        {"parts": boxes((1, 1, 5, 5))},
        {"parts": boxes((1, 1, 5, 5.5))},
        {"parts": boxes((1, 1, 5, 5), labels=[1])},
        {"parts": boxes()},
        {"orientation": 6, "upright": True},
        {"orientation": 8, "upright": True},
        {"change": lambda it: it.changed("domain night", image=night)},
        {"change": lambda it: it.changed("domain grey", image=night)},
        {"change": lambda it: selected(it, {1: 1})},
        {"change": lambda it: selected(it, {1: 2})},
        {"change": lambda it: selected(it, {2: 1})},
        {"change": lambda it: selected(it, {1: 1}).changed("domain night", image=night)},
    ],
    ids=range(19),
)
def test_another_sample_has_another_checksum(made, other):
    assert made(**other) != made()


def test_all_of_these_checksums_are_different(made):
    others = [
        {},
        {"of": table(v0=0, v3=2, v9=1)},
        {"parts": boxes((1, 1, 5, 5))},
        {"parts": boxes((1, 1, 5, 5), labels=[1])},
        {"orientation": 6, "upright": True},
        {"orientation": 8, "upright": True},
        {"change": lambda it: it.changed("domain night", image=night)},
        {"change": lambda it: it.changed("domain grey", image=night)},
        {"change": lambda it: selected(it, {1: 1})},
        {"change": lambda it: selected(it, {1: 2})},
    ]
    assert len({made(**other) for other in others}) == len(others)


@pytest.mark.parametrize("same", [{"name": "b.png"}, {"name": "a.bmp"}, {"orientation": 6}])
def test_where_and_how_a_sample_lies_means_nothing(made, same):
    assert made(**same) == made()


# Files that change after they were checked.


def test_a_picture_that_is_gone_is_named(picture, mask):
    sample = StoredSample(picture, mask=mask)
    for file, act in ((picture.file, lambda: sample.image), (mask.file, lambda: sample.annotation)):
        Path(file).unlink()
        with pytest.raises(DataError) as caught:
            act()
        assert str(caught.value) == f"{file}: {CHANGED}"


@pytest.mark.parametrize(
    ("pixels", "values"),
    [(PIXELS[:5], MASK[:, :5].copy()), (flipped(PIXELS), flipped(MASK))],
    ids=["of another size", "another pixel"],
)
def test_a_picture_that_was_changed_since_is_named(picture, mask, pixels, values):
    sample = StoredSample(picture, mask=mask)
    write(Path(picture.file), pixels)
    write(Path(mask.file), values)
    for file, act in ((picture.file, lambda: sample.image), (mask.file, lambda: sample.annotation)):
        with pytest.raises(DataError) as caught:
            act()
        assert str(caught.value) == f"{file}: {CHANGED}"


def test_what_has_a_slot_is_not_looked_for_again(picture):
    (picture.slot,) = slots([PIXELS.size], 10_000)
    before = picture.read()
    Path(picture.file).unlink()
    assert torch.equal(picture.read(), before)


def test_a_turned_picture_that_does_not_ask_for_it_any_more_is_read_as_it_was_checked(tmp_path):
    path = write(tmp_path / "a.png", PIXELS, 6)
    turned = StoredPicture(path, picture_facts(path), upright=True)
    before = turned.read()
    write(path, PIXELS)
    assert torch.equal(turned.read(), before)
