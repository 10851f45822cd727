"""The layouts on disk. To add one: a file with ``recognises`` and ``read``, and a row here.

Importing the table is cheap: no torch.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A layout on disk.

    Its module has two functions. ``recognises(source)`` tells by names alone whether a
    :class:`~scenarios.samples.source.Source` is of this layout. ``read(source, split, findings, classes)`` reads one
    split, ``train`` or ``val``, adds what is wrong to ``findings``, and returns the samples and their class names in
    index order; ``classes`` are the names that the split must have, ``None`` takes those of the data.

    Attributes:
        name: What a description calls it.
        kind: The kind of task whose annotations it holds.
        module: Where its functions are.
        keys: What a description may say of a split; empty where the layout is found from the path alone.
        named: Whether a description may name the classes, and the values to ignore.
    """

    name: str
    kind: str
    module: str
    keys: tuple[str, ...] = ()
    named: bool = False


FORMATS = (
    Format("masks", "segmentation", "scenarios.read.masks", ("images", "masks", "mask_name"), named=True),
    Format("voc", "segmentation", "scenarios.read.voc", named=True),
    Format("voc_devkit", "segmentation", "scenarios.read.voc_devkit", named=True),
    Format("coco", "detection", "scenarios.read.coco", ("images", "annotations")),
    Format("voc_xml", "detection", "scenarios.read.voc_xml", ("images", "annotations")),
    Format("yolo", "detection", "scenarios.read.yolo"),
    Format("csv", "classification", "scenarios.read.table"),
    Format("class_folders", "classification", "scenarios.read.class_folders"),
)
"""The layouts in the order in which they are tried where none is named."""
