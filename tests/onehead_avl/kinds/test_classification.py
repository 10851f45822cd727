import math
import pickle

import pytest
import torch

from onehead_avl.ignored import ABSENT
from onehead_avl.kinds.caption import captioned
from onehead_avl.kinds.classification import Classification, TopAccuracy, image_logits, probabilities
from onehead_avl.kinds.colours import colour_of
from onehead_avl.kinds.detection import Detection
from onehead_avl.kinds.segmentation import Segmentation
from onehead_avl.target import Target

CLS = 2
KIND = Classification()
CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox")


def annotated(*labels):
    return Target.cat([Target.single(CLS, (32, 32), {"label": label}) for label in labels])


def test_there_is_a_channel_for_each_class_and_it_starts_without_a_bias():
    assert KIND.channels(CLASSES) == 6
    assert KIND.start(CLASSES).tolist() == [0.0] * 6


def test_it_alone_takes_the_features_of_a_pretrained_backbone_as_they_are():
    assert [kind.freezes_backbone for kind in (KIND, Segmentation(), Detection())] == [True, False, False]


# Loss


def test_the_loss_is_the_smoothed_cross_entropy_of_the_mean_evidence():
    logits = torch.zeros(1, 6, 2, 2)
    logits[0, 4] = torch.tensor([[12.0, 0.0], [0.0, 0.0]])  # 3 in the mean
    normaliser = math.log(math.exp(3) + 5)
    right, wrong = normaliser - 3, normaliser
    # Smoothing by 0.1 gives every class 0.1 / 6, the right one 0.9 more.
    expected = (0.9 + 0.1 / 6) * right + 5 * 0.1 / 6 * wrong
    assert KIND.loss(logits, annotated(4)).item() == pytest.approx(expected, rel=1e-5)


def test_an_absent_class_costs_nothing(layout, noise):
    losses = KIND.loss(layout.parts[CLS].of(noise(2)), annotated(ABSENT, 1))
    assert losses[0] == 0
    assert losses[1] > 0


# Decoding


def test_class_probabilities_are_the_softmax_of_the_mean_evidence():
    logits = torch.zeros(2, 6, 2, 2)
    logits[0, 0] = torch.tensor([[4.0, 0.0], [0.0, 0.0]])
    found = probabilities(logits)
    e = torch.tensor(1.0).exp()
    torch.testing.assert_close(found[0], torch.tensor([e, 1, 1, 1, 1, 1]) / (e + 5))
    torch.testing.assert_close(found[1], torch.full((6,), 1 / 6))
    assert image_logits(logits).tolist() == [[1, 0, 0, 0, 0, 0], [0] * 6]


def test_other_parts_of_the_output_have_no_say(layout, blank):
    output = blank(1, 2, 2)
    output[:, : layout.parts[CLS].start] = 9
    (found,) = KIND.decode(layout.parts[CLS].of(output), torch.tensor([[5, 5]]))
    torch.testing.assert_close(found["probabilities"], torch.full((6,), 1 / 6))


def test_a_prediction_is_the_likeliest_class_and_the_probability_of_all():
    logits = ranked([2, 5, 0, 1, 3, 4], [4, 3, 2, 1, 0, 5])
    found = KIND.decode(logits, torch.tensor([[8, 9], [5, 5]]))
    assert [set(each) for each in found] == [{"label", "probabilities"}] * 2
    assert [each["label"].item() for each in found] == [2, 4]
    for each in found:
        assert each["probabilities"].sum().item() == pytest.approx(1)
        assert each["probabilities"].argmax() == each["label"]


# Accuracy


def ranked(*rankings):
    """Logits that rank the classes as told, best first."""
    logits = torch.zeros(len(rankings), len(rankings[0]), 2, 2)
    for i, ranking in enumerate(rankings):
        for place, label in enumerate(ranking):
            logits[i, label] = 6.0 - place
    return logits


def counted(*batches, classes=CLASSES):
    metric = TopAccuracy(classes)
    for logits, target in batches:
        metric.update(logits, target)
    return metric


def test_accuracy_by_hand():
    ranking = [2, 5, 0, 1, 3, 4]
    # Of the labels, 2 comes first (twice), 3 fifth, 4 sixth.
    assert counted((ranked(*[ranking] * 4), annotated(2, 3, 4, 2))).result() == {"Top1": 2 / 4, "Top5": 3 / 4}


def test_accuracy_is_over_all_images_of_all_batches():
    batches = [
        (ranked([0, 1, 2, 3, 4, 5]), annotated(0)),
        (ranked(*[[1, 0, 2, 3, 4, 5]] * 3), annotated(0, 1, 5)),
    ]
    assert counted(*batches).result() == {"Top1": 2 / 4, "Top5": 3 / 4}


def test_with_fewer_than_five_classes_one_of_the_five_is_always_right():
    metric = counted((ranked([0, 1, 2], [2, 0, 1]), annotated(2, 2)), classes=CLASSES[:3])
    assert metric.result() == {"Top1": 1 / 2, "Top5": 1.0}


def test_the_accuracy_of_each_class_by_hand():
    guesses = ranked(*[[label, *(set(range(6)) - {label})] for label in (0, 0, 3, 0, 5)])
    metric = counted((guesses[:2], annotated(0, 3)), (guesses[2:], annotated(3, 3, 4)))
    recall = {"ant": 1.0, "bee": None, "cat": None, "dog": pytest.approx(1 / 3), "eel": 0.0, "fox": None}
    assert metric.per_class() == {"Top1": recall}


def test_images_count_as_often_as_they_are_named():
    ranking = [2, 5, 0, 1, 3, 4]
    metric = counted((ranked(*[ranking] * 3), annotated(2, 3, 4)))
    assert len(metric) == 3
    assert metric.compute([0, 0, 1, 2]) == {"Top1": 2 / 4, "Top5": 3 / 4}
    assert metric.compute([2]) == {"Top1": 0.0, "Top5": 0.0}
    assert metric.compute([0, 1, 2]) == metric.result()


def test_what_is_kept_of_an_image_is_small():
    metric = counted((ranked(*[[2, 5, 0, 1, 3, 4]] * 500), annotated(*[2] * 500)))
    assert len(pickle.dumps(metric)) < 8 * 500


# Annotations


def test_the_class_in_an_annotation_is_the_label():
    assert KIND.classes_in({"label": 3}, CLASSES) == {3}
    assert KIND.classes_in({"label": torch.tensor(2)}, CLASSES) == {2}


def test_the_classes_chosen_are_all_there_is():
    assert KIND.selected_classes(CLASSES, ("fox", "ant")) == ("fox", "ant")


def test_images_of_all_other_classes_are_left_out():
    new = {5: 0, 0: 1}
    assert KIND.select({"label": 5}, new) == {"label": 0}
    assert KIND.select({"label": 0}, new) == {"label": 1}
    assert KIND.select({"label": 1}, new) is None


def test_a_label_stands_however_its_image_is_moved():
    assert KIND.wrap({"label": 3}, (8, 9)) == {"label": 3}


# Drawing


def test_a_class_is_written_over_the_image_on_its_colour(image):
    assert torch.equal(KIND.draw(image, {"label": 3}, CLASSES), captioned(image, "dog", colour_of(4)))


def test_a_guess_is_written_with_its_probability(image):
    shown = {"label": torch.tensor(1), "probabilities": torch.tensor([0.1, 0.567, 0.1, 0.1, 0.1, 0.033])}
    assert torch.equal(KIND.draw(image, shown, CLASSES), captioned(image, "bee 57%", colour_of(2)))


def test_what_lies_below_the_text_stays_as_it_is(image):
    before = image.clone()
    drawn = KIND.draw(image, {"label": 0}, CLASSES)
    assert (drawn.dtype, drawn.shape) == (torch.uint8, image.shape)
    assert (drawn != image).any(dim=0)[:10, :10].any()
    assert torch.equal(drawn[:, 20:], image[:, 20:])
    assert torch.equal(image, before)


def test_a_prediction_is_told_by_its_class_and_the_probability_of_each():
    values = torch.tensor([0.125, 0.5, 0.0, 0.375, 0.0, 0.0])
    told = KIND.as_json({"label": torch.tensor(1), "probabilities": values}, CLASSES, 1)
    assert told == {"class": "bee", "probabilities": dict(zip(CLASSES, values.tolist(), strict=True))}
    assert KIND.as_picture({"label": torch.tensor(1)}) is None


def test_exported_probabilities_are_those_of_a_prediction():
    logits = torch.randn(2, 6, 3, 5, generator=torch.Generator().manual_seed(0))
    decoded = KIND.decode(logits, torch.tensor([[24, 40], [24, 40]]))
    assert torch.equal(KIND.outputs(logits)["probabilities"], torch.stack([each["probabilities"] for each in decoded]))


def test_guesses_are_counted_by_the_class_of_the_image():
    metric = counted(
        (ranked([2, 0, 1], [2, 1, 0]), annotated(0, 2)), (ranked([1, 0, 2]), annotated(0)), classes=CLASSES[:3]
    )
    assert metric.confusion() == [[0, 1, 1], [0, 0, 0], [0, 0, 1]]
    metric.reset()
    assert metric.confusion() == [[0] * 3] * 3
