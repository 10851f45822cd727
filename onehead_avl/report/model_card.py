"""What a trained model is, for those who find its weights: ``MODEL_CARD.md``.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, in the form that model hubs read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from onehead_avl.evaluation.record import Record
from onehead_avl.report.page.verdict import verdict
from onehead_avl.report.table import number, span

FILE = "MODEL_CARD.md"


@dataclass(frozen=True)
class Provenance:
    """Where the images of an experience come from.

    Attributes:
        place: What they are, or where they lie.
        licence: What may be done with them, as far as it is known.
    """

    place: str
    licence: str


def model_card(
    record: Record,
    network: str,
    parameters: int,
    image_size: int,
    command: str,
    origins: Mapping[str, Provenance],
    pretraining: str | None,
) -> str:
    """Write the card of a run's ``model.safetensors`` in Markdown.

    Args:
        record: Of the run.
        network: What it is.
        parameters: How many it has.
        image_size: Side of the square that it was fed, in pixels.
        command: What it was made by.
        origins: Of the images of each experience by its name.
        pretraining: What the backbone learned before and under which licence; ``None`` if it began at random.
    """
    learned = [each for each in record.experiences if each.name in record.order]
    lines = [
        "---",
        "library_name: onehead-avl",
        "tags:",
        *(f"- {tag}" for tag in dict.fromkeys(["continual-learning", *(each.kind for each in learned)])),
        "---",
        "",
        f"# {record.stream}: {record.strategy}, seed {record.seed}",
        "",
        verdict(record),
        "",
        "## What it is",
        "",
        f"{network}, {parameters / 1e6:.2f} M parameters: one network with one head, which learned "
        f"{', then '.join(record.order)} with the strategy `{record.strategy}`. It takes images of {image_size} x "
        f"{image_size} pixels, to which others are stretched.",
        "",
        "Use: `python -m onehead_avl.predict --weights model.safetensors picture.jpg --output out/`",
        "",
        "## What it was trained on",
        "",
        *_table(
            ["experience", "kind", "classes", "training images", "images", "licence"],
            [
                [
                    each.name,
                    each.kind,
                    ", ".join(each.classes) or "none",
                    str(each.train),
                    *_provenance(origins[each.name]),
                ]
                for each in learned
            ],
        ),
        "",
        f"The backbone {'began at random' if pretraining is None else pretraining}.",
        *([f"Checksum of the data's manifest: `{record.manifest_sha256}`."] if record.manifest_sha256 else []),
        "",
        "## How good it is",
        "",
        *_table(
            ["metric", "right after its stage", "in the end", "95 % over images", "validation images"],
            [
                [
                    each.measure.title + ("" if each.measure.higher_is_better else " (low is good)"),
                    number(each.just_learned, ".3f"),
                    number(each.final, ".3f"),
                    span(record.intervals.get(each.measure.experience, {}).get(each.measure.metric)),
                    str(next(one.val for one in learned if one.name == each.measure.experience)),
                ]
                for each in record.outcomes
            ],
        ),
        "",
        "The last epoch counts. Validation images are of the same sets as the training images; others may be harder.",
        "",
        "## Limits",
        "",
        "* Learned from few images, to compare methods of continual learning, not to decide about people or safety.",
        "* It knows the classes above and no others, and names one of them whatever it is shown.",
        "* A single map at stride 8 detects small objects poorly.",
        "",
        "## How it was made",
        "",
        "```sh",
        command,
        "```",
        "",
        ", ".join(f"{name} {value}" for name, value in record.environment.items()),
        "",
    ]
    return "\n".join(lines)


def _provenance(provenance: Provenance) -> list[str]:
    return [provenance.place, provenance.licence]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    escaped = [[cell.replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *escaped]]
