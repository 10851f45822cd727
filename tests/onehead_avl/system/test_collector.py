import gc

import pytest

from onehead_avl.system.collector import collector_paused


@pytest.fixture(autouse=True)
def as_before():
    yield
    gc.enable()


def test_the_collector_pauses_and_goes_on():
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error():
    with pytest.raises(ValueError, match="x"), collector_paused():
        raise ValueError("x")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()
