import numpy
import pytest
import torch

from benchmarks.folds import FOLDS, HeldOutLoss, difference, folded, mean_over, pooled
from onehead_avl.kinds.classification import TopAccuracy
from onehead_avl.kinds.kind import kind_of
from onehead_avl.target import Target
from scenarios.experience import Experience, Stream
from scenarios.samples.sample import Sample

IMAGE = torch.zeros(3, 8, 8, dtype=torch.uint8)


def stream_of(train, val):
    samples = [Sample(str(i), IMAGE, {"label": 0}) for i in range(train + val)]
    return Stream(
        "mine",
        tuple(
            Experience(name, kind_of("classification"), ("a", "b"), samples[:train], samples[train:], name)
            for name in ("one", "two")
        ),
    )


def names(samples):
    return [sample.name for sample in samples]


def accuracy(right):
    """A metric that has counted images of which these were told right."""
    metric = TopAccuracy(("a", "b"))
    for each in right:
        logits = torch.tensor([1.0, 0.0] if each else [0.0, 1.0])[None, :, None, None]
        metric.update(logits, Target.single(0, (8, 8), {"label": 0}))
    return metric


def test_every_image_of_both_splits_is_validated_on_once_and_learned_in_all_other_folds():
    stream = stream_of(train=12, val=5)
    everything = sorted(names(stream.experiences[0].train) + names(stream.experiences[0].val))
    parts = [folded(stream, fold).experiences[0] for fold in range(FOLDS)]
    assert sorted(name for part in parts for name in names(part.val)) == everything
    for part in parts:
        assert sorted(names(part.train) + names(part.val)) == everything


def test_folds_are_of_equal_size_and_mix_both_splits():
    parts = [folded(stream_of(train=240, val=60), fold).experiences[0] for fold in range(FOLDS)]
    assert [len(part.val) for part in parts] == [60] * FOLDS
    for part in parts:
        of_val = sum(int(name) >= 240 for name in names(part.val))
        assert 3 <= of_val <= 25


def test_a_fold_is_the_same_whenever_it_is_made_and_whatever_else_the_stream_holds():
    stream = stream_of(train=12, val=5)
    alone = Stream("mine", stream.experiences[:1])
    torch.manual_seed(7)
    again = folded(alone, 2).experiences[0]
    assert names(folded(stream, 2).experiences[0].val) == names(again.val)


def test_pooled_values_are_those_of_all_images_and_their_mean_over_seeds():
    one, other = accuracy([True] * 6 + [False] * 4), accuracy([True] * 2 + [False] * 8)
    assert pooled([one])["Top1"][0] == pytest.approx(0.6)
    assert pooled([one, other])["Top1"][0] == pytest.approx(0.4)
    assert mean_over([one, other], [0, 0, 7])["Top1"] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_the_interval_is_as_wide_as_the_binomial_distribution_says():
    right = [i % 2 == 0 for i in range(400)]
    value, (low, high) = pooled([accuracy(right)])["Top1"]
    half = 1.96 * numpy.sqrt(value * (1 - value) / len(right))
    assert value - low == pytest.approx(half, rel=0.15)
    assert high - value == pytest.approx(half, rel=0.15)


def test_a_difference_is_paired_by_image():
    right = [i % 2 == 0 for i in range(100)]
    same, better = accuracy(right), accuracy([True, *right[1:98], True, True])
    assert difference([same], [same])["Top1"] == (0, None)
    value, (low, high) = difference([better], [same])["Top1"]
    assert value == pytest.approx(0.01)
    assert value - low == pytest.approx(high - value)
    assert high - low < 0.05  # unpaired, it would be 0.14


def test_a_value_that_is_nowhere_measured_is_left_out():
    metric = kind_of("detection").metric(("a",))
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long(), "crowd": torch.zeros(0).bool()}
    metric.count(torch.zeros(1, 6, 4, 4), Target.single(0, (32, 32), nothing))
    assert pooled([metric]) == {}


def test_the_loss_of_an_image_does_not_depend_on_the_others_of_its_batch():
    kind = kind_of("detection")
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, kind.channels(("a", "b")), 8, 8, generator=generator)
    boxes = [torch.tensor([[4.0, 4.0, 40.0, 40.0], [20.0, 30.0, 60.0, 60.0]])[:number] for number in (2, 1, 0)]
    targets = [
        Target.single(
            0, (64, 64), {"boxes": each, "labels": torch.ones(len(each)).long(), "crowd": torch.zeros(len(each)).bool()}
        )
        for each in boxes
    ]
    alone = [kind.loss(logits[i : i + 1], target).item() for i, target in enumerate(targets)]
    metric = HeldOutLoss(kind, ("a", "b"))
    assert metric.result() == {"loss": None}
    metric.update(logits[:2], Target.cat(targets[:2]))
    metric.update(logits[2:], targets[2])
    assert len(metric) == 3
    assert metric.compute([0, 2, 2])["loss"] == pytest.approx((alone[0] + 2 * alone[2]) / 3)
    assert metric.result()["loss"] == pytest.approx(sum(alone) / 3)
    metric.reset()
    assert metric.result() == {"loss": None}
