"""How the pages are built, by ``sphinx-build -W docs build/docs``: these texts, and the interface from its docstrings.

The texts are written for whoever reads them in the repository; their links are turned into links between pages here.
"""

import os
import re
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

from onehead_avl import __version__  # noqa: E402

PACKAGES = ("onehead_avl", "scenarios", "strategies")
GENERATED = DOCS / "generated"  # git ignores it

project = "onehead-avl"
author = "the onehead-avl maintainers"
release = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "myst_parser"]
html_theme = "alabaster"
html_show_copyright = False
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", rf"(?!({'|'.join(PACKAGES)})\.)\w+\..*"),  # what others document; nothing is downloaded
    ("py:class", r".*\.(_\w+|Key|Known|Same)"),  # what is private, and type variables
    ("py:class", "Tensor"),  # in modules that import it for type checks alone
]
myst_heading_anchors = 4
autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_numpy_docstring = False


def _name(path: Path) -> str:
    """The dotted name of a module's file, or of a folder of modules."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _pages() -> dict[Path, Path]:
    """The page of each text beside the folder of texts, of each module, and of each folder of modules."""
    pages = {ROOT / name: GENERATED / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            if file.stem != "__main__":
                for path in (file, file.parent):
                    pages[path] = GENERATED / "api" / f"{_name(path)}.rst"
    return pages


PAGES = _pages()


def _linked(text: str, written: Path, page: Path) -> str:
    """A text whose links lead from where its page is, and to pages where there are some.

    Args:
        text: In Markdown.
        written: The folder that its links are relative to.
        page: The folder of its page.
    """

    def link(match: re.Match[str]) -> str:
        place = (written / match[1]).resolve()
        return f"]({os.path.relpath(PAGES.get(place, place), page)}{match[2]})"

    return re.sub(r"\]\(([\w./-]+)((?:#[\w-]+)?)\)", link, text)


def _generate() -> None:
    """Write the pages that have no file of their own here."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    (GENERATED / "api").mkdir(parents=True)
    for path, page in PAGES.items():
        if path.suffix == ".md":
            page.write_text(_linked(path.read_text(encoding="utf-8"), ROOT, GENERATED), encoding="utf-8")
    names = {_name(path) for path in PAGES if path.suffix != ".md"}
    for name in names:
        lines = [f"``{name}``", "=" * (len(name) + 4), "", f".. automodule:: {name}", "   :members:"]
        lines += ["   :show-inheritance:", "", ".. toctree::", "   :maxdepth: 1", ""]
        lines += [f"   {other}" for other in sorted(names) if other.rpartition(".")[0] == name]
        (GENERATED / "api" / f"{name}.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app) -> None:
    """Have pages written before any is read, and links turned as texts are read."""
    _generate()

    def turn(app, name: str, source: list[str]) -> None:
        if "/" not in name:
            source[0] = _linked(source[0], DOCS, DOCS)

    def say_no_type(app, what: str, name: str, value, options, lines: list[str]) -> None:
        if what in ("attribute", "data", "property"):
            lines[0] = f": {lines[0]}"  # or napoleon takes what is before the first colon for a type

    def write_defaults(app, what: str, name: str, value, options, arguments: str | None, returned: str | None):
        return arguments and arguments.replace("<factory>", "..."), returned  # or it is no Python, and not taken apart

    app.connect("source-read", turn)
    app.connect("autodoc-process-signature", write_defaults)
    app.connect("autodoc-process-docstring", say_no_type, priority=400)  # before napoleon's
