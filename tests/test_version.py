"""The version stands in ``onehead_avl.__version__``; what else names it has to follow."""

import re
from pathlib import Path

import yaml

from onehead_avl import __version__

ROOT = Path(__file__).resolve().parents[1]


def test_the_package_is_built_with_it():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'version = { attr = "onehead_avl.__version__" }' in project
    assert not re.search(r'^version = "', project, re.MULTILINE)


def test_the_changelog_begins_with_it():
    headings = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == __version__


def test_a_citation_names_it():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
