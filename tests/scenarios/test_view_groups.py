import pickle

import pytest
import torch
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.benchmarks.utils.utils import concat_datasets
from avalanche.training.storage_policy import ClassBalancedBuffer, ExperienceBalancedBuffer, ReservoirSamplingBuffer
from torch.utils.data import DataLoader

from onehead_avl.system.views import VIEWS
from scenarios.dataset import EvaluationSet
from scenarios.description import read_description
from scenarios.reading import read_stream
from scenarios.stream import avalanche_benchmark

SIZE = 32
TASKS = range(3)
PICTURES = 4  # of each task


@pytest.fixture(scope="module")
def stream(shared_mini_root):
    return read_stream(read_description("challenge").on(shared_mini_root, SIZE), lambda line: None)


@pytest.fixture(scope="module")
def learned(stream):
    return avalanche_benchmark(stream, SIZE).train_stream


@pytest.fixture(scope="module")
def plain(stream):
    """What an evaluation of the training samples sees, by task label."""
    return [EvaluationSet(stream.experiences[task].train, task, SIZE) for task in TASKS]


@pytest.fixture(autouse=True)
def epoch():
    """An epoch, in which every training sample has one random view."""
    with VIEWS.fixed(5):
        yield


@pytest.fixture
def drawn(learned):
    """The random views of the training samples, by task label."""
    return [[experience.dataset[index][:2] for index in range(PICTURES)] for experience in learned]


def identical(first, second):
    (image, target, *_), (other_image, other_target, *_) = first, second
    return (
        torch.equal(image, other_image)
        and torch.equal(target.task, other_target.task)
        and torch.equal(target.size, other_target.size)
        and target.parts.keys() == other_target.parts.keys()
        and all(torch.equal(filled(part), filled(other_target.parts[name])) for name, part in target.parts.items())
    )


def filled(part):
    return part.nan_to_num(-1.0) if part.is_floating_point() else part  # boxes of a batch are padded


def shows(dataset, views, indices=range(PICTURES)):
    """Whether a data set holds certain views of certain samples, each with its task label."""
    assert len(dataset) == len(indices) > 0
    samples = [dataset[position] for position in range(len(dataset))]
    assert all(len(sample) == 3 for sample in samples)
    assert all(sample[2] == sample[1].task.item() for sample in samples)
    return all(identical(sample, views[index]) for sample, index in zip(samples, indices, strict=True))


def has_both(dataset, drawn, plain, indices=range(PICTURES)):
    """Whether the two modes of a data set hold the random views and the plain views of certain samples."""
    trains, evaluates = (dataset.train(), dataset.eval().train()), (dataset.eval(), dataset.train().eval())
    return all(shows(mode, drawn, indices) for mode in trains) and all(
        shows(mode, plain, indices) for mode in evaluates
    )


@pytest.mark.parametrize("task", TASKS, ids=("seg", "det", "cls"))
def test_a_training_set_trains_on_random_views_and_is_evaluated_on_plain_ones(task, learned, drawn, plain):
    dataset = learned[task].dataset
    assert has_both(dataset, drawn[task], plain[task])
    assert shows(dataset, drawn[task])  # training is where it begins, and stays its mode
    assert not any(identical(*pair) for pair in zip(drawn[task], plain[task], strict=True))


def test_an_evaluation_draws_nothing(learned):
    VIEWS.seed = None  # training would draw from the global state
    state = torch.get_rng_state()
    for experience in learned:
        dataset = experience.dataset.eval()
        assert all(identical(dataset[index], dataset[index]) for index in range(PICTURES))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_chosen_and_joined_keeps_both_modes(learned, drawn, plain):
    dataset = learned[1].dataset
    assert has_both(dataset.subset([2, 0]), drawn[1], plain[1], [2, 0])
    assert has_both(dataset.subset([2, 0]).subset([1]), drawn[1], plain[1], [0])
    assert has_both(dataset.subset([2]).concat(dataset.subset([0, 3])), drawn[1], plain[1], [2, 0, 3])
    assert has_both(dataset.concat(dataset), drawn[1], plain[1], [*range(PICTURES)] * 2)
    assert shows(dataset.eval().subset([2, 0]), plain[1], [2, 0])
    assert shows(dataset.eval().concat(dataset.eval().subset([3])), plain[1], [*range(PICTURES), 3])


def test_different_experiences_that_are_joined_keep_both_modes(learned, drawn, plain):
    joined = concat_datasets([experience.dataset for experience in learned])
    order = [(task, index) for task in TASKS for index in range(PICTURES)]
    drawn, plain = ({(task, index): views[task][index] for task, index in order} for views in (drawn, plain))
    assert has_both(joined, drawn, plain, order)
    assert has_both(joined.subset([9, 1, 5]), drawn, plain, [(2, 1), (0, 1), (1, 1)])


@pytest.mark.parametrize("memory", [ReservoirSamplingBuffer, ExperienceBalancedBuffer, ClassBalancedBuffer])
def test_a_memory_keeps_both_modes(memory, learned, drawn, plain):
    policy = memory(max_size=7)
    torch.manual_seed(0)
    for experience in learned:
        policy.post_adapt(None, experience)
    kept = policy.buffer
    assert 3 <= len(kept) <= 7
    everything = [(task, index) for task in TASKS for index in range(PICTURES)]
    chosen = []
    for position in range(len(kept)):
        sample = kept[position]
        chosen += [(task, index) for task, index in everything if identical(sample, drawn[task][index])]
    assert len(set(chosen)) == len(chosen) == len(kept)
    drawn, plain = ({(task, index): views[task][index] for task, index in everything} for views in (drawn, plain))
    assert has_both(kept, drawn, plain, chosen)


def test_frozen_transforms_are_the_same_and_cannot_be_removed(learned, drawn, plain):
    for dataset, indices in ((learned[1].dataset, range(PICTURES)), (learned[1].dataset.subset([2, 0]), [2, 0])):
        frozen = dataset.freeze_transforms()
        assert has_both(frozen, drawn[1], plain[1], indices)
        assert has_both(frozen.remove_current_transform_group(), drawn[1], plain[1], indices)


def test_without_the_transform_of_training_the_plain_view_is_left(learned, drawn, plain):
    for dataset, indices in ((learned[1].dataset, range(PICTURES)), (learned[1].dataset.subset([2, 0]), [2, 0])):
        removed = dataset.remove_current_transform_group()
        assert has_both(removed, plain[1], plain[1], indices)
        assert has_both(removed.freeze_transforms(), plain[1], plain[1], indices)
        assert has_both(dataset, drawn[1], plain[1], indices)  # the one that it was removed from keeps it


def negative(image):
    return -image


def test_a_transform_of_ones_own_is_given_the_plain_view(learned, drawn, plain):
    negatives = [(-image, target) for image, target in plain[1]]
    for dataset, indices in ((learned[1].dataset, range(PICTURES)), (learned[1].dataset.subset([2, 0]), [2, 0])):
        replaced = dataset.replace_current_transform_group(negative)
        assert has_both(replaced, negatives, plain[1], indices)
        assert has_both(replaced.remove_current_transform_group(), plain[1], plain[1], indices)
        assert has_both(dataset, drawn[1], plain[1], indices)
    replaced = learned[1].dataset.replace_current_transform_group(negative)
    assert has_both(replaced.freeze_transforms(), negatives, plain[1])


def test_transforms_can_be_added(learned, drawn, plain):
    added = AvalancheDataset([learned[1].dataset], transform_groups={"train": (negative, None), "eval": None})
    assert has_both(added, [(-image, target) for image, target in drawn[1]], plain[1])
    frozen = learned[1].dataset.freeze_transforms().replace_current_transform_group(negative)
    assert has_both(frozen, [(-image, target) for image, target in drawn[1]], plain[1])


def test_a_training_set_is_equal_to_itself_in_the_same_mode_alone(learned):
    dataset = learned[1].dataset
    assert dataset.eval() == dataset.eval()
    assert dataset.eval().train() == dataset
    assert dataset.eval() != dataset


def test_a_pickled_training_set_takes_the_epoch_along(learned, drawn, plain):
    """As to a worker that is spawned: a new process, in which no seed was drawn."""
    dataset = learned[1].dataset
    pickled = pickle.dumps(dataset), pickle.dumps(dataset.eval()), pickle.dumps(dataset.subset([2, 0]).eval())
    VIEWS.seed = 6
    training, evaluation, chosen = map(pickle.loads, pickled)
    assert shows(training, drawn[1])
    assert shows(evaluation, plain[1])
    assert has_both(chosen, drawn[1], plain[1], [2, 0])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_workers_load_what_one_process_loads(mode, learned):
    for experience in learned:
        dataset = experience.dataset.with_transforms(mode)
        alone, shared = (
            [*DataLoader(dataset, batch_size=3, num_workers=workers, collate_fn=dataset.collate_fn)]
            for workers in (0, 2)
        )
        assert len(alone) == len(shared) == 2
        assert all(identical(*batches) for batches in zip(alone, shared, strict=True))
