import os
import pickle

import pytest
import torch

from scenarios.samples.arena import slots


def bytes_of(*values):
    return torch.tensor(values, dtype=torch.uint8)


def test_a_slot_gives_what_was_put_there():
    one, two = slots([6, 3], 100)
    assert one.get() is None
    one.put(torch.arange(6, dtype=torch.uint8).reshape(2, 3))
    assert one.get().tolist() == [0, 1, 2, 3, 4, 5]
    assert two.get() is None
    two.put(bytes_of(7, 8, 9))
    assert (one.get().tolist(), two.get().tolist()) == ([0, 1, 2, 3, 4, 5], [7, 8, 9])


def test_what_is_given_is_no_copy():
    (slot,) = slots([3], 3)
    slot.put(bytes_of(1, 2, 3))
    assert slot.get().data_ptr() == slot.get().data_ptr()


@pytest.mark.parametrize(
    ("sizes", "budget", "given"),
    [
        ([4, 4, 4], 12, [True, True, True]),
        ([4, 4, 4], 11, [True, True, False]),
        ([4, 9, 4], 8, [True, False, True]),
        ([4, 4], 3, [False, False]),
        ([4, 4], 0, [False, False]),
        ([4, 0, 4], 8, [True, False, True]),
        ([0], 8, [False]),
        ([], 8, []),
    ],
)
def test_slots_are_given_in_order_while_there_is_room(sizes, budget, given):
    assert [slot is not None for slot in slots(sizes, budget)] == given


def test_slots_do_not_overlap():
    made = slots([3, 100, 2, 4], 9)
    kept = [slot for slot in made if slot is not None]
    for value, (slot, size) in enumerate(zip(kept, (3, 2, 4), strict=True)):
        slot.put(torch.full((size,), value + 1, dtype=torch.uint8))
    assert [slot.get().tolist() for slot in kept] == [[1] * 3, [2] * 2, [3] * 4]


def test_another_number_of_bytes_is_refused_and_leaves_the_slot_empty():
    (slot,) = slots([3], 3)
    with pytest.raises(RuntimeError):
        slot.put(bytes_of(1, 2, 3, 4))
    assert slot.get() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_what_a_forked_process_puts_there_is_seen_by_the_parent():
    one, two = slots([3, 2], 5)
    two.put(bytes_of(8, 9))
    child = os.fork()
    if child == 0:
        seen = two.get().tolist() == [8, 9]
        one.put(bytes_of(1, 2, 3))
        os._exit(0 if seen else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert one.get().tolist() == [1, 2, 3]


def test_a_pickled_slot_is_none():
    (slot,) = slots([3], 3)
    slot.put(bytes_of(1, 2, 3))
    assert pickle.loads(pickle.dumps({"slot": slot})) == {"slot": None}
