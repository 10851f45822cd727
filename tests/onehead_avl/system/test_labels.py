import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, with_task_labels

from onehead_avl.kinds.kind import kind_of
from onehead_avl.system.labels import labels_of
from scenarios.experience import Experience, Stream
from scenarios.samples.sample import Sample
from scenarios.stream import avalanche_benchmark


@pytest.fixture
def sets():
    """The data sets of the experiences c, a and b, learned in this order; their task labels are 2, 0 and 1."""
    samples = [Sample("s", torch.zeros(3, 32, 32, dtype=torch.uint8), {"label": label}) for label in (0, 1)]
    kind = kind_of("classification")
    stream = Stream("s", tuple(Experience(name, kind, ("x", "y"), samples, samples, name) for name in "abc"))
    return [each.dataset for each in avalanche_benchmark(stream, 32, ["c", "a", "b"]).train_stream]


@pytest.mark.parametrize("labelled", [with_task_labels, lambda benchmark: benchmark], ids=["with", "without"])
def test_the_labels_of_an_experience_are_those_of_its_samples_with_a_list_of_them_or_without(sets, labelled):
    stream = labelled(benchmark_from_datasets(train=sets)).train_stream
    assert hasattr(stream[0], "task_labels") == (labelled is with_task_labels)
    assert [labels_of(experience) for experience in stream] == [{2}, {0}, {1}]


@pytest.mark.parametrize("labelled", [with_task_labels, lambda benchmark: benchmark], ids=["with", "without"])
def test_an_experience_that_mixes_samples_has_the_labels_of_all(sets, labelled):
    mixed = sets[0].concat(sets[2])
    stream = labelled(benchmark_from_datasets(train=[mixed, sets[1], mixed.subset([3])])).train_stream
    assert [labels_of(experience) for experience in stream] == [{1, 2}, {0}, {1}]
