"""Numbers as files have them: written as numbers, as decimals or as text. Importing it is cheap: no torch."""

import math
import re
from typing import Any

_WHOLE = re.compile(r"\s*[+-]?\d{1,18}(\.0*)?\s*", re.ASCII)


def whole(value: Any) -> int | None:
    """The whole number that a value means, also as a decimal (``3.0``) or as text (``"3"``); ``None`` for others."""
    if type(value) is int:
        return value
    if type(value) is float and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(float(value)) if "." in value else int(value)
    return None


def decimal(value: Any) -> float | None:
    """The finite number that a value means, also as text; ``None`` for others."""
    if type(value) in (int, float):
        number = value
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
    else:
        return None
    return number if abs(number) < 1e9 else None  # which refuses infinities and not-a-numbers as well
