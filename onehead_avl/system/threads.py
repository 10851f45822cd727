"""How many threads a run computes with: its numbers depend on it in their last digits."""

import os

import torch


def compute_with(threads: int | None) -> None:
    """Set the threads of this process; unless anybody says how many, one.

    Numbers then do not depend on how many cores a machine has, and runs that share them do not wait for one another:
    two processes of two threads each, on two cores, are several times slower than of one, since threads that have done
    their part of an operation keep their core until the others have done theirs.

    Args:
        threads: What the user asks for, which goes before ``OMP_NUM_THREADS``.
    """
    if threads is not None or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads or 1)
