"""The report of one run."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from onehead_avl.evaluation.record import Record
from onehead_avl.report.page.charts import confusion_figure, precision_recall_figure
from onehead_avl.report.page.parts import Cell, Markup, Row, Section, chart, code, page, paragraph, table, titled
from onehead_avl.report.page.strips import stage_strips
from onehead_avl.report.page.verdict import verdict
from onehead_avl.report.plots import loss_figure, metrics_figure
from onehead_avl.report.shown import ShownPicture
from onehead_avl.report.table import NOTHING, class_values, mistakes_rows, number, span, trained_by

_MATRIX = (
    "Forgetting is how much worse the end is than right after the own stage, so a gain is negative. The interval is "
    f"where the final value lies on average over other sets of as many validation images. {NOTHING}: not measured."
)
_PICTURES = (
    "Validation images, chosen by the seed, and those of which most was lost. Framed: the annotation. The number below "
    "a picture is the metric of this image alone."
)
_MISTAKES = (
    "By how much the metric would rise in the end if all mistakes of a type were mended: the types of TIDE (Bolya et "
    "al., ECCV 2020)."
)


def run_page(
    record: Record,
    metrics_csv: Path,
    shown: Sequence[ShownPicture],
    details: Mapping[str, Any],
    about: Mapping[str, str],
) -> str:
    """Make the report of a run as HTML.

    Args:
        record: Of the run.
        metrics_csv: Its values over time.
        shown: Its pictures.
        details: What :func:`~onehead_avl.report.details.details_of` gave.
        about: The command and the configuration, by title.

    Returns:
        A whole page.
    """
    trained = [paragraph(trained_by(record.optimisation))] if record.optimisation else []
    sections = [
        Section("Results", [matrix(record), *trained], _MATRIX),
        Section("Over the stages", [_over_stages(record, metrics_csv)]),
        Section("What was forgotten", _forgotten(record)),
        Section("The same pictures after each stage", stage_strips(record, shown), _PICTURES if shown else ""),
        Section("Classes", _classes(record)),
        Section("Mistakes", _mistakes(record), _MISTAKES if record.mistakes else ""),
        Section("Precision and recall", _curves(details)),
        Section("What classes are taken for", _confusions(record, details)),
        Section("Training loss", [_loss(record, metrics_csv)]),
        Section("Cost", [_cost(record)]),
        Section("The challenge's rules", _rules(record)),
        Section("How it was made", _made(record, about)),
    ]
    return page(f"{record.stream}: {record.strategy}, seed {record.seed}", verdict(record), sections)


def matrix(record: Record) -> Markup:
    """Render every metric before training and after each stage, deeper in colour the better it is."""
    after = [f"after {stage.title}" for stage in record.stages]
    rows: list[Row] = []
    for each in record.outcomes:
        values = [each.before, *each.after]
        deep = _depths(values, each.measure.higher_is_better)
        cells = [
            _heat(number(value), depth, "learned" if position - 1 == each.own else "")
            for position, (value, depth) in enumerate(zip(values, deep, strict=True))
        ]
        interval = record.intervals.get(each.measure.experience, {}).get(each.measure.metric)
        direction = "" if each.measure.higher_is_better else " (low is good)"
        ends = [number(each.forgetting, "+.4f"), number(each.single_task), span(interval)]
        rows.append([f"{each.measure.title}{direction}", *cells, *ends])
    header = ["metric", "untrained", *after, "forgetting", "single task", "final, 95 %"]
    return table(header, rows, "Every metric after every stage; framed: right after the experience's own stage.")


def _depths(values: Sequence[float | None], higher_is_better: bool) -> list[float | None]:
    """How good each value is between 0, or the worst, and the best of its row; ``None`` where it was not measured."""
    known = [value for value in values if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    depths = [None if value is None else (value - low) / ((high - low) or 1) for value in values]
    return depths if higher_is_better else [None if depth is None else 1 - depth for depth in depths]


def _over_stages(record: Record, metrics_csv: Path) -> Markup:
    primary = [each for each in record.outcomes if each.measure.primary]
    told = [f"{each.measure.title} {', '.join(number(value, '.3f') for value in each.after)}" for each in primary]
    alt = f"Primary metrics after each stage: {'; '.join(told)}."
    return chart(partial(metrics_figure, metrics_csv, record), "stages", alt)


def _forgotten(record: Record) -> list[Markup]:
    header = ["metric", "just learned", "final", "forgetting", "relative", "of single task"]
    rows: list[Row] = []
    for each in record.outcomes:
        if each.forgetting is not None and not record.separate:
            mark = "worse" if each.forgetting > 0 else "better"
            lost = [number(each.forgetting, "+.4f"), number(each.drop_from_just_learned, "+.1%")]
            cells = [Cell(text, classes=mark) for text in lost]
            share = number(each.share_of_single_task, ".0%")
            rows.append([each.measure.title, number(each.just_learned), number(each.final), *cells, share])
    return [table(header, rows)] if rows else []


def _classes(record: Record) -> list[Markup]:
    return [
        table([title, "just learned", "final"], [(called, *map(_share, both)) for called, both in values.items()])
        for title, values in class_values(record)
    ]


def _share(value: float | None) -> Cell:
    """A cell of a value between 0 and 1."""
    return _heat(number(value, ".3f"), None if value is None else min(1.0, max(0.0, value)))


def _heat(text: str, depth: float | None, classes: str = "") -> Cell:
    return Cell(text, depth, classes if depth is None else f"heat {classes}".strip())


def _mistakes(record: Record) -> list[Markup]:
    header, *rows = mistakes_rows(record)
    return [table(header, rows)] if rows else []


def _curves(details: Mapping[str, Any]) -> list[Markup]:
    return [
        chart(
            partial(
                precision_recall_figure, each["precision_recall"], f"{name}: at an IoU of 0.5 in the end, mean beside"
            ),
            f"curves-{name}",
            f"Precision against recall of each class of {name}, in the end.",
        )
        for name, each in details.items()
        if each["precision_recall"]
    ]


def _confusions(record: Record, details: Mapping[str, Any]) -> list[Markup]:
    classes = {each.name: each.classes for each in record.experiences}
    return [
        chart(
            partial(confusion_figure, each["confusion"], classes[name], f"{name}, in the end"),
            f"confusion-{name}",
            f"Which share of each class of {name} is taken for which class, in the end.",
        )
        for name, each in details.items()
        if each["confusion"]
    ]


def _loss(record: Record, metrics_csv: Path) -> Markup:
    alt = "Training loss of each stage against epochs."
    return chart(partial(loss_figure, metrics_csv, record.stages), "loss", alt)


def _cost(record: Record) -> Markup:
    rows = [
        [f"training, {stage.title}", f"{stage.seconds / 60:.1f} min, {stage.epochs} epochs"] for stage in record.stages
    ]
    for name, value in (("peak memory", record.peak_memory_bytes), ("kept between stages", record.stored_bytes)):
        rows.append([name, NOTHING if value is None else f"{value / 2**20:.1f} MiB"])
    return table(["what", "how much"], rows)


def _rules(record: Record) -> list[Markup]:
    if record.checklist is None:
        return []
    said = {True: Cell("holds", classes="better"), False: Cell("does not hold", classes="worse"), None: Cell(NOTHING)}
    rows: list[Row] = []
    for rule in record.checklist:
        told = (Cell(text, classes="text") for text in (rule.measured or "not measured", rule.limit))
        rows.append([rule.name, *told, said[rule.passed]])
    return [table(["rule", "measured", "limit", ""], rows)]


def _made(record: Record, about: Mapping[str, str]) -> list[Markup]:
    known = {
        "checksum of the data": record.manifest_sha256 or record.depends_on.get("the data", NOTHING),
        "checksum of the program": record.depends_on.get("the program", NOTHING),
        **record.environment,
    }
    images = [
        [each.name, each.kind, str(len(each.classes)), str(each.train), str(each.val)] for each in record.experiences
    ]
    return [
        *(titled(title, code(text)) for title, text in about.items()),
        table(["experience", "kind", "classes", "train", "val"], images),
        table(["what", "which"], [(name, Cell(str(value), classes="text")) for name, value in known.items()]),
    ]
