"""The three kinds of task a stream is made of."""

from enum import IntEnum

from onehead_avl.errors import UsageError


class Task(IntEnum):
    """A kind of vision task; its value is the task label of Avalanche, whatever the order of the stream."""

    SEG = 0
    DET = 1
    CLS = 2

    @property
    def key(self) -> str:
        """The name on the command line: ``seg``, ``det`` or ``cls``."""
        return self.name.lower()

    @property
    def title(self) -> str:
        """The field's name of the task."""
        return {Task.SEG: "segmentation", Task.DET: "detection", Task.CLS: "classification"}[self]

    @property
    def metric(self) -> str:
        """The metric by which the task is judged: ``mIoU``, ``AP50`` or ``Top1``."""
        return {Task.SEG: "mIoU", Task.DET: "AP50", Task.CLS: "Top1"}[self]

    @classmethod
    def from_key(cls, key: str) -> "Task":
        """Look a task up by its command-line name.

        Raises:
            UsageError: There is no such task.
        """
        for task in cls:
            if task.key == key:
                return task
        raise UsageError(f"unknown task {key!r}: expected one of {', '.join(task.key for task in cls)}")
