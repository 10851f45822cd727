"""Which images of a stream are kept decoded: as many as a memory budget holds."""

from collections.abc import Sequence
from math import prod

from onehead_avl.errors import UsageError
from onehead_avl.system.memory import free_bytes
from scenarios.experience import Experience
from scenarios.samples.arena import slots
from scenarios.samples.sample import Sample
from scenarios.samples.stored import StoredMask, StoredPicture, StoredSample

SHARE = 8
"""By default, an eighth of what the machine has free: training needs memory too, and so may other runs."""


def keep_decoded(experiences: Sequence[Experience], budget: int | None = None) -> None:
    """Give images and masks on disk places in memory, where they stay once they were decoded.

    What has no place is decoded each time. All training sets have the same share of places, which come before those of
    validation images, because they are looked at more often. Nothing else depends on the budget.

    Args:
        experiences: Of a stream.
        budget: Bytes; by default, one part in :data:`SHARE` of what is free.

    Raises:
        UsageError: The memory cannot be had.
    """
    if budget is None:
        budget = free_bytes() // SHARE
    wanted = [*_in_turn([each.train for each in experiences]), *_in_turn([each.val for each in experiences])]
    stored = list(dict.fromkeys(part for sample in wanted for part in _stored(sample)))
    try:
        for part, slot in zip(stored, slots([prod(part.shape) for part in stored], budget), strict=True):
            part.slot = slot
    except OSError as error:
        raise UsageError(
            f"--memory: expected {budget / 1e9:g} GB for decoded images, which the machine does not give "
            f"({error.strerror}); allow less"
        ) from error


def _stored(sample: Sample) -> list[StoredPicture | StoredMask]:
    if not isinstance(sample, StoredSample):
        return []  # in memory already
    return [sample.picture, *([] if sample.mask is None else [sample.mask])]


def _in_turn(sets: Sequence[Sequence[Sample]]) -> list[Sample]:
    """The samples of some sets, mixed so that any beginning holds the same share of each."""
    placed = [(number / len(samples), sample) for samples in sets for number, sample in enumerate(samples)]
    return [sample for _, sample in sorted(placed, key=lambda each: each[0])]
