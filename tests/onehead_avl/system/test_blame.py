import importlib
import json
import re
import sysconfig
from pathlib import Path

import pytest
import torch
from avalanche.models import avalanche_forward
from avalanche.training.plugins import EvaluationPlugin
from torch import nn

from onehead_avl.model.network import OneHeadNet
from onehead_avl.system import blame
from onehead_avl.system.blame import place_of, takes_part
from onehead_avl.system.importing import import_attribute


def raised(call, *arguments, **options):
    """The error that a call raises; this test, which is somebody's own code too, is left out of its traceback."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call(*arguments, **options)
    return caught.value.with_traceback(caught.value.__traceback__.tb_next)


def place(call, *arguments, **options):
    return place_of(raised(call, *arguments, **options))


@pytest.fixture
def mine(write):
    """Write a module of the working directory, and import its last function."""

    def mine(code):
        write("mine", code)
        return import_attribute(f"mine:{re.findall(r'^def (.*)[(]', code, re.MULTILINE)[-1]}")

    return mine


def test_an_error_in_a_module_of_the_working_directory_is_at_its_line(mine):
    call = mine("def inner():\n    return 1 / 0\n\ndef outer():\n    inner()\n")
    assert place(call) == "mine.py, line 2, in inner"


def test_an_error_that_avalanche_raises_is_at_the_line_of_ones_own_that_led_to_it(mine):
    call = mine(
        "from avalanche.models import avalanche_forward\n\ndef answer():\n    return avalanche_forward(None, 0, 0)\n"
    )
    assert place(call) == "mine.py, line 4, in answer"


def test_an_error_in_a_function_of_ones_own_that_avalanche_calls_is_at_its_line(mine):
    loggers = mine("def loggers():\n    return {}['nothing']\n")
    assert place(EvaluationPlugin, loggers=loggers) == "mine.py, line 2, in loggers"


def test_an_error_in_avalanches_code_alone_is_at_its_line():
    assert re.fullmatch(
        r"avalanche/models/utils\.py, line \d+, in avalanche_forward", place(avalanche_forward, None, 0, 0)
    )


def test_an_error_that_avalanche_leads_to_is_at_its_line_and_not_at_the_innermost():
    found = place(avalanche_forward, nn.Linear(2, 2), torch.zeros(3), None)  # PyTorch raises it
    assert re.fullmatch(r"avalanche/models/utils\.py, line \d+, in avalanche_forward", found)


def test_an_error_without_ones_own_code_and_avalanches_is_at_the_innermost_line():
    assert re.fullmatch(r"json/decoder\.py, line \d+, in raw_decode", place(json.loads, ""))


def test_the_code_of_this_project_is_not_somebodys(layout):
    network = OneHeadNet(layout, channels=16)
    found = place(network.forward, torch.zeros(1, 3, 8, 8))
    assert re.fullmatch(r"onehead_avl/model/network\.py, line \d+, in forward", found)


def test_a_folder_that_has_avalanches_name_does_not_make_what_is_in_it_avalanches(tmp_path, monkeypatch):
    """Some call the folder of a virtual environment as the package that it is for."""
    installed = tmp_path / "avalanche" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "lies_there.py").write_text("def fail(x):\n    return x / 0\n")
    monkeypatch.setattr(blame, "_INSTALLED", (*blame._INSTALLED, installed))
    monkeypatch.syspath_prepend(installed)
    fail = importlib.import_module("lies_there").fail
    assert place(fail, 1) == "lies_there.py, line 2, in fail"
    assert place(avalanche_forward, fail, 1, 0).startswith("avalanche/models/utils.py, line ")


def test_packages_may_be_installed_in_a_folder_of_the_working_directory(monkeypatch):
    monkeypatch.chdir(Path(sysconfig.get_path("purelib")).parent)
    assert place(avalanche_forward, None, 0, 0).startswith("avalanche/models/utils.py, line ")


def test_a_file_elsewhere_is_named_with_its_folder(mine, tmp_path, monkeypatch):
    call = mine("def fail():\n    return 1 / 0\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert place(call) == f"{tmp_path / 'mine.py'}, line 2, in fail"


def test_code_that_is_in_no_file_is_nobodys(mine):
    assert place(mine("def fail():\n    exec('1 / 0')\n")) == "mine.py, line 2, in fail"


def test_an_error_that_was_never_raised_has_no_place():
    assert place_of(ValueError("made, not raised")) == "unknown code"


def test_ones_own_code_takes_part_wherever_it_stands(mine):
    call = mine("import json\n\ndef read():\n    return json.loads('')\n")
    for error in (raised(call), raised(avalanche_forward, lambda x: x / 0, 1, 0)):
        assert takes_part(error)
    assert not takes_part(raised(json.loads, ""))
    assert not takes_part(raised(avalanche_forward, None, 0, 0))
