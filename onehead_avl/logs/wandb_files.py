"""What the files of Weights & Biases hold: ``wandb/*run-*/run-<id>.wandb``, one for each process that wrote to a run.

W&B writes each record to such a file before all else, in the format of LevelDB's logs: blocks of 32 KiB, in which a
record is whole or in pieces, each with a checksum, its length and its position among the pieces.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from onehead_avl.errors import OutputError

_HEADER = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
_BLOCK = 32 * 1024
_PIECE = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def files_in(folder: Path) -> list[Path]:
    """The files of the run in a folder, oldest first: their folders are ``run-`` or ``offline-run-`` and a time."""
    found = [file for file in folder.glob("wandb/*run-*/run-*.wandb") if not file.parent.is_symlink()]
    return sorted(found, key=lambda file: file.parent.name.partition("run-")[2])


def records_in(file: Path) -> Iterator[bytes]:
    """The records of a file, up to where writing it was interrupted.

    Raises:
        OutputError: It is none of the files that this knows.
    """
    content = file.read_bytes()
    if not _HEADER.startswith(content[: len(_HEADER)].rstrip(b"\0")):  # the disk may have zeros for what is not written
        raise OutputError(f"{file}: expected a file of wandb 0.31, found another; continue with that version of wandb")
    place, record = len(_HEADER), b""
    while place + _PIECE.size <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _PIECE.size:
            place += left
            continue
        checksum, length, kind = _PIECE.unpack_from(content, place)
        piece = content[place + _PIECE.size : place + _PIECE.size + length]
        if len(piece) < length or zlib.crc32(bytes([kind]) + piece) != checksum:
            return
        record = piece if kind in (_WHOLE, _FIRST) else record + piece
        if kind in (_WHOLE, _LAST):
            yield record
        place += _PIECE.size + length
