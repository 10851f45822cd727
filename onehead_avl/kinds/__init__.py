"""The kinds of task. To add one: a file with a subclass of :class:`~onehead_avl.kinds.kind.Kind`, and a row here."""

KINDS = {
    "segmentation": "onehead_avl.kinds.segmentation:Segmentation",
    "detection": "onehead_avl.kinds.detection:Detection",
    "classification": "onehead_avl.kinds.classification:Classification",
}
"""Where the kinds are that have a name of their own; importing the table imports no torch."""
