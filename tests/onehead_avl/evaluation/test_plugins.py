import csv
import warnings
from types import SimpleNamespace

import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, with_task_labels
from avalanche.logging import BaseLogger
from avalanche.logging import CSVLogger as AvalancheCSVLogger
from avalanche.training.plugins import ReplayPlugin
from avalanche.training.supervised import Naive
from torch import nn

from onehead_avl.errors import UsageError
from onehead_avl.evaluation.plugins import (
    ExperienceScore,
    LossScore,
    MeanLoss,
    ReplayedSamples,
    evaluator,
    measured,
    metric_plugins,
)
from onehead_avl.kinds.classification import Classification, TopAccuracy
from onehead_avl.kinds.kind import Metric, MetricName, kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.target import Target
from scenarios.experience import Experience, Stream
from scenarios.samples.sample import Sample
from scenarios.stream import avalanche_benchmark

SEG, DET, CLS = TASKS = range(3)
NAMES = ("seg", "det", "cls")
ORDER = (DET, CLS, SEG)  # so that a task label is not the number of its experience
SIDE = 32


class Recorder(BaseLogger):
    """Keeps what was emitted since it was last asked."""

    def __init__(self):
        super().__init__()
        self.values = {}

    def log_single_metric(self, name, value, x_plot):
        assert name not in self.values, "emitted twice"
        self.values[name] = value

    def take(self):
        taken, self.values = self.values, {}
        return taken


class Scripted(nn.Module):
    """A network that answers what it was told, whatever it sees."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return self.answer.expand(len(images), -1, -1, -1) + 0 * self.weight


class ScriptedLoss:
    """A criterion that costs ``price`` for each sample of the minibatch: a large minibatch is dear."""

    price = 1.0

    def __call__(self, output, target):
        return 0 * output.sum() + self.price * len(target)


def halves(left, right):
    mask = torch.full((SIDE, SIDE), left, dtype=torch.uint8)
    mask[:, SIDE // 2 :] = right
    return mask


@pytest.fixture
def stream(layout) -> Stream:
    """Two images of each experience to learn from; two, two and three to be scored on."""
    image = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
    box = {"boxes": torch.tensor([[8.0, 8.0, 24.0, 24.0]]), "labels": torch.tensor([1]), "crowd": torch.tensor([False])}
    scenes = [Sample("d", image, box)] * 2
    labelled = [Sample("c", image, {"label": label}) for label in (0, 0, 3)]
    masks = [Sample("s", image, {"mask": halves(0, 1)})] * 2
    samples = ((masks, masks), (scenes, scenes), (labelled[:2], labelled))
    return Stream(
        "scripted",
        tuple(
            Experience(name, part.kind, part.classes, *of, name)
            for name, part, of in zip(layout.names, layout.parts, samples, strict=True)
        ),
    )


@pytest.fixture
def answers(layout, blank, place):
    """What the network answers at four evaluations, before and after each experience.

    The scores of these answers on the test stream (see ``stream``) are
        detection: AP 0, 1, .5, .5 and AP50 0, 1, 1, 1; classification: Top1 0, 0, 2/3, 1/3 and Top5 2/3, 2/3, 1, 1;
        segmentation: mIoU .25, .25, .25, 1.
    """
    outputs = blank(4, SIDE // 8, SIDE // 8)
    place(outputs[1], (1, 1), (8, 8, 24, 24), 1)
    for output in outputs[2:]:
        place(output, (1, 1), (8, 8, 24, 8 + 16 * 0.72), 1)
    outputs[:3, 0] = 5
    outputs[3, 0, :, :2] = outputs[3, 1, :, 2:] = 5
    first_class = layout.parts[CLS].start
    for output, ranking in zip(outputs, ([5, 4, 2, 1, 0], [5, 4, 2, 1, 0], [0, 3], [3, 0]), strict=True):
        for worse, label in enumerate(ranking):
            output[first_class + label] = 6.0 - worse
    return outputs


@pytest.fixture
def emitted(stream, layout, answers):
    """What a tiny run emitted: four evaluations and three trainings of two epochs each."""
    model, loss, recorder = Scripted(answers[0]), ScriptedLoss(), Recorder()
    benchmark = avalanche_benchmark(stream, SIDE, [NAMES[task] for task in ORDER])
    strategy = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=loss,
        train_mb_size=2,
        train_epochs=1,
        eval_mb_size=2,
        evaluator=evaluator(layout, [recorder]),
        plugins=[ReplayPlugin(mem_size=3, batch_size_mem=1)],
    )
    strategy.eval(benchmark.test_stream)
    evaluations, trainings = [recorder.take()], []
    for experience, answer, price in zip(benchmark.train_stream, answers[1:], (2.0, 5.0, 4.0), strict=True):
        model.answer, loss.price = answer, price
        with warnings.catch_warnings(record=True):  # the replay plugin calls a deprecated method of its own memory
            strategy.train(experience)
        trainings.append(recorder.take())
        strategy.eval(benchmark.test_stream)
        evaluations.append(recorder.take())
    return SimpleNamespace(evaluations=evaluations, trainings=trainings)


def of_exp(name, position):
    return f"{name}/eval_phase/test_stream/Task{ORDER[position]:03}/Exp{position:03}"


def of_stream(name):
    return f"{name}/eval_phase/test_stream"


def scores(*, ap, ap50, top1, top5, miou, price):
    # A price is for each sample of a minibatch of two; the three pictures of classification are a two and a one.
    return {
        of_exp("AP_Exp", 0): ap,
        of_exp("AP50_Exp", 0): ap50,
        of_exp("Top1_Exp", 1): top1,
        of_exp("Top5_Exp", 1): top5,
        of_exp("mIoU_Exp", 2): miou,
        of_exp("Loss_Exp", 0): 2 * price,
        of_exp("Loss_Exp", 1): price * (2 * 2 + 1 * 1) / 3,
        of_exp("Loss_Exp", 2): 2 * price,
    }


def forgotten(position, **values):
    """Forgetting and backward transfer of an experience."""
    return {
        of_exp(f"{name}_{kind}", position): sign * value
        for name, value in values.items()
        for kind, sign in (("Forgetting_Exp", 1), ("BWT_Exp", -1))
    }


def forgotten_on_the_stream(**values):
    return {
        of_stream(f"{name}_{kind}"): sign * value
        for name, value in values.items()
        for kind, sign in (("Forgetting_Stream", 1), ("BWT_Stream", -1))
    }


def test_before_training_there_are_scores_and_no_forgetting(emitted):
    expected = scores(ap=0, ap50=0, top1=0, top5=2 / 3, miou=0.25, price=1)
    assert emitted.evaluations[0] == pytest.approx(expected, abs=1e-6)


def test_after_the_first_experience_nothing_was_measured_twice(emitted):
    expected = scores(ap=1, ap50=1, top1=0, top5=2 / 3, miou=0.25, price=2)
    assert emitted.evaluations[1] == pytest.approx(expected, abs=1e-6)


def test_after_the_second_experience_the_first_may_be_forgotten(emitted):
    # The loss of the first rose from 2 * 2 to 2 * 5.
    expected = {
        **scores(ap=0.5, ap50=1, top1=2 / 3, top5=1, miou=0.25, price=5),
        **forgotten(0, AP=0.5, AP50=0, Loss=6),
        **forgotten_on_the_stream(AP=0.5, AP50=0, Loss=6),
    }
    assert emitted.evaluations[2] == pytest.approx(expected, abs=1e-6)


def test_after_the_third_experience_stream_forgetting_is_the_mean(emitted):
    # The loss of the first rose from 2 * 2 to 2 * 4, that of the second fell by 5/3.
    expected = {
        **scores(ap=0.5, ap50=1, top1=1 / 3, top5=1, miou=1, price=4),
        **forgotten(0, AP=0.5, AP50=0, Loss=4),
        **forgotten(1, Top1=1 / 3, Top5=0, Loss=-5 / 3),
        **forgotten_on_the_stream(AP=0.5, AP50=0, Top1=1 / 3, Top5=0, Loss=(4 - 5 / 3) / 2),
    }
    assert emitted.evaluations[3] == pytest.approx(expected, abs=1e-6)


def test_training_tells_the_loss_and_the_replayed_samples(emitted):
    def of_task(name, task):
        return f"{name}/train_phase/train_stream/Task{task:03}"

    # Later minibatches hold one replayed sample beside the two of the experience.
    for values, task, price, replayed in zip(emitted.trainings, ORDER, (2, 5, 4), (0, 1, 1), strict=True):
        expected = {
            of_task("Loss_Epoch", task): price * (2 + replayed),
            of_task("ReplayedSamples_Epoch", task): replayed,
        }
        assert values == pytest.approx(expected)


def test_every_metric_has_a_score_before_the_metrics_that_read_it(layout):
    kinds = ("Forgetting_Exp", "BWT_Exp", "Forgetting_Stream", "BWT_Stream")
    expected = ["Loss_Epoch", "ReplayedSamples_Epoch", "mIoU_Exp", "AP50_Exp/AP_Exp", "Top1_Exp/Top5_Exp", "Loss_Exp"]
    expected += [f"{name}_{kind}" for name in ("mIoU", "AP50", "AP", "Top1", "Top5", "Loss") for kind in kinds]
    assert [str(plugin) for plugin in metric_plugins(layout)] == expected


def test_each_evaluator_counts_for_itself(layout):
    one, other = (
        [plugin._metric for plugin in metric_plugins(layout) if isinstance(plugin, LossScore)] for _ in range(2)
    )
    assert len(one) == len(other) == 1
    assert one[0] is not other[0]


def test_a_score_begins_anew_with_each_experience():
    score = LossScore(MeanLoss())
    score.before_eval_exp(None)
    score.after_eval_iteration(SimpleNamespace(loss=torch.tensor(3.0), mb_y=[0]))
    assert score.result() == {"Loss": 3}
    score.before_eval_exp(None)
    assert score.result() == {"Loss": None}


def test_the_mean_loss_weighs_minibatches_by_their_samples():
    loss = MeanLoss()
    assert loss.result() == {"Loss": None}
    loss.update(3.0, samples=2)
    loss.update(6.0, samples=1)
    assert loss.result() == {"Loss": pytest.approx(4)}
    loss.reset()
    assert loss.result() == {"Loss": None}


def training_step(current, *tasks):
    """A strategy in the middle of a minibatch with samples of these tasks."""
    return SimpleNamespace(
        experience=SimpleNamespace(task_labels=list(current)),
        mb_y=Target.cat([Target.single(task, (8, 8)) for task in tasks]),
    )


def test_replayed_samples_are_the_most_of_any_minibatch():
    metric, (seg, det, cls) = ReplayedSamples(), TASKS
    for tasks in ([cls, seg], [seg, cls, det, seg], [cls, cls]):
        metric.after_training_iteration(training_step([cls], *tasks))
    assert metric.result() == 3
    metric.before_training_epoch(None)
    metric.after_training_iteration(training_step([cls], cls, cls))
    assert metric.result() == 0


def test_replayed_samples_are_not_told_where_tasks_are_mixed():
    metric = ReplayedSamples()
    metric.before_training_epoch(None)
    strategy = training_step([SEG, DET], SEG, DET)
    metric.after_training_iteration(strategy)
    assert metric.after_training_epoch(strategy) is None


class WrongShare(Metric):
    """The share of images whose class is not the best guess."""

    values = (MetricName("Wrong", higher_is_better=False),)

    def count(self, logits, target):
        self.wrong += (logits.mean(dim=(2, 3)).argmax(dim=1) != target.parts["label"]).tolist()

    def clear(self):
        self.wrong = []

    def __len__(self):
        return len(self.wrong)

    def compute(self, images):
        return {"Wrong": sum(self.wrong[image] for image in images) / len(images)}


class Blame(Classification):
    """Classification, measured by an error."""

    name = "blame"
    measured_by = (WrongShare,)


def tiny(kinds, labels=None, heads=None, loggers=()):
    """A strategy on a stream of the experiences e0, e1, ... with the classes a and b.

    Args:
        kinds: The kind of each experience.
        labels: Of the images of each experience; three of a and one of b if it is not told.
        heads: The head of each experience; one of its own if it is not told.
        loggers: More of them.

    Returns:
        The strategy, its benchmark, what records the values, and ``answer``, which sets the class that the network
        answers in each experience.
    """
    image = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
    names = [f"e{i}" for i in range(len(kinds))]
    experiences = []
    for name, kind, own, head in zip(names, kinds, labels or [(0, 0, 0, 1)] * len(kinds), heads or names, strict=True):
        samples = [Sample("c", image, {"label": label}) for label in own]
        experiences.append(Experience(name, kind, ("a", "b"), samples, samples, head))
    stream = Stream("tiny", tuple(experiences))
    layout, recorder = stream.layout, Recorder()
    model = Scripted(torch.zeros(layout.channels, SIDE // 8, SIDE // 8))

    def answer(*chosen):
        output = torch.zeros_like(model.answer)
        for part, label in zip(layout.parts, chosen, strict=True):
            output[part.start + label] = 5
        model.answer = output

    strategy = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=ScriptedLoss(),
        train_mb_size=4,
        eval_mb_size=4,
        evaluator=evaluator(layout, [recorder, *loggers]),
    )
    return SimpleNamespace(
        strategy=strategy, benchmark=avalanche_benchmark(stream, SIDE), recorder=recorder, answer=answer
    )


def learn(run, *evaluations):
    """Learn each experience, evaluate all after it with an answer of ``evaluations``; the last values emitted."""
    for experience, chosen in zip(run.benchmark.train_stream, evaluations, strict=True):
        run.strategy.train(experience)
        run.answer(*chosen)
        run.recorder.take()
        run.strategy.eval(run.benchmark.test_stream)
    return run.recorder.take()


def by_experience(found, name):
    """The emitted values of one name by task label and experience."""
    return {key.split("/", 3)[-1]: value for key, value in found.items() if key.startswith(f"{name}/")}


def top1(run):
    return {name: values["Top1"] for name, values in measured(run.strategy.evaluator)[0].items()}


def test_two_experiences_of_one_kind_are_scored_and_forgotten_apart():
    run = tiny([kind_of("classification")] * 2)
    found = learn(run, (0, 1), (1, 0))
    assert by_experience(found, "Top1_Exp") == {"Task000/Exp000": 0.25, "Task001/Exp001": 0.75}
    # The first was .75 when it was learned; the other was learned last.
    assert by_experience(found, "Top1_Forgetting_Exp") == {"Task000/Exp000": 0.5}
    assert found["Top1_Forgetting_Stream/eval_phase/test_stream"] == 0.5
    assert top1(run) == {"e0": 0.25, "e1": 0.75}
    _, per_class = measured(run.strategy.evaluator)
    assert per_class["e0"]["Top1"] == {"a": 0.0, "b": 1.0}
    assert per_class["e1"]["Top1"] == {"a": 1.0, "b": 0.0}


def test_two_experiences_of_one_head_are_scored_and_forgotten_apart():
    run = tiny([kind_of("classification")] * 2, labels=[(0, 0, 0, 1), (1, 1, 0, 0, 1)], heads=["day", "day"])
    found = learn(run, (0, 0), (1, 1))
    assert by_experience(found, "Top1_Exp") == {
        "Task000/Exp000": 0.25,
        "Task001/Exp001": pytest.approx(3 / 5),
    }
    assert by_experience(found, "Top1_Forgetting_Exp") == {"Task000/Exp000": 0.5}


def test_forgetting_of_a_stream_is_the_mean_over_the_experiences_of_a_kind():
    run = tiny([kind_of("classification")] * 3)
    found = learn(run, (0, 0, 0), (0, 0, 0), (1, 0, 0))  # .5 of the first was forgotten, nothing of the second
    assert by_experience(found, "Top1_Forgetting_Exp") == {"Task000/Exp000": 0.5, "Task001/Exp001": 0.0}
    assert found["Top1_Forgetting_Stream/eval_phase/test_stream"] == 0.25
    assert found["Top1_BWT_Stream/eval_phase/test_stream"] == -0.25


@pytest.mark.parametrize(
    ("just_learned", "finally_", "error", "forgetting"), [(0, 1, 0.75, 0.5), (1, 0, 0.25, -0.5), (1, 1, 0.75, 0.0)]
)
def test_an_error_that_grows_is_forgetting(just_learned, finally_, error, forgetting):
    run = tiny([Blame(), kind_of("classification")])
    found = learn(run, (just_learned, 0), (finally_, 0))
    assert by_experience(found, "Wrong_Exp") == {"Task000/Exp000": error}  # as it is, not turned round
    assert by_experience(found, "Wrong_Forgetting_Exp") == {"Task000/Exp000": forgetting}
    assert by_experience(found, "Wrong_BWT_Exp") == {"Task000/Exp000": -forgetting}
    assert found["Wrong_Forgetting_Stream/eval_phase/test_stream"] == forgetting
    assert found["Wrong_BWT_Stream/eval_phase/test_stream"] == -forgetting
    assert measured(run.strategy.evaluator)[0]["e0"] == {"Wrong": error}


def test_a_value_of_two_directions_is_refused():
    class Opposite(TopAccuracy):
        values = (MetricName("Top1", higher_is_better=False), MetricName("Top5"))

    class Contrary(Classification):
        measured_by = (Opposite,)

    layout = layout_of_heads([(n, n, k, ("a", "b")) for n, k in (("x", kind_of("classification")), ("y", Contrary()))])
    with pytest.raises(UsageError, match="expected one direction of the metric Top1, found two"):
        evaluator(layout)


@pytest.mark.parametrize("names", [["Loss"], ["top_1"], ["AP/small"], ["A", "A"]], ids=str)
def test_a_name_that_a_value_cannot_have_is_refused(names):
    class Counted(WrongShare):
        values = tuple(MetricName(name) for name in names)

    class Odd(Classification):
        name = "odd"
        measured_by = (Counted,)

    layout = layout_of_heads([("x", "x", Odd(), ("a", "b"))])
    with pytest.raises(UsageError, match=f"kind odd: expected names of values .*, found '{names[0]}'; rename it"):
        evaluator(layout)


def test_experiences_that_were_not_evaluated_are_absent(layout):
    with warnings.catch_warnings(record=True):  # there are no loggers
        assert measured(evaluator(layout)) == ({}, {})
    run = tiny([kind_of("classification")] * 2)
    run.answer(0, 0)
    run.strategy.eval(run.benchmark.test_stream[1:])
    assert top1(run) == {"e1": 0.75}
    assert set(measured(run.strategy.evaluator)[1]) == {"e1"}


def test_values_stay_until_their_experience_is_evaluated_again():
    run = tiny([kind_of("classification")] * 2)
    learn(run, (0, 0), (0, 0))
    assert top1(run) == {"e0": 0.75, "e1": 0.75}
    run.answer(1, 1)
    run.strategy.train(run.benchmark.train_stream[0])
    assert top1(run) == {"e0": 0.75, "e1": 0.75}
    run.strategy.eval(run.benchmark.test_stream[1:])
    assert top1(run) == {"e0": 0.75, "e1": 0.25}
    run.strategy.eval(run.benchmark.test_stream[:1])
    assert top1(run) == {"e0": 0.25, "e1": 0.25}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_output_of_half_precision_is_counted_in_float32(layout, blank, dtype):
    output = blank(2, 4, 4).to(dtype)
    part = layout.parts[SEG]
    score = ExperienceScore(part.kind.metric(part.classes), SEG, layout)
    counted = []
    score.metric.count = lambda logits, target: counted.append(logits)
    target = Target.cat([Target.single(SEG, (32, 32)) for _ in range(2)])
    score.update(SimpleNamespace(mb_output=output, mb_y=target))
    (logits,) = counted
    assert logits.dtype == torch.float32
    assert torch.equal(logits, part.of(output).float())


# Experiences that others have built: without a list of task labels, or with samples of several tasks


def emitted_by(run, experiences, *answers):
    """What an evaluation of experiences emits when the network gives these answers."""
    run.answer(*answers)
    run.recorder.take()
    run.strategy.eval(experiences)
    return run.recorder.take()


def sets_of(run):
    return [[each.dataset for each in stream] for stream in (run.benchmark.train_stream, run.benchmark.test_stream)]


def test_experiences_without_task_labels_are_scored_and_forgotten_by_those_of_their_samples():
    run = tiny([kind_of("classification")] * 2, labels=[(0, 0, 0, 1), (1, 1, 0, 0, 1)])
    train, test = sets_of(run)
    run.benchmark = benchmark_from_datasets(train=train[::-1], test=test[::-1])
    assert not hasattr(run.benchmark.train_stream[0], "task_labels")
    found = learn(run, (1, 1), (0, 0))  # answers to the first and the second of the definition
    assert by_experience(found, "Top1_Exp") == {"Task001/Exp000": pytest.approx(2 / 5), "Task000/Exp001": 0.75}
    assert by_experience(found, "Top1_Forgetting_Exp") == {"Exp000": pytest.approx(3 / 5 - 2 / 5)}
    assert found["Top1_Forgetting_Stream/eval_phase/test_stream"] == pytest.approx(1 / 5)
    assert by_experience(found, "Loss_Exp") == {"Exp000": pytest.approx((4 * 4 + 1 * 1) / 5), "Exp001": 4}
    assert top1(run) == {"e0": 0.75, "e1": pytest.approx(2 / 5)}


@pytest.mark.parametrize("labelled", [with_task_labels, lambda benchmark: benchmark], ids=["labelled", "unlabelled"])
def test_an_experience_that_mixes_tasks_is_scored_by_the_labels_of_its_samples(labelled):
    run = tiny([kind_of("classification")] * 2, labels=[(0, 0, 0, 1), (1, 1, 0, 0, 1)])
    train, (first, second) = sets_of(run)
    # Minibatches of four: two of each task, then two of the first task and one of the second.
    mixed = first.subset([0, 3]).concat(second.subset([0, 1])).concat(first.subset([1, 2])).concat(second.subset([2]))
    benchmark = labelled(benchmark_from_datasets(train=train, test=[mixed, second.subset([3])]))
    found = emitted_by(run, benchmark.test_stream, 0, 1)
    assert by_experience(found, "Top1_Exp") == {
        "Task000/Exp000": 0.75,
        "Task001/Exp000": pytest.approx(2 / 3),
        "Task001/Exp001": 0.0,  # its samples are of another experience: they are not added up
    }
    losses = by_experience(found, "Loss_Exp").values()
    assert list(losses) == [pytest.approx((4 * 4 + 3 * 3) / 7), 1]


def test_what_an_experience_of_mixed_tasks_forgets_is_of_no_single_metric():
    run = tiny([kind_of("classification")] * 2)
    train, (first, second) = sets_of(run)
    run.benchmark = benchmark_from_datasets(train=train, test=[first.concat(second), second])
    found = learn(run, (0, 0), (1, 1))
    assert by_experience(found, "Top1_Forgetting_Exp") == {}
    assert "Top1_Forgetting_Stream/eval_phase/test_stream" not in found
    assert by_experience(found, "Loss_Forgetting_Exp") == {"Exp000": 0.0}  # the loss is one for all tasks


def test_replayed_samples_are_told_without_a_list_of_task_labels():
    run = tiny([kind_of("classification")] * 2)
    train, test = sets_of(run)
    run.benchmark = benchmark_from_datasets(train=[train[1], train[0].concat(train[1])], test=test)
    run.strategy.train(run.benchmark.train_stream[0])
    assert list(by_experience(run.recorder.take(), "ReplayedSamples_Epoch").values()) == [0]
    run.strategy.train(run.benchmark.train_stream[1])
    assert by_experience(run.recorder.take(), "ReplayedSamples_Epoch") == {}


# Avalanche's own loggers, which tell metrics apart by how their names begin


@pytest.mark.parametrize("labelled", [with_task_labels, lambda benchmark: benchmark], ids=["labelled", "unlabelled"])
def test_avalanches_own_csv_logger_writes_the_loss_and_never_what_was_forgotten_of_it(tmp_path, labelled):
    logger = AvalancheCSVLogger(str(tmp_path))
    run = tiny([kind_of("classification")] * 3, loggers=[logger])
    train, test = sets_of(run)
    run.benchmark = labelled(benchmark_from_datasets(train=train, test=test))
    losses, forgotten = [], []
    for price, experience in zip((1.0, 2.5, 2.0), run.benchmark.train_stream, strict=True):
        run.strategy._criterion.price = price
        run.strategy.train(experience)
        run.recorder.take()
        run.strategy.eval(run.benchmark.test_stream)
        found = run.recorder.take()
        losses += by_experience(found, "Loss_Exp").values()
        forgotten += by_experience(found, "Loss_Forgetting_Exp").values()
    logger.close()
    with (tmp_path / "eval_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["training_exp"], row["eval_exp"]) for row in rows] == [
        (str(i), str(j)) for i in range(3) for j in range(3)
    ]
    assert [float(row["eval_loss"]) for row in rows] == losses == [4.0] * 3 + [10.0] * 3 + [8.0] * 3
    assert forgotten == [6.0, 4.0, -2.0]
