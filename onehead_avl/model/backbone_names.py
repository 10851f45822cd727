"""What a backbone may be called on the command line. Importing it is cheap: no torch."""

import importlib.util

BACKBONES = ("mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0")
"""Those of torchvision."""

TIMM = "timm:"
"""What the name of one of timm's networks follows."""


def wrong_backbone(name: str) -> list[str]:
    """What is wrong with the name of a backbone, as far as can be told without timm; nothing if it may be one."""
    if name in BACKBONES:
        return []
    if not name.startswith(TIMM) or name == TIMM:
        return [f"unknown backbone {name!r}: expected one of {', '.join(BACKBONES)}, or {TIMM}NAME for one of timm's"]
    if importlib.util.find_spec("timm") is None:
        return [
            f"backbone {name!r} needs the package timm, which is not installed; install it with "
            'pip install "onehead-avl[timm]"'
        ]
    return []
