"""What came out, in a sentence or two."""

from collections.abc import Sequence

from onehead_avl.evaluation.outcomes import Outcome, single_task_shares
from onehead_avl.evaluation.record import Record
from onehead_avl.report.comparison import Comparison
from onehead_avl.report.table import number

_NOTHING_MUCH = 0.005


def verdict(record: Record) -> str:
    """Say what became of what a run learned."""
    primary = [each for each in record.outcomes if each.measure.primary]
    if record.separate:
        return f"Each experience was learned alone by a network of its own: {_values(primary)}."
    if len(record.stages) == 1:
        return f"Learned in one stage: {_values(primary)}."
    known = [(each.drop_from_just_learned, each) for each in primary if each.drop_from_just_learned is not None]
    if not known:
        said = "What was forgotten could not be measured."
    else:
        worst, outcome = max(known, key=lambda pair: pair[0])
        course = f"{outcome.measure.title} {number(outcome.just_learned, '.3f')} to {number(outcome.final, '.3f')}"
        if worst <= 0:
            said = "Nothing was forgotten: in the end no experience is worse than right after its own stage."
        elif worst < _NOTHING_MUCH:
            said = f"Next to nothing was forgotten: at most {worst:.1%} of what was just learned ({course})."
        else:
            said = f"Up to {worst:.0%} of what was just learned was forgotten ({course})."
    shares = single_task_shares(record.outcomes)
    if shares and shares[-1] is not None:
        said += f" On average the end reaches {shares[-1]:.0%} of networks that learn one experience alone."
    return said


def verdict_of_comparison(comparison: Comparison) -> str:
    """Say which strategy ends nearest to single-task performance, and how far from it the reference is."""
    shares = [
        (share.mean, entry) for entry in comparison.entries if (share := entry.share_of_single_task()) is not None
    ]
    if not shares:
        return f"{len(comparison.entries)} strategies; the single-task performance that ranks them is not known."
    best, entry = max(shares, key=lambda pair: pair[0])
    said = f"{comparison.called(entry)} ends with {best:.0%} of single-task performance, the most of {len(shares)}"
    others = [share for share, each in shares if each.strategy == comparison.reference and each is not entry]
    ended = f"; {comparison.reference} with {others[0]:.0%}." if others else "."
    seeds = max(len(each.finished) for each in comparison.entries)
    doubt = " One seed only: differences may be noise." if seeds < 2 else ""
    return said + ended + doubt


def _values(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(f"{each.measure.title} {number(each.just_learned, '.3f')}" for each in outcomes)
