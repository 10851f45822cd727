"""Files of lines: lists of images, and rows of annotations."""

from pathlib import Path

from scenarios.samples.findings import Fault


def load_lines(file: Path) -> list[tuple[int, str]]:
    """Return the lines of a file that are not empty, with their numbers from 1.

    Raises:
        Fault: It cannot be read, or is no text.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise Fault(file, f"the file cannot be read ({error.strerror}); check it") from error
    except ValueError as error:
        raise Fault(file, f"expected text, found something else ({error}); replace the file") from error
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
