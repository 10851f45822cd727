import sys
from textwrap import dedent

import pytest
import torch
from torchvision.transforms import v2

from onehead_avl.errors import UsageError
from onehead_avl.kinds import KINDS
from onehead_avl.kinds.classification import Classification, TopAccuracy
from onehead_avl.kinds.detection import Detection
from onehead_avl.kinds.kind import Kind, Metric, MetricName, Together, kind_of
from onehead_avl.kinds.segmentation import MeanIoU, Segmentation
from onehead_avl.target import Target

SEG, DET, CLS = TASKS = range(3)


class Brightness(Metric):
    """The mean of the logits, and their range over the images; of each class, its own mean."""

    values = (MetricName("Mean"), MetricName("Range", higher_is_better=False))

    def count(self, logits, target):
        self._means += [float(each.mean()) for each in logits]
        self._of_classes += [each.mean(dim=(1, 2)) for each in logits]

    def clear(self):
        self._means, self._of_classes = [], []

    def __len__(self):
        return len(self._means)

    def compute(self, images):
        means = [self._means[image] for image in images]
        return {"Mean": sum(means) / len(means), "Range": max(means) - min(means)}

    def per_class(self):
        if not self._of_classes:
            return {"Mean": dict.fromkeys(self.classes)}
        return {"Mean": dict(zip(self.classes, torch.stack(self._of_classes).mean(dim=0).tolist(), strict=True))}


class Count(Metric):
    """How many images were counted; nothing is known of classes."""

    values = (MetricName("Images"),)

    def count(self, logits, target):
        self._images += len(target)

    def clear(self):
        self._images = 0

    def __len__(self):
        return self._images

    def compute(self, images):
        return {"Images": float(len(images))}


class Plain(Kind):
    """A kind that defines what a kind must, and nothing more."""

    name = "plain"
    measured_by = (Count, Brightness)
    parts = ("thing",)

    def channels(self, classes):
        return 2

    def loss(self, logits, target):
        return logits.mean(dim=(1, 2, 3))

    def decode(self, logits, size):
        return [{"thing": each} for each in logits]

    def distillation(self, logits, teacher):
        return (logits - teacher).abs().mean()

    def augmentation(self, size):
        return v2.Resize((size, size))

    def draw(self, image, shown, classes):
        return image.clone()


class Usurper(Plain):
    name = "segmentation"


class Unfinished(Kind):
    name = "unfinished"
    measured_by = (Count,)
    parts = ("thing",)


class Nameless(Plain):
    name = ""


class Unmeasured(Plain):
    measured_by = ()


class Silent(Kind):
    """Without any of the attributes."""


class Demanding(Plain):
    def __init__(self, needed):
        self.needed = needed


# Finding a kind


def sentence_of(path):
    with pytest.raises(UsageError) as caught:
        kind_of(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def here(monkeypatch):
    """The name by which this module can be imported."""
    monkeypatch.setitem(sys.modules, "kinds_of_this_test", sys.modules[__name__])
    return "kinds_of_this_test"


@pytest.mark.parametrize(
    ("name", "kind"), [("segmentation", Segmentation), ("detection", Detection), ("classification", Classification)]
)
def test_a_kind_has_its_name_in_the_table(name, kind):
    made = kind_of(name)
    assert type(made) is kind
    assert made.name == made.path == name
    assert type(kind_of(KINDS[name])) is kind
    assert kind_of(KINDS[name]).path == name


def test_every_row_of_the_table_is_a_kind():
    assert [kind_of(name).name for name in KINDS] == list(KINDS)


def test_a_kind_may_be_named_by_its_import_path(here):
    made = kind_of(f"{here}:Plain")
    assert type(made) is Plain


def test_a_kind_that_is_not_in_the_table_is_described_by_its_import_path(tmp_path, monkeypatch):
    (tmp_path / "somebodys_kind.py").write_text(
        dedent("""
            from onehead_avl.kinds.segmentation import Segmentation

            class Better(Segmentation):
                pass
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    made = kind_of("somebodys_kind:Better")
    assert made.path == "somebodys_kind:Better"  # though it bears the name of one that is
    assert kind_of(made.path) == made != kind_of("segmentation")
    sys.modules.pop("somebodys_kind")


def test_an_unknown_name_lists_those_that_are_known():
    assert sentence_of("segmentaton") == (
        "unknown kind 'segmentaton': expected one of segmentation, detection, classification, or module:Class"
    )


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("no_such_module:Kind", "the module 'no_such_module' cannot be imported"),
        ("onehead_avl.kinds.segmentation:Sgmentation", "expected 'Sgmentation' in module 'onehead_avl.kinds"),
        ("onehead_avl.kinds.segmentation:", "expected '' in module 'onehead_avl.kinds.segmentation'"),
        (":Segmentation", "the module '' cannot be imported"),
    ],
)
def test_a_wrong_import_path_is_refused(path, part):
    sentence = sentence_of(path)
    assert sentence.startswith(f"{path}: {part}")
    assert sentence.endswith("; correct the path")


@pytest.mark.parametrize("name", ["torch:Tensor", "math:pi", "math:sqrt", "onehead_avl.kinds.segmentation:MeanIoU"])
def test_what_is_no_kind_is_refused(name):
    assert sentence_of(name).startswith(f"{name}: expected a subclass of onehead_avl.kinds.kind.Kind, found ")


def test_a_kind_that_is_built_already_is_refused(here, monkeypatch):
    monkeypatch.setattr(sys.modules[here], "made", Plain(), raising=False)
    assert "expected a subclass of onehead_avl.kinds.kind.Kind" in sentence_of(f"{here}:made")


@pytest.mark.parametrize("name", ["Unfinished", "Demanding"])
def test_a_kind_that_cannot_be_built_is_refused_with_what_it_lacks(here, name):
    sentence = sentence_of(f"{here}:{name}")
    assert sentence.startswith(f"{here}:{name}: expected a kind that is built without arguments (")
    assert {"Unfinished": "augmentation", "Demanding": "needed"}[name] in sentence
    assert sentence.endswith("; complete it")


@pytest.mark.parametrize(
    ("name", "missing"), [("Nameless", "name"), ("Unmeasured", "measured_by"), ("Silent", "name, measured_by, parts")]
)
def test_a_kind_that_does_not_say_what_it_is_is_refused(here, name, missing):
    expected = f"{here}:{name}: expected a kind to say its {missing}, found nothing; complete it"
    assert sentence_of(f"{here}:{name}") == expected


def test_the_abstract_kind_itself_is_refused():
    assert sentence_of("onehead_avl.kinds.kind:Kind").endswith("found nothing; complete it")


# What a kind is


def test_kinds_of_one_class_are_equal():
    assert kind_of("segmentation") == Segmentation()
    assert hash(kind_of("segmentation")) == hash(Segmentation())
    assert Segmentation() != Detection()
    assert Segmentation() != Usurper()
    assert len({Segmentation(), Segmentation(), Detection()}) == 2


@pytest.mark.parametrize(
    ("kind", "names", "parts"),
    [
        ("segmentation", ("mIoU",), ("mask",)),
        ("detection", ("AP50", "AP"), ("boxes", "labels", "crowd")),
        ("classification", ("Top1", "Top5"), ("label",)),
    ],
)
def test_what_the_kinds_are_measured_by_and_read(kind, names, parts):
    kind = kind_of(kind)
    assert tuple(value.name for value in kind.metrics) == kind.metric(["a", "b"]).names == names
    assert kind.metrics[0] == kind.metrics[0]
    assert all(value.higher_is_better for value in kind.metrics)
    assert kind.parts == parts


def test_a_kind_of_one_metric_is_measured_by_it_and_one_of_two_by_both_together():
    assert type(Segmentation().metric(["a"])) is MeanIoU
    assert type(Classification().metric(["a"])) is TopAccuracy
    both = Plain().metric(["a", "b"])
    assert type(both) is Together
    assert both.names == ("Images", "Mean", "Range")
    assert [value.higher_is_better for value in Plain().metrics] == [True, True, False]
    assert both.mistakes() == {}
    assert both.precision_recall() == {}
    assert both.confusion() == []
    for name, told in (("mistakes", {"missed": 0.5}), ("precision_recall", {"a": [1.0]}), ("confusion", [[2]])):
        setattr(both.metrics[0], name, lambda told=told: told)
        assert getattr(both, name)() == told


def test_a_kind_that_says_nothing_else_starts_from_zero_and_has_no_classes():
    kind, annotation = Plain(), {"thing": torch.ones(2)}
    assert kind.start(["a", "b", "c"]).tolist() == [0.0, 0.0]
    assert kind.freezes_backbone is False
    assert kind.classes_in(annotation, ["a"]) == set()
    assert kind.selected_classes(["a", "b"], ["b"]) == ("b",)
    with pytest.raises(UsageError, match="expected no classes to choose for the kind plain"):
        kind.select(annotation, {0: 0})


def test_a_kind_that_says_nothing_else_tells_no_prediction_and_exports_its_channels():
    kind, logits = Plain(), torch.ones(1, 2, 3, 3)
    assert kind.as_json({"thing": torch.ones(2)}, ["a"], 1) == {}
    assert kind.as_picture({"thing": torch.ones(2)}) is None
    assert list(kind.outputs(logits)) == ["logits"]
    assert kind.outputs(logits)["logits"] is logits


def test_a_kind_that_says_nothing_else_gives_its_parts_as_they_are():
    annotation = {"thing": torch.ones(2)}
    wrapped = Plain().wrap(annotation, (8, 8))
    assert wrapped == annotation
    assert wrapped is not annotation
    assert wrapped["thing"] is annotation["thing"]


# What all metrics have in common


def single(task, **annotation):
    return Target.single(task, (64, 64), annotation)


def boxed(label):
    box = torch.tensor([[8.0, 8.0, 24.0, 24.0]])
    return single(DET, boxes=box, labels=torch.tensor([label]), crowd=torch.tensor([False]))


@pytest.fixture
def batches(layout, blank, place):
    """For each experience the logits of two images and their annotation, one of them right."""
    output = blank(6, 8, 8)
    for i, value in ((0, 1), (1, 2)):
        output[i, value] = 9
    place(output[2], (1, 1), (8, 8, 24, 24), 2, 0.9)
    place(output[3], (1, 1), (32, 8, 48, 24), 2, 0.8)
    for i, label in ((4, 3), (5, 4)):
        output[i, layout.parts[CLS].channels[label]] = 9
    masks = [single(SEG, mask=torch.full((64, 64), value, dtype=torch.uint8)) for value in (1, 3)]
    targets = [masks, [boxed(2), boxed(2)], [single(CLS, label=3), single(CLS, label=3)]]
    return [
        (part.of(output[2 * task : 2 * task + 2]), Target.cat(targets[task])) for task, part in enumerate(layout.parts)
    ]


@pytest.fixture
def metrics(layout):
    """A new metric of each experience."""
    return [part.kind.metric(part.classes) for part in layout.parts]


@pytest.fixture(params=TASKS, ids=["segmentation", "detection", "classification"])
def metric_and_batch(request, metrics, batches):
    return metrics[request.param], *batches[request.param]


def counted(metric, logits, target):
    metric.reset()
    metric.update(logits, target)
    return metric.result()


def test_half_right_by_hand(metrics, batches):
    results = [counted(metric, *batch) for metric, batch in zip(metrics, batches, strict=True)]
    assert results[0] == pytest.approx({"mIoU": 1 / 3})
    # Of two objects one is found, and no mistake has a better score.
    assert results[1] == pytest.approx({"AP": 51 / 101, "AP50": 51 / 101}, abs=1e-6)
    assert results[2] == {"Top1": 0.5, "Top5": 1.0}


@pytest.mark.parametrize(
    ("task", "value", "of_classes"), [(SEG, "mIoU", "IoU"), (DET, "AP", "AP"), (DET, "AP50", "AP50")]
)
def test_the_mean_over_classes_that_occur_is_the_whole_value(metrics, batches, task, value, of_classes):
    result = counted(metrics[task], *batches[task])
    known = [each for each in metrics[task].per_class()[of_classes].values() if each is not None]
    assert result[value] == pytest.approx(sum(known) / len(known))


def test_what_was_never_measured_is_none_and_not_zero(metric_and_batch):
    metric, *_ = metric_and_batch
    assert len(metric) == 0
    assert metric.result() == dict.fromkeys(metric.names)


def test_values_of_classes_before_anything_was_counted_are_unknown(layout, metrics):
    for part, metric in zip(layout.parts, metrics, strict=True):
        assert metric.per_class()
        for values in metric.per_class().values():
            assert values == dict.fromkeys(part.classes)
            assert tuple(values) == part.classes


def test_reset_forgets_everything(metric_and_batch):
    metric, logits, target = metric_and_batch
    before = counted(metric, logits, target)
    of_classes = metric.per_class()
    metric.reset()
    assert len(metric) == 0
    assert metric.result() == dict.fromkeys(metric.names)
    assert {each for values in metric.per_class().values() for each in values.values()} == {None}
    assert counted(metric, logits, target) == before
    assert metric.per_class() == of_classes


def test_a_result_may_be_asked_for_between_batches(metric_and_batch):
    metric, logits, target = metric_and_batch
    metric.update(logits[:1], target[:1])
    first = metric.result()
    metric.update(logits[1:], target[1:])
    both = metric.result()
    assert counted(metric, logits, target) == both != first
    assert metric.result() == metric.result()


def test_some_images_can_be_counted_more_than_once(metric_and_batch):
    metric, logits, target = metric_and_batch
    result = counted(metric, logits, target)
    assert len(metric) == 2
    assert metric.compute([0, 1]) == result
    primary = metric.names[0]
    assert metric.compute([0, 0, 0])[primary] == pytest.approx(1)
    assert metric.compute([1])[primary] == 0
    assert metric.result() == result


def test_metrics_need_no_gradient(metric_and_batch):
    metric, logits, target = metric_and_batch
    assert counted(metric, logits.clone().requires_grad_(), target) == counted(metric, logits, target)


# Several metrics of one kind


def bright(*means):
    """Logits ``(B, 2, 1, 1)`` whose channels lie one below and one above each mean, and a target of as many images."""
    logits = torch.tensor([[mean - 1.0, mean + 1.0] for mean in means])[..., None, None]
    return logits, Target.cat([Target.single(0, (8, 8)) for _ in means])


@pytest.fixture
def together():
    return Plain().metric(("low", "high"))


def test_metrics_together_have_the_values_of_each(together):
    assert together.result() == {"Images": None, "Mean": None, "Range": None}
    together.update(*bright(3.0, 5.0))
    assert together.result() == {"Images": 2.0, "Mean": 4.0, "Range": 2.0}
    together.update(*bright(10.0))
    assert together.result() == {"Images": 3.0, "Mean": 6.0, "Range": 7.0}
    assert together.classes == ("low", "high")
    assert len(together) == 3


def test_metrics_together_count_images_as_often_as_they_are_named(together):
    together.update(*bright(3.0, 5.0, 10.0))
    assert together.compute([1, 1, 0, 1]) == {"Images": 4.0, "Mean": 4.5, "Range": 2.0}
    assert together.compute([2]) == {"Images": 1.0, "Mean": 10.0, "Range": 0.0}
    assert together.result() == {"Images": 3.0, "Mean": 6.0, "Range": 7.0}


def test_metrics_together_know_of_classes_what_each_knows(together):
    assert together.per_class() == {"Mean": {"low": None, "high": None}}
    together.update(*bright(3.0, 5.0))
    assert together.per_class() == {"Mean": {"low": 3.0, "high": 5.0}}


def test_metrics_together_forget_together(together):
    together.update(*bright(3.0, 5.0))
    together.result()
    together.reset()
    assert len(together) == 0
    assert [len(metric) for metric in together.metrics] == [0, 0]
    assert together.result() == {"Images": None, "Mean": None, "Range": None}
    together.update(*bright(7.0))
    assert together.result() == {"Images": 1.0, "Mean": 7.0, "Range": 0.0}


def test_a_metric_of_no_classes_tells_nothing_of_them():
    assert Count(()).per_class() == {}
