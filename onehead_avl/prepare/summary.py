"""What a data folder holds, in words."""

from typing import Any

from onehead_avl.tasks import Task


def summary(manifest: dict[str, Any]) -> str:
    """A line for each task: its pictures, its classes, and in how many pictures of each split the rarest class is."""
    lines = []
    for key, splits in manifest["sets"].items():
        train, val = splits["train"], splits["val"]
        classes = sorted(train["classes"].keys() | val["classes"].keys())
        rarest = [min(split["classes"].get(name, 0) for name in classes) for split in (train, val)]
        lines.append(
            f"{Task.from_key(key).title}: {train['pictures']} train and {val['pictures']} val pictures, "
            f"{len(classes)} classes, each in at least {rarest[0]} train and {rarest[1]} val pictures"
        )
    return "\n".join(lines)
