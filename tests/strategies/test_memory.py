from typing import NamedTuple

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin

from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.input import network_input
from onehead_avl.model.network import OneHeadNet
from scenarios.experience import Stream
from scenarios.stream import avalanche_benchmark
from strategies.memory import Endless, SegmentationBuffer, segmentation_replay
from strategies.multitask import MultiTask

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")

SIZE = 32
PICTURES = 7  # of each experience: minibatches of 3, 3 and 1
BATCH = 3
EPOCHS = 2

SEG, DET, CLS = 0, 1, 2
SEG_1, DET_2, SEG_2, CLS_2 = range(4)
"""The task labels of three experiences, and of four."""

Picture = tuple[int, int]
"""A training picture: its task label, and its position in the training set."""


class Minibatch(NamedTuple):
    """What a training step saw."""

    experience: int
    pictures: list[Picture]
    tasks: list[int]  # by the targets
    labels: list[int]  # Avalanche's task labels


class Recorder(SupervisedPlugin):
    """Recognises every picture of every minibatch, and looks into the memory after every experience."""

    def __init__(self, data, replay):
        super().__init__()
        self.known = {
            network_input(sample.image).numpy().tobytes(): (task, position)
            for task, experience in enumerate(data.experiences)
            for position, sample in enumerate(experience.train)
        }
        assert len(self.known) == len(data.experiences) * PICTURES
        self.replay = replay
        self.minibatches: list[Minibatch] = []
        self.memory: list[list[Picture]] = []

    def recognise(self, images):
        return [self.known[image.numpy().tobytes()] for image in images]

    def before_forward(self, strategy, **kwargs):
        images, target, labels = strategy.mbatch
        pictures = self.recognise(images)
        exp = strategy.experience.current_experience
        self.minibatches.append(Minibatch(exp, pictures, target.task.tolist(), labels.tolist()))

    def after_training_exp(self, strategy, **kwargs):
        buffer = self.replay.storage_policy.buffer
        self.memory.append(sorted(self.recognise([buffer[index][0] for index in range(len(buffer))])))

    def steps(self, experience):
        return [each for each in self.minibatches if each.experience == experience]


@pytest.fixture(scope="module")
def data(drawn_experience):
    kinds = {"seg": "segmentation", "det": "detection", "cls": "classification"}
    return Stream("three", tuple(drawn_experience(name, kind, PICTURES) for name, kind in kinds.items()))


@pytest.fixture(scope="module")
def data_of_four(drawn_experience):
    experiences = (
        drawn_experience("seg-1", "segmentation", PICTURES),
        drawn_experience("det", "detection", PICTURES),
        drawn_experience("seg-2", "segmentation", PICTURES, seed=1),
        drawn_experience("cls", "classification", PICTURES),
    )
    return Stream("four", experiences)


@pytest.fixture
def learn(data, unaugmented):
    """Train over a stream with replay and return what was recorded."""

    def learn(order=(SEG, DET, CLS), memory=4, per_step=2, of=data):
        torch.manual_seed(0)
        model = OneHeadNet(of.layout, channels=32)
        replay = segmentation_replay(model.layout.of_kind("segmentation"), memory, per_step)
        recorder = Recorder(of, replay)
        strategy = MultiTask(
            model=model,
            criterion=MultiTaskLoss(model.layout),
            plugins=[replay, recorder],
            train_mb_size=BATCH,
            train_epochs=EPOCHS,
            evaluator=evaluator(model.layout),
        )
        for experience in avalanche_benchmark(of, SIZE, [of.names[task] for task in order]).train_stream:
            strategy.train(experience)
        return recorder

    return learn


def assert_pure(steps, task):
    """The minibatches hold each picture of one task once an epoch, and nothing else."""
    pictures = [picture for step in steps for picture in step.pictures]
    assert sorted(pictures) == sorted([(task, position) for position in range(PICTURES)] * EPOCHS)


def assert_replayed(steps, task, per_step, memory):
    """The minibatches hold, beside each picture of a task once an epoch, so many samples of the memory each."""
    current = []
    for step in steps:
        own = [picture for picture in step.pictures if picture[0] == task]
        replayed = [picture for picture in step.pictures if picture[0] != task]
        assert len(replayed) == per_step
        assert set(replayed) <= set(memory)
        assert 1 <= len(own) <= BATCH
        current += own
    assert sorted(current) == sorted([(task, position) for position in range(PICTURES)] * EPOCHS)


def test_later_experiences_replay_segmentation_pictures_of_experience_0_and_nothing_else(learn):
    seen = learn(memory=4, per_step=2)
    assert_pure(seen.steps(0), SEG)
    first = {picture for step in seen.steps(0) for picture in step.pictures}
    memory = seen.memory[0]
    assert len(memory) == len(set(memory)) == 4
    assert set(memory) <= first
    for experience, task in ((1, DET), (2, CLS)):
        assert_replayed(seen.steps(experience), task, 2, memory)
        replayed = {picture for step in seen.steps(experience) for picture in step.pictures if picture[0] != task}
        assert replayed == set(memory)  # all of the memory gets its turn
        assert {picture[0] for picture in replayed} == {SEG}


def test_the_memory_keeps_what_it_has_when_other_tasks_follow(learn):
    first, second, third = learn(memory=4).memory
    assert first == second == third


def test_targets_and_task_labels_go_with_their_pictures(learn):
    for step in learn().minibatches:
        assert step.tasks == step.labels == [task for task, _ in step.pictures]


@pytest.mark.parametrize("memory", [2, 6, PICTURES, 50])
def test_the_memory_never_exceeds_its_size_or_what_there_is(learn, memory):
    for pictures in learn(order=(SEG, CLS), memory=memory, per_step=1).memory:
        assert len(set(pictures)) == len(pictures) == min(memory, PICTURES)


@pytest.mark.parametrize(("memory", "per_step"), [(PICTURES, 1), (6, 3), (2, 2)])
def test_replay_makes_no_epoch_longer(learn, memory, per_step):
    seen = learn(memory=memory, per_step=per_step)
    assert [len(seen.steps(experience)) for experience in range(3)] == [3 * EPOCHS] * 3
    assert_replayed(seen.steps(1), DET, per_step, seen.memory[0])


def test_no_more_can_be_replayed_than_the_memory_holds(learn):
    seen = learn(order=(SEG, DET), memory=3, per_step=5)
    assert_replayed(seen.steps(1), DET, 3, seen.memory[0])


def test_a_memory_that_does_not_divide_evenly_replays_no_more_than_asked_for(learn):
    seen = learn(order=(SEG, DET), memory=5, per_step=2)
    counts = [sum(task == SEG for task, _ in step.pictures) for step in seen.steps(1)]
    assert max(counts) == 2
    assert min(counts) == 1


def test_nothing_is_replayed_until_segmentation_was_learned(learn):
    seen = learn(order=(DET, SEG, CLS))
    assert_pure(seen.steps(0), DET)
    assert_pure(seen.steps(1), SEG)
    assert_replayed(seen.steps(2), CLS, 2, seen.memory[1])
    assert [len(pictures) for pictures in seen.memory] == [0, 4, 4]
    assert {task for task, _ in seen.memory[1]} == {SEG}


def test_nothing_is_ever_replayed_if_segmentation_comes_last(learn):
    order = (CLS, DET, SEG)
    seen = learn(order=order)
    for experience, task in enumerate(order):
        assert_pure(seen.steps(experience), task)
    assert [len(pictures) for pictures in seen.memory] == [0, 0, 4]


def test_without_segmentation_the_memory_stays_empty(learn):
    assert learn(order=(DET, CLS)).memory == [[], []]


@pytest.mark.parametrize("order", [(SEG_1, DET_2, SEG_2, CLS_2), (DET_2, SEG_2, SEG_1, CLS_2)])
def test_two_segmentation_experiences_share_a_memory_that_holds_samples_of_both_and_of_nothing_else(
    order, learn, data_of_four
):
    seen = learn(order=order, memory=6, per_step=3, of=data_of_four)
    assert [len(pictures) for pictures in seen.memory] == [
        6 if SEG_1 in order[: n + 1] or SEG_2 in order[: n + 1] else 0 for n in range(4)
    ]
    first, second = sorted((SEG_1, SEG_2), key=order.index)
    assert {task for task, _ in seen.memory[order.index(first)]} == {first}
    assert {task for task, _ in seen.memory[order.index(second)]} == {SEG_1, SEG_2}
    for stage, task in enumerate(order):
        memory = seen.memory[stage - 1] if stage else []
        assert_replayed(seen.steps(stage), task, 3 if memory else 0, memory)
    replayed = {picture for step in seen.steps(3) for picture in step.pictures if picture[0] != CLS_2}
    assert replayed == set(seen.memory[2])


def test_a_memory_with_room_for_all_keeps_all_of_both_segmentation_experiences(learn, data_of_four):
    seen = learn(order=(SEG_2, DET_2, SEG_1, CLS_2), memory=50, per_step=1, of=data_of_four)
    assert seen.memory[1] == [(SEG_2, position) for position in range(PICTURES)]
    assert seen.memory[3] == [(task, position) for task in (SEG_1, SEG_2) for position in range(PICTURES)]


def test_every_picture_may_be_chosen(data):
    """Over many memories of three of seven pictures, each picture is in some and absent from others."""
    experience = avalanche_benchmark(data, SIZE, ["seg"]).train_stream[0]
    counts = torch.zeros(PICTURES)
    for seed in range(60):
        torch.manual_seed(seed)
        buffer = SegmentationBuffer(max_size=3, tasks=[SEG])
        buffer.post_adapt(None, experience)
        chosen = [buffer.buffer.targets[index] for index in range(3)]  # targets count up from 0 here
        counts[chosen] += 1
    assert counts.sum() == 180
    assert counts.min() > 10
    assert counts.max() < 45


def test_the_memory_of_a_seed_is_always_the_same(learn):
    assert learn(order=(SEG,)).memory == learn(order=(SEG,)).memory


def numbered(n, start=0):
    return [(torch.tensor(start + i), 0) for i in range(n)]


def test_endless_gives_every_sample_once_a_round_in_a_new_order():
    batches = Endless([numbered(6)], 3)
    rounds = [torch.cat([next(batches)[0] for _ in range(2)]).tolist() for _ in range(4)]
    assert all(sorted(each) == list(range(6)) for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_endless_minibatches_are_always_full_and_share_groups_evenly():
    batches = Endless([numbered(5), numbered(7, start=10)], 3)
    drawn = [next(batches)[0] for _ in range(70)]
    assert all([(each < 10).sum(), len(each)] == [3, 6] for each in drawn)
    counts = torch.cat(drawn).bincount()
    assert counts[:5].tolist() == [42] * 5
    assert counts[10:].tolist() == [30] * 7


def test_endless_takes_all_of_a_small_group():
    assert sorted(next(Endless([numbered(2)], 5))[0].tolist()) == [0, 1]
