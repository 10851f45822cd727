"""Pictures of a run side by side: the annotation of an image, and what was predicted for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from onehead_avl.evaluation.record import Learned, Record
from onehead_avl.kinds.kind import kind_of
from onehead_avl.report.page.parts import Markup, Picture, paragraph, picture, strip
from onehead_avl.report.shown import Parts, ShownPicture

MOST_PICTURES = 240
"""Pictures in a page: more would make it too large for a mail."""

_MOST_STAGES = 6  # of which a picture is shown
_MOST_NAMES = 8  # of classes in words


def stage_strips(record: Record, shown: Sequence[ShownPicture]) -> list[Markup]:
    """Show each image with its annotation and its predictions, from the own stage of its experience on."""
    owns = {each.measure.experience: each.own for each in record.outcomes if each.measure.primary}
    columns = {id(each): _stages(each, owns[each.experience]) for each in shown}
    kept = within_budget(shown, {key: 1 + len(stages) for key, stages in columns.items()})
    blocks = []
    for each in kept:
        after = [_predicted(record, each, stage, f"after {record.stages[stage].title}") for stage in columns[id(each)]]
        title = f"{each.experience}: {_name(each)}"
        blocks.append(strip(title, [_annotated(record, each), *after], "Most was lost of it." if each.lost else ""))
    return [*blocks, *_left_out(len(shown) - len(kept))]


def strategy_strips(runs: Mapping[str, tuple[Record, Sequence[ShownPicture]]]) -> list[Markup]:
    """Show each image with its annotation and what each strategy predicts for it in the end.

    Args:
        runs: By strategy, of one seed, so that they show images that are the same; an image that not all of them show
            is left out.
    """
    by_image = [{(each.experience, each.name): each for each in shown} for _, shown in runs.values()]
    common = [each for key, each in by_image[0].items() if all(key in others for others in by_image)]
    kept = within_budget(common, {id(each): 1 + len(runs) for each in common})
    blocks = []
    for each in kept:
        first, _ = next(iter(runs.values()))
        ends = []
        for (strategy, (record, _)), images in zip(runs.items(), by_image, strict=True):
            own = images[each.experience, each.name]
            meant = [stage for stage, parts in enumerate(own.predictions) if parts is not None]
            if meant:
                ends.append(_predicted(record, own, meant[-1], strategy))
        blocks.append(strip(f"{each.experience}: {_name(each)}", [_annotated(first, each), *ends]))
    return [*blocks, *_left_out(len(common) - len(kept))]


def within_budget(shown: Sequence[ShownPicture], sizes: Mapping[int, int]) -> list[ShownPicture]:
    """Choose images until there are :data:`MOST_PICTURES`: the first of every experience, then the second, ...

    Args:
        shown: What there is.
        sizes: How many pictures each takes, by its identity.

    Returns:
        Those that fit, in the order in which they were given.
    """
    turns: dict[str, int] = {}
    order = []
    for each in shown:
        turns[each.experience] = turns.get(each.experience, 0) + 1
        order.append((turns[each.experience], each))
    left, kept = MOST_PICTURES, set()
    for _, each in sorted(order, key=lambda pair: pair[0]):
        left -= sizes[id(each)]
        if left >= 0:
            kept.add(id(each))
    return [each for each in shown if id(each) in kept]


def _stages(each: ShownPicture, own: int) -> list[int]:
    """The stages of which an image is shown: from the own one on; of many, some between it and the last one."""
    later = [stage for stage, parts in enumerate(each.predictions) if parts is not None and stage >= own]
    if len(later) <= _MOST_STAGES:
        return later
    step = (len(later) - 1) / (_MOST_STAGES - 1)
    return [later[round(step * column)] for column in range(_MOST_STAGES)]


def _annotated(record: Record, each: ShownPicture) -> Picture:
    learned = _learned(record, each)
    drawn = kind_of(learned.kind).draw(each.image, each.annotation, learned.classes)
    alt = f"{_name(each)} with its annotation: {_told(learned, each.annotation)}"
    return picture(drawn, alt, "annotation", truth=True)


def _predicted(record: Record, each: ShownPicture, stage: int, title: str) -> Picture:
    learned = _learned(record, each)
    parts, value = each.predictions[stage], each.values[stage]
    assert parts is not None
    caption = title if value is None else f"{title}, {next(iter(learned.metrics))} {value:.2f}"
    drawn = kind_of(learned.kind).draw(each.image, parts, learned.classes)
    return picture(drawn, f"{_name(each)}, predicted {caption}: {_told(learned, parts)}", caption)


def _learned(record: Record, each: ShownPicture) -> Learned:
    return next(learned for learned in record.experiences if learned.name == each.experience)


def _name(each: ShownPicture) -> str:
    return Path(each.name).name


def _told(learned: Learned, parts: Parts) -> str:
    """The classes that an annotation or a prediction holds, in words."""
    found = sorted(kind_of(learned.kind).classes_in(parts, learned.classes)) if learned.classes else []
    names = [learned.classes[index] for index in found[:_MOST_NAMES]]
    return ", ".join(names + ["..."] * (len(found) > _MOST_NAMES)) or "no class"


def _left_out(images: int) -> list[Markup]:
    return [paragraph(f"{images} more images are left out, to keep the page small.")] if images else []
