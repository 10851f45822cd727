"""Official pictures and masks, decoded completely, to know that they are whole and which of them are the same."""

import io
from collections.abc import Callable
from typing import BinaryIO

from onehead_avl.errors import DataError
from scenarios.samples.facts import Facts, mask_facts, picture_facts


def decode_picture(content: bytes, where: str) -> Facts:
    """Decode a picture.

    Args:
        content: The file.
        where: Its name, for the message.

    Raises:
        DataError: It cannot be decoded completely, is suspiciously large, or has more than 8 bits a channel.
    """
    return _usable(content, where, picture_facts)


def decode_mask(content: bytes, where: str) -> Facts:
    """Decode a mask: the palette indices of a palette picture, or the values of a grey one.

    Args:
        content: The file.
        where: Its name, for the message.

    Raises:
        DataError: It cannot be decoded completely, or is no PNG of a palette or of 8 bits of grey.
    """
    return _usable(content, where, mask_facts)


def _usable(content: bytes, where: str, look: Callable[[BinaryIO], Facts]) -> Facts:
    facts = look(io.BytesIO(content))
    if facts.problem:
        raise DataError(f"{where}: {facts.problem}")
    return facts
