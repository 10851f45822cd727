from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenarios.samples.facts import Facts
from scenarios.samples.findings import Fault, Notes
from scenarios.samples.pictures import PICTURES, check_pictures, read_rgb, stored, undecodable, unread

FILE = Path("a.jpg")
TURNED = "pictures are turned as EXIF asks for, because their annotation has the turned size: there is one, a.jpg"
EITHER = (
    "EXIF asks to turn pictures whose annotation may mean either; they are read as they are stored: there is one, a.jpg"
)


def noted(act):
    """What a function of notes returns, and the findings about a folder."""
    findings = []
    with Notes(findings, Path("folder")) as notes:
        found = act(notes)
    assert all(finding.file == Path("folder") and not finding.fatal for finding in findings)
    return found, [finding.problem for finding in findings]


def test_rgb_pixels_survive(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_rgb(tmp_path / "a.png")
    assert image.dtype == torch.uint8
    assert image.is_contiguous()
    assert torch.equal(image, torch.from_numpy(pixels).permute(2, 0, 1))


def test_a_picture_that_cannot_be_decoded_names_its_file(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"broken")
    with pytest.raises(Fault) as caught:
        read_rgb(path)
    assert str(caught.value).startswith(f"{path}: expected a picture (JPEG, ")


def test_pictures_are_looked_at_once_each_and_those_of_several_pictures_are_noted(tmp_path):
    one, two = tmp_path / "one.png", tmp_path / "two.gif"
    Image.new("RGB", (5, 4), "red").save(one)
    Image.new("RGB", (5, 4), "red").save(two, save_all=True, append_images=[Image.new("RGB", (5, 4), "blue")])
    broken = tmp_path / "broken.png"
    broken.touch()
    known, problems = noted(lambda notes: check_pictures([two, one, two, broken], "title", notes))
    assert list(known) == [two, one, broken]
    assert [(facts.size, facts.frames) for facts in known.values()] == [((4, 5), 2), ((4, 5), 1), ((0, 0), 1)]
    assert known[one].digest == known[two].digest  # the same picture
    assert "found no such format" in known[broken].problem
    assert problems == ["of files with several pictures only the first one is read: there is one, two.gif"]


def test_a_picture_that_exif_leaves_alone_is_read_as_it_is():
    picture, problems = noted(lambda notes: stored(FILE, Facts((30, 40), "x"), notes, (40, 30)))
    assert (picture.file, picture.size, picture.upright, problems) == ("a.jpg", (30, 40), False, [])


@pytest.mark.parametrize(
    ("size", "orientation", "annotated", "upright", "problem"),
    [
        ((30, 40), 6, (40, 30), True, TURNED),
        ((30, 40), 6, (30, 40), False, None),
        ((30, 40), 6, (7, 7), False, None),  # the caller finds that it does not fit
        ((30, 40), 6, None, False, EITHER),
        ((30, 40), 3, (30, 40), False, EITHER),
        ((30, 40), 3, None, False, EITHER),
        ((30, 40), 3, (40, 30), False, None),
        ((30, 30), 8, (30, 30), False, EITHER),
    ],
)
def test_a_picture_is_turned_only_if_its_annotation_fits_the_turned_one_alone(
    size, orientation, annotated, upright, problem
):
    facts = Facts(size, "x", orientation)
    picture, problems = noted(lambda notes: stored(FILE, facts, notes, annotated))
    assert (picture.upright, problems) == (upright, [problem] if problem else [])
    assert picture.size == (size[::-1] if upright else size)


def test_a_picture_with_a_problem_is_a_fault():
    with pytest.raises(Fault, match=r"^a\.jpg: it is broken$"):
        noted(lambda notes: stored(FILE, Facts(problem="it is broken"), notes))


def test_unread_pictures_are_one_finding_that_is_not_fatal(tmp_path):
    assert unread(tmp_path, [], "beyond") == []
    (finding,) = unread(tmp_path, [tmp_path / "b.jpg", tmp_path / "a.jpg"], "beyond")
    assert (finding.fatal, finding.pictures) == (False, 2)
    assert str(finding) == f"{tmp_path}: pictures beyond are not read: there are 2, such as a.jpg"


def test_pictures_that_no_decoder_is_here_for_are_found_wherever_they_are(tmp_path):
    (tmp_path / "deep").mkdir()
    assert undecodable(tmp_path) == []
    for name in ("a.jpg", "deep/b.HEIC", "c.avif", "d.txt", ".e.avif"):
        (tmp_path / name).touch()
    (finding,) = undecodable(tmp_path)
    assert (finding.fatal, finding.pictures) == (False, 2)
    assert "there are 2, such as c.avif" in finding.problem


def test_every_suffix_is_in_lower_case_and_there_once():
    assert len(set(PICTURES)) == len(PICTURES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PICTURES)
