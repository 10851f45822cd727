"""Memories of samples: that of the challenge, segmentation samples and nothing else, and Avalanche's."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from avalanche.benchmarks import DatasetExperience
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.training.plugins import ReplayPlugin
from avalanche.training.storage_policy import ClassBalancedBuffer, ExperienceBalancedBuffer, ReservoirSamplingBuffer
from avalanche.training.templates import SupervisedTemplate
from torch.utils.data import default_collate

from onehead_avl.system.labels import labels_of
from onehead_avl.system.savable import savable
from strategies.optimisation import shared_learns


class _Current:
    """Answers ``update``, which plugins of Avalanche 0.6 still call, without the warning that it is deprecated."""

    post_adapt: Callable[..., None]

    def update(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Offer the samples of the current experience."""
        self.post_adapt(strategy, strategy.experience)


@savable
class ExperienceBuffer(_Current, ExperienceBalancedBuffer):
    """Avalanche's memory with as many samples of each experience."""


@savable
class ClassBuffer(_Current, ClassBalancedBuffer):
    """Avalanche's memory with as many samples of each integer target."""


@savable
class ReservoirBuffer(_Current, ReservoirSamplingBuffer):
    """Avalanche's memory with a random choice of all samples (Vitter, 1985)."""


@savable
class SegmentationBuffer(ReservoirBuffer):
    """A reservoir that takes samples from segmentation experiences only.

    Args:
        max_size: How many samples it holds at most.
        tasks: The task labels of the segmentation experiences.
    """

    def __init__(self, max_size: int, tasks: Collection[int]) -> None:
        super().__init__(max_size)
        self._tasks = sorted(tasks)

    def post_adapt(self, agent: SupervisedTemplate, exp: DatasetExperience) -> None:
        """Offer the samples of an experience that was just learned; those of other kinds are not taken."""
        if labels_of(exp) <= set(self._tasks):
            super().post_adapt(agent, exp)


class RestingReplay(ReplayPlugin):
    """Avalanche's replay, which rests in experiences that change nothing that earlier ones need."""

    def before_training_exp(self, strategy: SupervisedTemplate, *args: Any, **kwargs) -> None:
        """Mix stored samples into the minibatches."""
        if shared_learns(strategy):
            super().before_training_exp(strategy, *args, **kwargs)


def segmentation_replay(
    tasks: Collection[int], memory_size: int, per_step: int, plugin: type[ReplayPlugin] = ReplayPlugin
) -> ReplayPlugin:
    """Avalanche's replay over a :class:`SegmentationBuffer`.

    Args:
        tasks: The task labels of the segmentation experiences.
        memory_size: Samples kept.
        per_step: Samples replayed beside each minibatch of a later experience.
        plugin: Avalanche's, or one derived from it.
    """
    return plugin(mem_size=memory_size, batch_size_mem=per_step, storage_policy=SegmentationBuffer(memory_size, tasks))


@savable
class Endless:
    """Minibatches of stored samples without end; unlike a generator, one can be saved with what is left of its round.

    A round takes every sample of a group once, in random order, and may begin or end within a minibatch.

    Args:
        groups: Each has the same share of every minibatch.
        share: Samples of each group in a minibatch; a smaller group gives all it has.
    """

    def __init__(self, groups: Sequence[AvalancheDataset], share: int) -> None:
        self._groups = list(groups)
        self._share = share
        self._left: list[list[int]] = [[] for _ in groups]

    def __next__(self) -> list:
        """A minibatch as the data loaders give it."""
        samples = []
        for group, left in zip(self._groups, self._left, strict=True):
            share = min(self._share, len(group))
            if len(left) < share:
                left += torch.randperm(len(group)).tolist()
            samples += [group[i] for i in left[:share]]
            del left[:share]
        return default_collate(samples)
