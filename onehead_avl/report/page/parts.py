"""What a page is made of: sections of tables, charts and pictures, rendered by templates that escape all text."""

import base64
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

_TEMPLATES = Environment(
    loader=PackageLoader("onehead_avl.report.page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_WIDTH = 320  # pixels of the longer side of a picture


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it says.
        share: Between 0 and 1, how deep its colour is; ``None`` without one.
        classes: Of the style sheet.
    """

    text: str
    share: float | None = None
    classes: str = ""


Row = Sequence[Cell | str]
"""A row of a table."""


@dataclass(frozen=True)
class Section:
    """A part of a page with a title.

    Attributes:
        title: Its title.
        blocks: Tables, charts and pictures, rendered.
        text: A sentence before them.
    """

    title: str
    blocks: Sequence[Markup] = field(default_factory=tuple)
    text: str = ""

    @property
    def anchor(self) -> str:
        """What a link to it is called."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Picture:
    """A picture in a strip.

    Attributes:
        data: The picture as an address that holds it.
        width: In pixels.
        height: In pixels.
        alt: What it shows, for those who do not see it.
        caption: What stands below it.
        truth: Whether it shows an annotation.
    """

    data: str
    width: int
    height: int
    alt: str
    caption: str
    truth: bool = False


def page(title: str, verdict: str, sections: Sequence[Section]) -> str:
    """Render a page.

    Args:
        title: Its title.
        verdict: The sentence that says what came out.
        sections: Those without blocks and text are left out.
    """
    style = Markup(files("onehead_avl.report.page").joinpath("templates/style.css").read_text(encoding="utf-8"))
    kept = [section for section in sections if section.blocks or section.text]
    return _TEMPLATES.get_template("base.html").render(title=title, verdict=verdict, sections=kept, style=style)


def table(header: Sequence[str], rows: Sequence[Row], caption: str = "") -> Markup:
    """Render a table."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    return Markup(_TEMPLATES.get_template("table.html").render(header=header, rows=cells, caption=caption))


def strip(title: str, pictures: Sequence[Picture], note: str = "") -> Markup:
    """Render pictures side by side."""
    return Markup(_TEMPLATES.get_template("strip.html").render(title=title, pictures=pictures, note=note))


def paragraph(text: str) -> Markup:
    """Render a sentence."""
    return Markup("<p>{}</p>").format(text)


def code(text: str) -> Markup:
    """Render text as it is."""
    return Markup("<pre>{}</pre>").format(text)


def titled(title: str, block: Markup) -> Markup:
    """Render a block under a title of its own."""
    return Markup("<h3>{}</h3>{}").format(title, block)


def chart(draw: Callable[[], Figure], name: str, alt: str) -> Markup:
    """Render a figure as SVG in the colours of the page.

    Args:
        draw: Makes the figure.
        name: Of its own on the page, so that what refers to parts of a figure finds those of this one.
        alt: What it shows, for those who do not see it.
    """
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "legend.facecolor": "none",
        "savefig.facecolor": "none",
    }
    file = io.StringIO()
    with matplotlib.rc_context(style):
        draw().savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace("#000000", "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # nothing refers to groups, and other figures have the same ones
    svg = svg.replace("<svg ", Markup('<svg role="img" aria-label="{}" ').format(alt), 1)
    return Markup('<figure class="chart">{}</figure>').format(Markup(svg))


def picture(image: Tensor, alt: str, caption: str, *, truth: bool = False) -> Picture:
    """Make an image ``(3, H, W)`` uint8 one of a strip."""
    small = to_pil_image(image)
    small.thumbnail((_WIDTH, _WIDTH))
    file = io.BytesIO()
    small.save(file, format="WEBP", quality=75)
    data = base64.b64encode(file.getvalue()).decode()
    return Picture(f"data:image/webp;base64,{data}", small.width, small.height, alt, caption, truth)
