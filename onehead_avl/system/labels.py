"""The task labels of an experience, whichever way its benchmark was built."""

from typing import Any


def labels_of(experience: Any) -> frozenset[int]:
    """The task labels of an experience's samples.

    Only benchmarks with task labels give an experience a list of them; the samples always have theirs.

    Args:
        experience: Of Avalanche's, over data sets of :func:`~scenarios.stream.avalanche_benchmark` or parts of them.
    """
    labels = getattr(experience, "task_labels", None)
    return frozenset(experience.dataset.targets_task_labels.uniques if labels is None else labels)
