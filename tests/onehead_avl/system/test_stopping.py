import signal
import threading

import pytest

from onehead_avl.system.ranks import RANKS
from onehead_avl.system.stopping import Stop

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def handlers():
    return [signal.getsignal(each) for each in SIGNALS]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_noted_and_the_second_interrupts(number, status):
    stop, before = Stop(), handlers()
    with stop.listening():
        assert stop.requested is None
        signal.raise_signal(number)
        assert (stop.requested, stop.status) == (number.name, status)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert handlers() == before


def test_what_was_asked_for_is_forgotten_in_the_end():
    stop, before = Stop(), handlers()
    with stop.listening():
        signal.raise_signal(signal.SIGTERM)
    assert stop.requested is None
    with stop.listening():
        assert stop.requested is None
    assert handlers() == before


def test_off_the_main_thread_nothing_is_changed_and_nothing_raised():
    stop, before, seen = Stop(), handlers(), []

    def work():
        with stop.listening():
            seen.append(handlers())
        seen.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before, before]


def test_a_thread_does_not_undo_the_listening_of_the_main_one():
    stop = Stop()

    def work():
        with stop.listening():
            pass

    with stop.listening():
        signal.raise_signal(signal.SIGTERM)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert stop.requested == "SIGTERM"


def test_an_error_in_a_thread_is_its_own():
    stop, raised = Stop(), []

    def work():
        try:
            with stop.listening():
                raise ValueError("on purpose")
        except ValueError as error:
            raised.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert raised == ["on purpose"]


@pytest.mark.parametrize(
    ("own", "others", "agreed"), [(None, False, None), (None, True, "SIGTERM"), ("SIGINT", True, "SIGINT")]
)
def test_processes_that_learn_together_stop_together(monkeypatch, own, others, agreed):
    stop, asked = Stop(), []
    stop.requested = own
    monkeypatch.setattr(RANKS, "any", lambda flag: asked.append(flag) or flag or others)
    assert stop.agreed() is (agreed is not None)
    assert stop.requested == agreed
    assert asked == [own is not None]
    assert stop.status == (143 if agreed and not own else 0)
