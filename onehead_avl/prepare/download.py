"""Fetching an archive over HTTP: resumed, retried, verified, and under its own name only when it is right."""

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3

from onehead_avl.errors import DownloadError
from onehead_avl.prepare.progress import bar
from onehead_avl.prepare.sources import Archive

_CHUNK = 1 << 15


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, and how often.

    Attributes:
        connect: For a connection.
        read: For the next bytes.
        tries: Tries in a row without a new byte before a server is given up.
        pause: Before the second try; doubled from try to try.
    """

    connect: float = 10.0
    read: float = 30.0
    tries: int = 5
    pause: float = 1.0


PATIENCE = Patience()


class _Refused(Exception):
    """This server does not have the archive; asking it again is no use."""


class _Failed(Exception):
    """It did not work this time."""


def fetch(archive: Archive, urls: Sequence[str], folder: Path) -> Path:
    """Fetch an archive, continuing what an earlier call began.

    The bytes go to ``<name>.part``, which is renamed when its size and checksum are the official ones.

    Args:
        archive: What to fetch.
        urls: Addresses to ask, in this order; all have the same bytes, so the next continues what one began.
        folder: Where to put it.

    Returns:
        The verified file in ``folder``.

    Raises:
        DownloadError: No address gave it; the message says what each answered.
        OSError: The disk cannot be written.
    """
    path, part = folder / archive.name, folder / f"{archive.name}.part"
    if path.exists():
        if is_official(path, archive):
            return path
        path.unlink()  # whatever it is, it is not what its name says
    answers = []
    for url in urls:
        problem = _fetch_from(url, archive, part)
        if problem is None:
            part.replace(path)
            return path
        answers.append(f"{url} {problem}")
    raise DownloadError(
        f"{archive.name} could not be fetched: {', '.join(answers)}; run the same command again later, "
        "which continues, or give --source a folder or a server that has it"
    )


def is_official(path: Path, archive: Archive) -> bool:
    """Whether a file has the size and the checksum of an archive."""
    if _size(path) != archive.size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file, bar(f"verifying {archive.name}", archive.size, "B") as progress:
        while block := file.read(1 << 20):
            digest.update(block)
            progress.update(len(block))
    return digest.hexdigest() == archive.sha256


def _fetch_from(url: str, archive: Archive, part: Path) -> str | None:
    """Fetch from one address; what is wrong with it, or ``None`` when all went well."""
    in_vain, most, others = 0, _size(part), part.exists()  # others: some bytes may be from elsewhere
    with requests.Session() as session:
        while True:
            try:
                _receive(session, url, archive, part)
                if is_official(part, archive):
                    return None
                part.unlink()
                if not others:
                    return "sent other bytes than the official ones (wrong checksum)"
                others, most, problem = False, 0, "does not fit what was fetched before"
            except _Refused as answer:
                return str(answer)
            except _Failed as answer:
                problem = str(answer)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                problem = _in_words(error)
            in_vain, most = (0, _size(part)) if _size(part) > most else (in_vain + 1, most)
            if in_vain == PATIENCE.tries:
                return f"{problem} ({in_vain} tries in a row)"
            pause = PATIENCE.pause * 2**in_vain
            print(f"{url} {problem}; trying again in {pause:g} s", file=sys.stderr)
            time.sleep(pause)


def _receive(session: requests.Session, url: str, archive: Archive, part: Path) -> None:
    """Append to ``part`` what is missing of it."""
    have = _size(part)
    if have == archive.size:
        return
    # Without `identity` servers may compress, or claim that a .tgz is a compressed .tar.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=(PATIENCE.connect, PATIENCE.read)) as answer:
        if answer.status_code == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _Failed("sent another part than the one asked for")
        if answer.status_code == 416:  # there is nothing after what we have, so that is not the archive's beginning
            part.unlink(missing_ok=True)
            raise _Failed("has no such part (HTTP 416)")
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise _Failed(f"answered HTTP {answer.status_code}")
        if answer.status_code not in (200, 206):
            raise _Refused(f"answered HTTP {answer.status_code}")
        start = have if answer.status_code == 206 else 0
        length = answer.headers.get("Content-Length", "unknown")
        if length.isdecimal() and start + int(length) != archive.size:
            raise _Refused(f"has a file of {start + int(length)} bytes, not the official one of {archive.size}")
        with (
            part.open("ab" if start else "wb") as file,
            bar(f"fetching {archive.name}", archive.size, "B", start) as got,
        ):
            for block in answer.raw.stream(_CHUNK, decode_content=False):
                file.write(block)
                got.update(len(block))
                if file.tell() > archive.size:
                    break
    if _size(part) > archive.size:
        part.unlink()
        raise _Refused(f"sent more than the {archive.size} bytes of the official archive")
    if _size(part) < archive.size:
        raise _Failed("cut the connection")


def _in_words(error: Exception) -> str:
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "did not answer in time"
    if any(isinstance(each, urllib3.exceptions.ProtocolError) for each in (error, *error.args)):  # requests wraps them
        return "cut the connection"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    return f"cannot be asked ({type(error).__name__})"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
