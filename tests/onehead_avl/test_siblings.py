"""A user's own packages of the names of this project's, in the working directory, from which ``python -m`` imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SIBLINGS = ("scenarios", "strategies")


def python(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def own_packages(tmp_path):
    for name in SIBLINGS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('it is the one in the working directory')\n")
    return tmp_path


@pytest.fixture
def own_modules(tmp_path):
    for name in SIBLINGS:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('it is the one in the working directory')\n")
    return tmp_path


@pytest.mark.parametrize("own", ["own_packages", "own_modules"])
@pytest.mark.parametrize("command", ["benchmark", "evaluate", "prepare"])
def test_commands_do_not_mind_packages_of_their_names_in_the_working_directory(command, own, request):
    answer = python(request.getfixturevalue(own), "-m", f"onehead_avl.{command}", "--help")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"usage: python -m onehead_avl.{command} ")


def test_a_wrong_command_line_is_refused_as_anywhere_else(own_packages):
    answer = python(own_packages, "-m", "onehead_avl.benchmark", "--strategy", "nonsense")
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: unknown strategy 'nonsense', expected some of naive, ")


@pytest.mark.parametrize("name", SIBLINGS)
def test_after_onehead_avl_the_name_means_the_package_beside_it(name, own_packages):
    answer = python(own_packages, "-c", f"import onehead_avl, {name}; print({name}.__file__)")
    assert answer.stdout.strip() == str(CHECKOUT / name / "__init__.py"), answer.stderr


@pytest.mark.parametrize("name", SIBLINGS)
def test_this_projects_packages_may_be_imported_first(name, tmp_path):
    answer = python(tmp_path, "-c", f"import {name}, onehead_avl; print({name} is onehead_avl.sys.modules['{name}'])")
    assert answer.stdout.strip() == "True", answer.stderr


def refusal(name, place):
    return (
        f"ImportError: expected the package {name} of onehead-avl, found {place}; "
        "import onehead_avl before it, or give yours another name"
    )


@pytest.mark.parametrize("name", SIBLINGS)
@pytest.mark.parametrize("file", ["{}/__init__.py", "{}.py"], ids=["package", "module"])
def test_another_package_of_the_name_that_was_imported_before_is_refused_with_a_sentence(file, name, tmp_path):
    place = tmp_path / file.format(name)
    place.parent.mkdir(exist_ok=True)
    place.touch()
    answer = python(tmp_path, "-c", f"import {name}, onehead_avl")
    assert answer.returncode == 1
    assert answer.stderr.strip().splitlines()[-1] == refusal(name, place)


@pytest.mark.parametrize("name", SIBLINGS)
def test_a_folder_of_the_name_that_was_imported_before_is_refused_with_a_sentence(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.py").touch()
    # It gives way to any package of the name that is on the path by then.
    code = f"import sys; sys.path.remove({str(CHECKOUT)!r}); import {name}.mine; sys.path.append({str(CHECKOUT)!r})"
    answer = python(tmp_path, "-S", "-c", f"{code}; import onehead_avl")
    assert answer.returncode == 1
    assert answer.stderr.strip().splitlines()[-1] == refusal(name, tmp_path / name)
