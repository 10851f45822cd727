"""What a data folder holds, in words."""

from typing import Any

from scenarios.challenge import KINDS


def summary(manifest: dict[str, Any]) -> str:
    """For each task its pictures, its classes, in how many pictures the rarest class is, and what was done to boxes."""
    lines = []
    for key, splits in manifest["sets"].items():
        train, val = splits["train"], splits["val"]
        classes = sorted(train["classes"].keys() | val["classes"].keys())
        rarest = [min((split["classes"].get(name, 0) for name in classes), default=0) for split in (train, val)]
        each = f", each in at least {rarest[0]} train and {rarest[1]} val pictures" if classes else ""
        lines.append(
            f"{KINDS[key]}: {train['pictures']} train and {val['pictures']} val pictures, {len(classes)} classes{each}"
        )
        if "boxes" in train:
            clipped, dropped = (train["boxes"][what] + val["boxes"][what] for what in ("clipped", "dropped"))
            lines.append(
                f"  {clipped} boxes that reach over the edge of their picture were cut there, "
                f"{dropped} without area dropped"
            )
    return "\n".join(lines)
