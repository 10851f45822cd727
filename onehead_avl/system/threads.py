"""How many threads a run computes with: its numbers depend on it in their last digits."""

import os

import torch


def compute_with(asked: int | None, jobs: int | None, *, on_cluster: bool) -> None:
    """Set the threads of this process to those of each run; without a reason for another number, they are PyTorch's.

    Processes that compute with more threads together than there are cores slow one another down many times.

    Args:
        asked: What the user asks for, which goes before ``OMP_NUM_THREADS``.
        jobs: Runs that share this machine, if it does several at a time.
        on_cluster: Whether other machines do the runs, which may have any number of cores.
    """
    if asked is not None:
        torch.set_num_threads(asked)
    elif "OMP_NUM_THREADS" not in os.environ and (jobs is not None or on_cluster):
        torch.set_num_threads(1 if jobs is None else max(1, _cores() // jobs))


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
