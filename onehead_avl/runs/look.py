"""Looking at a stream before anything is trained: what each experience holds, and how some images were read."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from onehead_avl.report.table import layout_table
from onehead_avl.system.files import replacing
from scenarios.experience import Experience, Stream
from scenarios.samples.sample import Sample

DRAWN_SAMPLES = 10
"""Images of each experience that are drawn with their annotation: half of each split, or what there is."""


def look(stream: Stream, folder: Path) -> str:
    """Draw annotated samples of each experience into ``<folder>/<experience>``.

    Args:
        stream: What was read.
        folder: An existing folder.

    Returns:
        A table of what each experience holds, and one of its classes.

    Raises:
        OutputError: A file cannot be written.
    """
    for experience in stream.experiences:
        _draw(experience, folder / experience.name)
    rows = [["experience", "kind", "head", "classes", "train", "val", "metrics"]]
    for each in stream.experiences:
        metrics = ", ".join(metric.name for metric in each.kind.metrics)
        rows.append(
            [
                *(each.name, each.kind.name, each.head),
                *map(str, (len(each.classes), len(each.train), len(each.val))),
                metrics,
            ]
        )
    return "\n\n".join([layout_table(rows), *(_classes_table(each) for each in stream.experiences if each.classes)])


def _classes_table(experience: Experience) -> str:
    """In how many images of each split each class occurs."""
    counts = [_images_with(experience, samples) for samples in (experience.train, experience.val)]
    everywhere = experience.kind.always_there(experience.classes)
    rows = [[f"{experience.name}: images with", "train", "val"]]
    for index, name in enumerate(experience.classes):
        if name not in everywhere:
            rows.append([name, *(str(count[index]) for count in counts)])
    return layout_table(rows)


def _images_with(experience: Experience, samples: Sequence[Sample]) -> Counter[int]:
    """The number of images by the index of the class that they hold."""
    return Counter(
        index for sample in samples for index in experience.kind.classes_in(sample.brief, experience.classes)
    )


def _draw(experience: Experience, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, samples in (("train", experience.train), ("val", experience.val)):
        step = max(1, len(samples) // (DRAWN_SAMPLES // 2))  # spread over the split, whatever it is sorted by
        for number, sample in enumerate(samples[::step][: DRAWN_SAMPLES // 2], start=1):
            drawn = experience.kind.draw(sample.image, sample.annotation, experience.classes)
            with replacing(folder / f"{split}_{number}.png") as temporary:
                Image.fromarray(drawn.permute(1, 2, 0).numpy()).save(temporary, format="PNG")
