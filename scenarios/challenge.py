"""The challenge: its three experiences and where its data are. Importing it is cheap: no torch."""

FOLDERS = {"seg": "mini_voc_seg", "det": "mini_coco_det", "cls": "imagenette_160"}
"""The folder of each experience within a data folder; the names of the experiences, in their order."""

KINDS = {"seg": "segmentation", "det": "detection", "cls": "classification"}
"""The kind of task of each experience."""
