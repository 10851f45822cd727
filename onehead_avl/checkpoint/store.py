"""Checkpoint files: whole or absent, checked when read, and read without running code."""

import hashlib
import io
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from onehead_avl.system.files import replacing

LATEST, PREVIOUS = "latest", "previous"
"""The two generations of checkpoints within a stage."""

_MAGIC = b"onehead-avl checkpoint 1\n"
_DIGEST = 32


class Damaged(Exception):
    """A checkpoint file is not what was written; the message says why."""


class Store:
    """The checkpoints in a folder.

    Args:
        folder: It is made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """What there is to read, whole or damaged."""
        return sorted(file.stem for file in self._folder.glob("*.pt"))

    def write(self, name: str, contents: Any) -> None:
        """Write a checkpoint; what an earlier one of the same name held is there until this one is safe on the disk.

        The latest one becomes the previous one.

        Args:
            name: Of the file.
            contents: Plain values, lists, tuples, dictionaries and tensors.

        Raises:
            OutputError: It cannot be written; those that there were are untouched.
        """
        serialized = io.BytesIO()
        torch.save(contents, serialized)
        data = serialized.getbuffer()
        file = self._file(name)
        self._folder.mkdir(exist_ok=True)
        with replacing(file) as temporary:
            with temporary.open("wb") as stream:
                stream.write(_MAGIC + hashlib.blake2b(data, digest_size=_DIGEST).digest())
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            if name == LATEST and file.exists():
                file.replace(self._file(PREVIOUS))
        self._sync()

    def read(self, name: str) -> Any:
        """What was written under a name.

        Raises:
            Damaged: The file is torn or changed, or is no checkpoint.
        """
        try:
            data = self._file(name).read_bytes()
        except OSError as error:
            raise Damaged(f"it cannot be read ({error.strerror})") from None
        head = len(_MAGIC) + _DIGEST
        if not data.startswith(_MAGIC):
            raise Damaged("it is no checkpoint of this version")
        if hashlib.blake2b(data[head:], digest_size=_DIGEST).digest() != data[len(_MAGIC) : head]:
            raise Damaged("its checksum is wrong")
        try:
            return torch.load(io.BytesIO(data[head:]), weights_only=True)
        except Exception as error:  # whatever the reader raises
            raise Damaged(f"it cannot be read ({type(error).__name__})") from None

    def remove(self) -> None:
        """Remove all: they are needed no more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.pt"

    def _sync(self) -> None:
        """Have the names on the disk as well, where the system can."""
        if os.name == "posix":
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
