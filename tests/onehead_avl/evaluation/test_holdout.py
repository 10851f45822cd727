import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.logging import BaseLogger
from avalanche.training.supervised import Cumulative
from torch.nn.functional import interpolate

import onehead_avl.evaluation.holdout
from onehead_avl.evaluation.holdout import HeldOut
from onehead_avl.kinds.classification import Classification
from onehead_avl.kinds.kind import Metric, MetricName, kind_of
from onehead_avl.model.input import network_input
from scenarios.dataset import EvaluationSet
from scenarios.drawn.embedded import drawn
from scenarios.experience import Experience, Stream

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")

SEG, CLS = range(2)
SIZE = 32
STEPS = 2  # an epoch


class Heard(BaseLogger):
    """Keeps what is logged of held-out images: the name, the step and the value."""

    def __init__(self):
        super().__init__()
        self.values = {}

    def log_single_metric(self, name, value, x_plot):
        if "_Holdout" in name:
            assert (name, x_plot) not in self.values, "logged twice"
            self.values[name, x_plot] = value


class Epochs(SupervisedPlugin):
    """Counts the epochs of each experience, and keeps the weights that it ends with."""

    def __init__(self):
        super().__init__()
        self.counts, self.ends = [], []

    def before_training_exp(self, strategy, **kwargs):
        self.counts.append(0)

    def after_training_epoch(self, strategy, **kwargs):
        self.counts[-1] += 1

    def after_training_exp(self, strategy, **kwargs):
        self.ends.append({name: value.clone() for name, value in strategy.model.state_dict().items()})


@pytest.fixture(scope="module")
def held(two):
    """Five held-out samples of each experience."""
    return [drawn(each.kind.name, "train", size=SIZE, count=5, seed=3) for each in two.experiences]


@pytest.fixture(scope="module")
def images(held):
    """The same as the network sees them."""
    return {task: EvaluationSet(samples, task, SIZE) for task, samples in enumerate(held)}


def holding(images, layout, patience=0):
    """Make the plugin, for a strategy of any benchmark."""
    made = []

    def plugin(benchmark):
        made.append(HeldOut(images, layout, batch_size=2, patience=patience))
        return made[-1]

    return plugin, made


def top1(output, samples):
    """The share of samples whose class has the most evidence, image by image."""
    found = [int(each.mean(dim=(1, 2)).argmax()) for each in output]
    return sum(label == sample.annotation["label"] for label, sample in zip(found, samples, strict=True)) / 5


def miou(output, samples):
    """Of the classes that are found or there, the mean share of their pixels that are both."""
    classes = range(output.shape[1])
    found = interpolate(output, size=(SIZE, SIZE), mode="bilinear", align_corners=False).argmax(dim=1)
    truth = torch.stack([sample.annotation["mask"] for sample in samples]).long()
    seen = truth != 255
    both = [float(((found == c) & (truth == c) & seen).sum()) for c in classes]
    either = [float((((found == c) | (truth == c)) & seen).sum()) for c in classes]
    shares = [b / e for b, e in zip(both, either, strict=True) if e]
    return sum(shares) / len(shares)


def test_the_values_after_each_epoch_are_those_of_a_measurement_by_hand(learned, two, held, images):
    heard = Heard()
    run = learned(holding(images, two.layout)[0], loggers=[heard])
    by_hand = {}
    model = run.strategy.model.eval()
    for stage, (task, epochs) in enumerate(zip((SEG, CLS), run.notes.weights, strict=True)):
        part = two.layout.parts[task]
        for epoch, weights in enumerate(epochs, start=1):
            model.load_state_dict(weights)
            with torch.no_grad():
                output = model(torch.stack([network_input(sample.image) for sample in held[task]]))
            output = output[:, part.start : part.start + part.kind.channels(part.classes)]
            step = (3 * stage + epoch) * STEPS  # three epochs of the first experience
            name, value = ("mIoU", miou) if task == SEG else ("Top1", top1)
            place = f"train_phase/train_stream/Task{task:03}/Exp{task:03}"
            by_hand[f"{name}_Holdout/{place}", step] = value(output, held[task])
    found = {key: value for key, value in heard.values.items() if not key[0].startswith("Top5")}
    assert found == pytest.approx(by_hand, abs=1e-6)
    assert len(set(by_hand.values())) > 3  # else a value in a wrong place could not be told
    assert len(heard.values) == 3 + 2 * 2


def test_an_experience_is_known_by_its_task_label_wherever_it_stands(learned, two, images):
    heard = Heard()
    learned(holding(images, two.layout)[0], loggers=[heard], order=["cls", "seg"], epochs=(1, 1))
    assert [key for key in heard.values if not key[0].startswith("Top5")] == [
        ("Top1_Holdout/train_phase/train_stream/Task001/Exp000", STEPS),
        ("mIoU_Holdout/train_phase/train_stream/Task000/Exp001", 2 * STEPS),
    ]


def test_an_experience_of_which_nothing_is_held_out_is_not_measured(learned, two, images):
    heard = Heard()
    learned(holding({CLS: images[CLS]}, two.layout)[0], loggers=[heard], epochs=(2, 1))
    assert {name.partition("_")[0] for name, _ in heard.values} == {"Top1", "Top5"}


def test_all_that_is_learned_at_once_is_measured(learned, two, images):
    heard = Heard()
    learned(holding(images, two.layout)[0], loggers=[heard], epochs=(1, 1), template=Cumulative)
    names = [(name, step) for name, step in heard.values if not name.startswith("Top5")]
    first, *others = sorted(names, key=lambda each: each[1])
    assert first[0] == "mIoU_Holdout/train_phase/train_stream/Task000/Exp000"
    assert sorted(name for name, _ in others) == [
        "Top1_Holdout/train_phase/train_stream/Task001/Exp001",
        "mIoU_Holdout/train_phase/train_stream/Task000/Exp001",
    ]
    assert len({step for _, step in others}) == 1


def test_without_patience_nothing_else_changes(learned, two, images, assert_learned_the_same):
    plugin, (made) = holding(images, two.layout)
    assert_learned_the_same(learned(plugin), learned())
    assert made[0].best_epoch is None


# Early stopping, by values that are told


class Error(Metric):
    """An error, of which these tests tell the values."""

    values = (MetricName("Error", higher_is_better=False), MetricName("Other"))

    def count(self, logits, target):
        self.images += len(target)

    def clear(self):
        self.images = 0

    def __len__(self):
        return self.images

    def compute(self, images):
        return {"Error": 0.0, "Other": 0.0}


class Judged(Classification):
    """Classification that is judged by an error."""

    name = "judged"
    measured_by = (Error,)


@pytest.fixture
def stopping(learned, two, images, monkeypatch):
    """Learn an experience of classification with patience for some epochs, by values; then another one for two."""

    def stopping(values, patience, epochs, kind="classification"):
        judged = Judged() if kind == "judged" else kind_of(kind)
        cls = two.experiences[CLS]
        of = Stream("told", tuple(Experience(n, judged, cls.classes, cls.train, cls.val, n) for n in ("a", "b")))
        primary, other = (metric.name for metric in judged.metrics)
        told = iter([*values, *[None] * 9])

        def measure(*arguments):
            # The second value contradicts the first, and has no say.
            value = next(told)
            return {primary: value, other: None if value is None else -value}

        monkeypatch.setattr(onehead_avl.evaluation.holdout, "measure", measure)
        plugin, made = holding(images, of.layout, patience)
        counted = Epochs()
        best = []

        class Best(SupervisedPlugin):
            def after_training_exp(self, strategy, **kwargs):
                best.append(made[0].best_epoch)

        run = learned(plugin, lambda benchmark: counted, lambda benchmark: Best(), of=of, epochs=(epochs, 2))
        return run, counted, best

    return stopping


@pytest.mark.parametrize(
    ("values", "patience", "epochs", "ended", "best"),
    [
        ([0.1, 0.3, 0.2, 0.3], 2, 6, 4, 2),  # as good is no better
        ([0.3, 0.2, 0.1], 2, 6, 3, 1),
        ([0.3, 0.2], 1, 6, 2, 1),
        ([0.1, 0.3, 0.2, 0.4, 0.1, 0.1], 2, 7, 6, 4),
        ([0.0, 0.0, 0.1, 0.0, 0.0], 2, 7, 5, 3),
        ([None, None, None], 2, 6, 3, 1),
        ([None, 0.0, None, None], 2, 6, 4, 2),
        ([0.2, None, None], 2, 6, 3, 1),
        ([0.2, None, 0.3, None, 0.1], 2, 6, 5, 3),
    ],
)
def test_an_experience_ends_when_its_value_has_not_improved_and_keeps_the_weights_of_its_best_epoch(
    stopping, capsys, values, patience, epochs, ended, best
):
    run, counted, bests = stopping(values, patience, epochs)
    assert counted.counts[0] == ended < epochs
    assert bests[0] == best
    wanted = run.notes.weights[0][best - 1]
    assert all(torch.equal(value, wanted[name]) for name, value in counted.ends[0].items())
    assert not torch.equal(wanted["layers.0.weight"], run.notes.weights[0][ended - 1]["layers.0.weight"])
    assert capsys.readouterr().err.splitlines()[0] == (
        f"note: a ends after epoch {ended} of {epochs}: its held-out Top1 was best after epoch {best}, of which the "
        "weights are kept"
    )


@pytest.mark.parametrize(
    ("values", "patience", "best"),
    [
        ([0.1, 0.2, 0.3, 0.4], 1, 4),
        ([0.1, 0.2, 0.3, 0.1], 2, 3),
        ([0.1, 0.3, 0.2, 0.2], 2, 2),  # the patience ends with the last epoch
        ([0.4, 0.3, 0.2, 0.1], 9, 1),
        ([None, None, None, None], 9, 1),
    ],
)
def test_an_experience_whose_value_improves_in_time_is_learned_to_its_end(stopping, capsys, values, patience, best):
    run, counted, bests = stopping(values, patience, 4)
    assert counted.counts[0] == 4
    assert bests[0] == best
    wanted = run.notes.weights[0][best - 1]
    assert all(torch.equal(value, wanted[name]) for name, value in counted.ends[0].items())
    assert "note: a " not in capsys.readouterr().err


def test_of_an_error_the_lowest_is_the_best(stopping, capsys):
    run, counted, bests = stopping([0.5, 0.3, 0.4, 0.3], 2, 6, "judged")
    assert (counted.counts[0], bests[0]) == (4, 2)
    wanted = run.notes.weights[0][1]
    assert all(torch.equal(value, wanted[name]) for name, value in counted.ends[0].items())
    assert "its held-out Error was best after epoch 2" in capsys.readouterr().err


def test_the_next_experience_begins_anew_and_is_learned_in_full(stopping):
    run, counted, bests = stopping([0.9, 0.8, 0.7, 0.1, 0.2], 2, 6)
    assert counted.counts == [3, 2]
    assert bests == [1, 2]  # though no value of the second is as good as those of the first
    assert run.strategy.clock.train_exp_epochs == 2


def test_a_stopped_experience_is_counted_as_long_as_it_was_learned(stopping):
    run, *_ = stopping([0.3, 0.2, 0.1, 0.1, 0.2], 2, 6)
    assert run.strategy.clock.train_iterations == STEPS * (3 + 2)
