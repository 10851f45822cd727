"""Holding out a part of the training images, to tune and to stop by: validation images then decide nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from onehead_avl.errors import UsageError
from scenarios.experience import Stream
from scenarios.samples.sample import Sample


def hold_out(stream: Stream, share: float, seed: int) -> tuple[Stream, Mapping[str, Sequence[Sample]]]:
    """Part the training images of each experience in two, at random.

    Which images are held out depends on the seed and on the experience's name, not on the order in which experiences
    are learned.

    Args:
        stream: What is learned.
        share: Of each experience's training images, above 0 and below 1; it is rounded to at least one image.
        seed: The random seed of the run.

    Returns:
        The stream without the held-out images, and these by the name of their experience.

    Raises:
        UsageError: An experience has a single training image.
    """
    experiences, held = [], {}
    for each in stream.experiences:
        if len(each.train) < 2:
            raise UsageError(
                f"--holdout expects experiences of at least two training images, found {len(each.train)} in "
                f"{each.name}; leave it out"
            )
        count = min(max(1, round(share * len(each.train))), len(each.train) - 1)
        # A number that is the same in every process, which Python's hash of a text is not.
        start = int.from_bytes(hashlib.blake2b(f"{seed} {each.name}".encode(), digest_size=8).digest(), "big")
        chosen = frozenset(Random(start).sample(range(len(each.train)), count))
        held[each.name] = [sample for position, sample in enumerate(each.train) if position in chosen]
        rest = [sample for position, sample in enumerate(each.train) if position not in chosen]
        experiences.append(replace(each, train=rest))
    return replace(stream, experiences=tuple(experiences)), held
