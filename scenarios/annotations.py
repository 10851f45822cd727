"""What COCO's annotation format asks of a file. Importing it is cheap: no torch."""

NEEDED: dict[str, dict[str, type]] = {
    "images": {"id": int, "file_name": str, "width": int, "height": int},
    "categories": {"id": int, "name": str},
    "annotations": {"id": int, "image_id": int, "category_id": int, "bbox": list},
}
"""The lists of an annotation file, and the keys and types of their entries; other keys are not looked at."""

ROUNDING = 1.0
"""Pixels by which a box may reach over the edge of its picture; what reaches over is cut off."""
