"""Whose code raised an error: a run is made of this project's, Avalanche's and somebody's own."""

import sysconfig
import traceback
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
_OWN = tuple(_PROJECT / name for name in ("onehead_avl", "scenarios", "strategies"))
_INSTALLED = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")})
_AVALANCHE = "avalanche"


def place_of(error: BaseException) -> str:
    """Where somebody's own code raised an error, or led to one: the file, the line and the function.

    Where nobody's own code took part, the innermost line of Avalanche's, or else the innermost of all.

    Args:
        error: With its traceback.
    """
    frames = traceback.extract_tb(error.__traceback__)
    for of in (_is_somebodys, _is_avalanches, lambda file: True):
        for frame in reversed(frames):
            if of(Path(frame.filename).resolve()):
                return f"{_called(Path(frame.filename).resolve())}, line {frame.lineno}, in {frame.name}"
    return "unknown code"


def takes_part(error: BaseException) -> bool:
    """Whether somebody's own code took part in an error.

    Args:
        error: With its traceback.
    """
    return any(_is_somebodys(Path(frame.filename).resolve()) for frame in traceback.extract_tb(error.__traceback__))


def _is_somebodys(file: Path) -> bool:
    return file.is_file() and not any(file.is_relative_to(folder) for folder in (*_OWN, *_INSTALLED))


def _is_avalanches(file: Path) -> bool:
    return any(file.is_relative_to(folder / _AVALANCHE) for folder in _INSTALLED)


def _called(file: Path) -> str:
    """The file as a reader knows it: from the working directory, or from where packages are installed."""
    folders = (Path.cwd(), _PROJECT, *_INSTALLED)
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):  # packages may lie in the working directory
        if file.is_relative_to(folder):
            return str(file.relative_to(folder))
    return str(file)
