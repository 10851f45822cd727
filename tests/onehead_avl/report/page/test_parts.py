import base64
import io
import re
from html.parser import HTMLParser

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from onehead_avl.report.page.parts import Cell, Section, chart, code, page, paragraph, picture, strip, table, titled

NASTY = "<script>alert('x')</script> & \"quoted\""


class Reader(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    VOID = frozenset(("meta", "img", "br", "link", "input"))

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_all_text_is_shown_as_it_is():
    blocks = [
        table([NASTY], [[NASTY], [Cell(NASTY, 0.5, "heat")]], NASTY),
        paragraph(NASTY),
        code(NASTY),
        titled(NASTY, code(NASTY)),
        strip(NASTY, [picture(torch.zeros(3, 8, 8, dtype=torch.uint8), NASTY, NASTY)], NASTY),
        chart(lambda: Figure(figsize=(1, 1)), "a", NASTY),
    ]
    found = Reader(page(NASTY, NASTY, [Section(NASTY, blocks, NASTY)]))
    assert found.named("script") == []
    assert sum(NASTY in words for words in found.words) == 17
    assert [each["alt"] for each in found.named("img")] == [NASTY]
    assert [each["aria-label"] for each in found.named("svg")] == [NASTY]


def test_a_page_has_a_title_a_verdict_and_links_to_each_section_that_says_something():
    sections = [Section("What was lost?", [paragraph("much")]), Section("Empty"), Section("Told", text="so")]
    found = Reader(page("A run", "It went well.", sections))
    assert [each["id"] for each in found.named("section")] == ["what-was-lost", "told"]
    assert [each["href"] for each in found.named("a")] == ["#what-was-lost", "#told"]
    assert "It went well." in found.words
    assert "Empty" not in found.words


def test_nothing_may_be_loaded_or_run():
    (policy,) = (each["content"] for each in Reader(page("", "", [])).named("meta") if "http-equiv" in each)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_cells_have_the_depth_of_their_share_and_their_classes():
    found = Reader(table(["a", "b", "c"], [["x", Cell("y", 0.25, "heat"), Cell("z", classes="worse")]]))
    plain, deep, marked = found.named("td")
    assert plain == {}
    assert deep == {"class": "heat", "style": "--share: 0.250"}
    assert marked == {"class": "worse"}


def test_a_picture_is_held_by_its_address():
    image = torch.zeros(3, 60, 120, dtype=torch.uint8)
    image[0, :, 60:] = 255
    shown = picture(image, "alt", "caption")
    data = base64.b64decode(shown.data.removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(data)) as found:
        assert found.format == "WEBP"
        assert found.size == (shown.width, shown.height) == (120, 60)
        assert found.convert("RGB").getpixel((100, 30))[0] > 200 > 50 > found.convert("RGB").getpixel((20, 30))[0]


def test_a_large_picture_is_made_small():
    shown = picture(torch.zeros(3, 1000, 2000, dtype=torch.uint8), "alt", "caption")
    assert (shown.width, shown.height) == (320, 160)


def figure():
    made = Figure(figsize=(3, 2))
    axes = made.add_subplot(title="A title")
    axes.plot([0, 1], [0, 1], clip_on=True)
    return made


def test_a_chart_is_drawn_in_the_colours_of_the_page_and_refers_to_itself_alone():
    one, other = (chart(figure, name, "alt") for name in ("one", "other"))
    assert "#000000" not in one
    assert "currentColor" in one
    assert "A title" in one  # as text, not as outlines
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip((one, other), ids, strict=True):
        assert set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg)) <= own
    assert "<metadata" not in one


def test_the_same_chart_is_the_same_text():
    assert chart(figure, "one", "alt") == chart(figure, "one", "alt")


@pytest.mark.parametrize("text", ["http://", "https://", "@import", "src="])
def test_a_page_of_text_and_charts_refers_to_nothing_outside(text):
    made = page("A run", "", [Section("One", [chart(figure, "one", "alt")])])
    assert text not in made.replace('xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace(
        'xmlns="http://www.w3.org/2000/svg"', ""
    )
