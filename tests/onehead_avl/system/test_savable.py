import pytest

from onehead_avl.system import savable as register
from onehead_avl.system.savable import full_name, savable


@pytest.fixture(autouse=True)
def registers(monkeypatch):
    """Registers of this test alone."""
    monkeypatch.setattr(register, "MADE", {})
    monkeypatch.setattr(register, "FUNCTIONS", {})


class Outer:
    class Inner:
        pass


def test_a_class_is_called_by_its_module_and_its_whole_name():
    assert full_name(Outer.Inner) == f"{__name__}.Outer.Inner"


def test_a_class_is_declared_by_its_full_name_and_stays_what_it_is():
    assert savable(Outer.Inner) is Outer.Inner
    assert {f"{__name__}.Outer.Inner": Outer.Inner} == register.MADE
    assert register.FUNCTIONS == {}


def test_a_function_is_declared_by_its_name_and_stays_what_it_is():
    def double(number):
        return 2 * number

    assert savable(double) is double
    assert {"double": double} == register.FUNCTIONS
    assert register.MADE == {}
