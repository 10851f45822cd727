import importlib
import importlib.metadata
import py_compile
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from onehead_avl.system import sources
from onehead_avl.system.sources import Code, code_of


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write files into a folder that modules are found in; what is imported from there is forgotten afterwards."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    before = set(sys.modules)

    def own(**files):
        for name, text in files.items():
            file = root / f"{name.replace('__', '/')}.py".replace("/init/.py", "/__init__.py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        importlib.invalidate_caches()
        return root

    yield own
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


def names(module="mine"):
    return set(code_of(module).own)


def test_a_module_is_made_of_its_file(own):
    own(mine="a = 1", stranger="b = 2")
    assert code_of("mine").own == {"mine": b"a = 1"}


def test_nothing_is_imported_to_find_out(own):
    own(mine="import beside\n1 / 0", beside="1 / 0")
    assert names() == {"mine", "beside"}
    assert not {"mine", "beside"} & set(sys.modules)


def test_it_is_the_same_whether_it_was_imported_or_not(own):
    own(mine="from pack import part", pack__init__="", pack__part="")
    before = code_of("mine")
    importlib.import_module("mine")
    assert code_of("mine") == before
    assert set(before.own) == {"mine", "pack", "pack.part"}


@pytest.mark.parametrize(
    "text",
    [
        "import beside",
        "import os, beside as other",
        "from beside import thing",
        "from beside import *",
        "def build():\n    import beside",
        "class A:\n    def build(self):\n        from beside import thing",
        "try:\n    import beside\nexcept ImportError:\n    pass",
        "if False:\n    import beside",
        "import importlib\nimportlib.import_module('beside')",
        "from importlib import import_module\nimport_module('beside')",
        "__import__('beside')",
        "import between",
    ],
)
def test_a_module_beside_it_belongs_to_it_however_it_is_imported(own, text):
    own(mine=text, beside="thing = 1", between="def build():\n    import beside", stranger="import mine")
    before = code_of("mine").digest
    assert names() - {"between"} == {"mine", "beside"}
    own(stranger="import mine  # edited")
    assert code_of("mine").digest == before
    own(beside="thing = 2")
    assert code_of("mine").digest != before


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", set()),
        ("from . import part", {"pack.deep.part"}),
        ("from .part import thing", {"pack.deep.part"}),
        ("from .. import part", {"pack.part"}),
        ("from ..part import thing", {"pack.part"}),
        ("import pack.part", {"pack.part"}),
        ("from pack import part", {"pack.part"}),
        ("from pack.deep.part import thing", {"pack.deep.part"}),
        ("from . import *", {"pack.deep.part"}),
        ("from importlib import import_module\nimport_module('.part', __package__)", {"pack.deep.part"}),
        ("from .... import part", set()),  # beyond the top: it cannot be imported either
    ],
)
def test_relative_imports_and_those_of_parts_of_packages_are_followed(own, text, found):
    own(pack__init__="", pack__deep__init__="", pack__deep__mine=text, pack__deep__part="", pack__part="")
    assert names("pack.deep.mine") == {"pack", "pack.deep", "pack.deep.mine"} | found


def test_what_the_packages_import_that_contain_it_belongs_to_it(own):
    own(pack__init__="from .helpers import thing", pack__helpers="thing = 1", pack__mine="")
    assert names("pack.mine") == {"pack", "pack.helpers", "pack.mine"}


def test_a_package_is_followed_by_imports_relative_to_itself(own):
    own(pack__init__="from . import part", pack__part="from . import other", pack__other="")
    assert names("pack") == {"pack", "pack.part", "pack.other"}


def test_modules_that_import_each_other_have_an_end(own):
    own(mine="import beside", beside="import mine, beside")
    assert names() == {"mine", "beside"}


def test_a_folder_without_an_init_is_a_package_too(own):
    own(pack__mine="from pack import part", pack__part="")
    assert names("pack.mine") == {"pack.mine", "pack.part"}


def test_where_the_folder_lies_means_nothing(own, tmp_path, monkeypatch):
    root = own(mine="import beside", beside="")
    before = code_of("mine").digest
    moved = Path(shutil.move(root, tmp_path / "moved"))
    assert code_of("mine").digest is None
    monkeypatch.setattr(sys, "path", [str(moved), *sys.path])
    importlib.invalidate_caches()
    assert code_of("mine").digest == before


def test_two_files_that_changed_places_are_something_else(own):
    own(mine="import one, other", one="a = 1", other="b = 2")
    before = code_of("mine").digest
    own(one="b = 2", other="a = 1")
    assert code_of("mine").digest != before


def test_a_module_of_another_folder_that_is_not_installed_belongs_to_it(own, tmp_path, monkeypatch):
    own(mine="import elsewhere")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "elsewhere.py").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "more")])
    assert names() == {"mine", "elsewhere"}


def test_a_module_of_the_working_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "of_this_place.py").write_text("")
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.chdir(tmp_path)
    assert names("of_this_place") == {"of_this_place"}


def test_the_standard_library_and_this_project_are_not_followed(own):
    text = "import json, sys, os.path, concurrent.futures, onehead_avl.kinds.kind\nfrom strategies import named"
    own(mine=text)
    assert (names(), code_of("mine").needs) == ({"mine"}, {})
    for module in ("json", "sys", "onehead_avl.target", "strategies.named", "scenarios"):
        assert code_of(module).digest is None


def test_the_examples_of_this_project_are_somebodys_code():
    assert {"examples", "examples.stay_near"} <= names("examples.stay_near")


def test_a_module_with_the_name_of_one_of_the_standard_library_is_ones_own(own):
    own(mine="import antigravity", antigravity="")
    assert names() == {"mine", "antigravity"}


def test_of_an_installed_package_the_version_is_taken(own):
    own(mine="import yaml\nfrom torch.nn import functional, Module")
    version = importlib.metadata.version
    assert code_of("mine").needs == {"PyYAML": version("PyYAML"), "torch": version("torch")}
    assert names() == {"mine"}
    installed = code_of("avalanche.training.supervised")
    assert (installed.own, installed.digest) == ({}, f"avalanche-lib {version('avalanche-lib')}")


def test_another_version_of_an_installed_package_is_no_edit_of_ones_own_code(own, monkeypatch):
    own(mine="import yaml")
    before = code_of("mine")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99")
    assert (code_of("mine").digest, code_of("mine").needs) == (before.digest, {"PyYAML": "99"})


def test_a_file_that_was_put_among_installed_ones_by_hand_is_ones_own(own, monkeypatch):
    root = own(mine="import beside", beside="")
    monkeypatch.setattr(sources, "_installed", lambda: frozenset({root}))
    assert names() == {"mine", "beside"}


@pytest.mark.parametrize("broken", ["1 +", "\0", "é = " + "(" * 500])
def test_a_module_that_cannot_be_parsed_counts_by_its_bytes(own, broken):
    own(mine="def build():\n    import beside", beside=broken)
    before = code_of("mine").digest
    assert names() == {"mine", "beside"}
    own(beside=broken + " ")
    assert code_of("mine").digest != before


def test_what_python_has_to_say_of_a_source_is_not_said_twice(own, recwarn):
    own(mine="import beside\na = '\\d'", beside="")
    assert names() == {"mine", "beside"}
    assert not recwarn.list


def test_a_module_without_a_source_counts_by_the_bytes_of_its_file(own):
    root = own(mine="import built", built="a = 1")
    py_compile.compile(str(root / "built.py"), cfile=str(root / "built.pyc"))
    (root / "built.py").unlink()
    importlib.invalidate_caches()
    assert code_of("mine").own["built"] == (root / "built.pyc").read_bytes()


def test_a_module_in_an_archive_counts_by_what_it_holds(own, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("packed/__init__.py", "")
        archive.writestr("packed/mine.py", "from . import part")
        archive.writestr("packed/part.py", "a = 1")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "archive.zip"), *sys.path])
    assert code_of("packed.mine").own == {
        "packed": b"",
        "packed.mine": b"from . import part",
        "packed.part": b"a = 1",
    }


@pytest.mark.parametrize("module", ["", "no_such_module", "json.no_such_module", "mine.thing", ".mine"])
def test_what_is_no_module_is_made_of_nothing(own, module):
    own(mine="thing = 1")
    assert code_of(module) == Code({}, {})
    assert code_of(module).digest is None
