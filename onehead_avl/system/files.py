"""Files that are whole or absent, never half-written."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from onehead_avl.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; it takes the place of ``path`` when all went well.

    Raises:
        OutputError: Writing failed; what ``path`` held before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} could not be written ({error.strerror or error}); free or choose another disk"
        ) from None
    finally:
        with suppress(OSError):  # not there any more, or never there
            temporary.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON that people can read; NaN and infinity are refused.

    Raises:
        OutputError: The file cannot be written.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8.

    Raises:
        OutputError: The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
