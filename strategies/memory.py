"""The memory of the challenge: segmentation samples and nothing else."""

from avalanche.benchmarks import DatasetExperience
from avalanche.training.plugins import ReplayPlugin
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.tasks import Task


class SegmentationBuffer(ReservoirSamplingBuffer):
    """A reservoir (Vitter, 1985) that takes samples from segmentation experiences only.

    Args:
        max_size: How many samples it holds at most.
    """

    def update(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """What ReplayPlugin of Avalanche 0.6 still calls; the inherited one warns that it is deprecated."""
        self.post_adapt(strategy, strategy.experience)

    def post_adapt(self, agent: SupervisedTemplate, exp: DatasetExperience) -> None:
        """Offer the samples of an experience that was just learned; other tasks' are not taken."""
        if set(exp.task_labels) == {int(Task.SEG)}:
            super().post_adapt(agent, exp)


def segmentation_replay(memory_size: int, per_step: int) -> ReplayPlugin:
    """Avalanche's replay over a :class:`SegmentationBuffer`.

    Args:
        memory_size: Samples kept.
        per_step: Samples replayed beside each minibatch of a later experience.
    """
    return ReplayPlugin(
        mem_size=memory_size, batch_size_mem=per_step, storage_policy=SegmentationBuffer(max_size=memory_size)
    )
