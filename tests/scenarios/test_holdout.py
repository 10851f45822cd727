import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import kind_of
from scenarios.experience import Experience, Stream
from scenarios.holdout import hold_out
from scenarios.samples.sample import Sample

IMAGE = torch.zeros(3, 8, 8, dtype=torch.uint8)


def experience(name, count):
    train, val = (
        [Sample(f"{name}{split}{i}", IMAGE, {"label": 0}) for i in range(n)] for split, n in (("t", count), ("v", 2))
    )
    return Experience(name, kind_of("classification"), ("a", "b"), train, val, name)


def stream_of(**counts):
    return Stream("mine", tuple(experience(name, count) for name, count in counts.items()))


def names(samples):
    return [sample.name for sample in samples]


def test_every_training_sample_is_learned_or_held_out_in_the_order_in_which_it_was():
    stream = stream_of(one=10, two=7)
    learned, held = hold_out(stream, 0.3, seed=0)
    assert list(held) == ["one", "two"]
    for before, after in zip(stream.experiences, learned.experiences, strict=True):
        rest, out = names(after.train), names(held[before.name])
        assert sorted(rest + out) == sorted(names(before.train))
        assert not set(rest) & set(out)
        positions = names(before.train)
        assert rest == sorted(rest, key=positions.index)
        assert out == sorted(out, key=positions.index)


def test_nothing_else_of_the_stream_changes():
    stream = stream_of(one=10, two=7)
    before = [names(each.train) for each in stream.experiences]
    learned, _ = hold_out(stream, 0.3, seed=0)
    assert replace(learned, experiences=stream.experiences) == stream
    for old, new in zip(stream.experiences, learned.experiences, strict=True):
        assert replace(new, train=old.train) == old
    assert [names(each.train) for each in stream.experiences] == before


@pytest.mark.parametrize(
    ("count", "share", "held"),
    [
        (10, 0.2, 2),
        (10, 0.24, 2),
        (10, 0.26, 3),
        (10, 0.01, 1),
        (10, 0.99, 9),
        (100, 0.1, 10),
        (2, 0.01, 1),
        (2, 0.99, 1),
        (3, 0.5, 2),
    ],
)
def test_the_share_is_rounded_with_at_least_one_sample_on_each_side(count, share, held):
    learned, out = hold_out(stream_of(it=count), share, seed=0)
    assert (len(out["it"]), len(learned.experiences[0].train)) == (held, count - held)


def test_another_seed_or_name_holds_out_other_samples():
    stream = stream_of(one=40, two=40)

    def positions(seed, name):
        return [int(each.name[len(name) + 1 :]) for each in hold_out(stream, 0.25, seed)[1][name]]

    drawn = [positions(seed, name) for seed in (0, 1, 2) for name in ("one", "two")]
    assert len({tuple(each) for each in drawn}) == 6
    assert positions(1, "one") == positions(1, "one")


def test_samples_are_drawn_from_everywhere():
    stream = stream_of(it=10)
    counts = dict.fromkeys(names(stream.experiences[0].train), 0)
    for seed in range(200):
        for name in names(hold_out(stream, 0.3, seed)[1]["it"]):
            counts[name] += 1
    assert sum(counts.values()) == 600
    assert all(30 < count < 90 for count in counts.values())  # 60 are expected, and 6.5 their deviation


def test_the_order_of_experiences_and_what_else_there_is_mean_nothing():
    whole = hold_out(stream_of(one=20, two=20, three=20), 0.25, seed=3)[1]
    turned = hold_out(stream_of(three=20, two=20, one=20), 0.25, seed=3)[1]
    alone = hold_out(stream_of(two=20), 0.25, seed=3)[1]
    assert {name: names(held) for name, held in turned.items()} == {name: names(held) for name, held in whole.items()}
    assert names(alone["two"]) == names(whole["two"])


def test_random_numbers_of_the_run_are_not_drawn_and_have_no_say():
    drawn = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        random.seed(seed)
        before = torch.get_rng_state(), random.getstate()
        drawn.append(names(hold_out(stream_of(it=20), 0.25, seed=0)[1]["it"]))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
    assert drawn[0] == drawn[1]


def test_another_process_in_which_texts_have_other_hashes_holds_out_the_same_samples():
    code = """
        from onehead_avl.kinds.kind import kind_of
        from scenarios.experience import Experience, Stream
        from scenarios.holdout import hold_out
        it = Experience("it", kind_of("classification"), ("a",), range(20), (), "it")
        print(*hold_out(Stream("mine", (it,)), 0.25, seed=0)[1]["it"])
    """
    env = {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", dedent(code)], env=env, capture_output=True, text=True, check=True)
    found = names(hold_out(stream_of(it=20), 0.25, seed=0)[1]["it"])
    assert [f"itt{position}" for position in done.stdout.split()] == found


@pytest.mark.parametrize("count", [0, 1])
def test_an_experience_of_a_single_image_is_refused_by_name(count):
    with pytest.raises(UsageError) as caught:
        hold_out(stream_of(one=10, lonely=count), 0.5, seed=0)
    assert str(caught.value) == (
        f"--holdout expects experiences of at least two training images, found {count} in lonely; leave it out"
    )
