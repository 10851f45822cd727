"""The pages of the texts and of the interface, and the examples in docstrings."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [
    file for package in ("onehead_avl", "scenarios", "strategies") for file in sorted((ROOT / package).rglob("*.py"))
]
NAMES = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES}
WITH_EXAMPLES = [name for name, file in NAMES.items() if ">>> " in file.read_text(encoding="utf-8")]


def test_there_are_examples():
    assert {"onehead_avl.target", "onehead_avl.kinds.kind", "scenarios.description"} <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_say_what_comes_out(name):
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages, built as a contributor builds them; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        folder / "read",
        "docs",
        folder / "pages",
    ]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "pages"


@pytest.mark.slow
def test_every_module_has_a_page(site):
    pages = {file.stem for file in (site / "generated/api").glob("*.html")}
    assert {name for name in NAMES if not name.endswith("__main__")} <= pages
    assert 'id="onehead_avl.target.Target.cat"' in (site / "generated/api/onehead_avl.target.html").read_text()


@pytest.mark.slow
def test_links_between_texts_lead_to_pages(site):
    readme = (site / "generated/README.html").read_text()
    recipe = (site / "recipe.html").read_text()
    assert 'href="../reliability.html#bad-input"' in readme
    assert 'href="CONTRIBUTING.html"' in readme
    assert 'href="generated/README.html#results"' in recipe
    assert 'href="generated/api/strategies.isolation.html"' in recipe
    assert "ablated.py" in recipe
    assert (site / "_images/report-run.webp").is_file()
