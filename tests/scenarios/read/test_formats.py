import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from onehead_avl.kinds.kind import kind_of
from scenarios.described import DRAWN
from scenarios.read import FORMATS


def test_names_are_different_and_none_is_that_of_drawn_images():
    names = [each.name for each in FORMATS]
    assert len({*names, DRAWN}) == len(names) + 1


@pytest.mark.parametrize("layout", FORMATS, ids=lambda layout: layout.name)
def test_a_layout_has_its_two_functions_and_a_kind(layout):
    module = import_module(layout.module)
    assert list(inspect.signature(module.recognises).parameters) == ["source"]
    assert list(inspect.signature(module.read).parameters) == ["source", "split", "findings", "classes"]
    assert kind_of(layout.kind).name == layout.kind


def test_the_tables_are_cheap_to_import():
    code = (
        "import sys, scenarios.read, scenarios.samples.rules, scenarios.challenge, scenarios.domains, scenarios.drawn\n"
    )
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
