"""Reading official data where they are: a tar, a zip or an extracted folder. Nothing is ever extracted to disk.

The members of an archive are read by name into memory and written elsewhere under names of our own, so an archive
cannot place a file; one that tries to is refused all the same, for it is not the official one.
"""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from onehead_avl.errors import DataError
from scenarios.samples.folders import walk

INFLATION = 20
"""How many times larger than the archive its content may be; pictures do not compress, annotations about 5 times."""

_PADDING = 1 << 20
"""Bytes by which small archives may exceed that: a tar is padded."""


class Tree(ABC):
    """The files of an official data set.

    Attributes:
        where: The archive or folder, for messages.
        names: The paths of all files, relative to the tree, with ``/``, sorted.
    """

    def __init__(self, where: Path, names: Iterable[str]) -> None:
        self.where = where
        self.names = sorted(names)
        self._known = frozenset(self.names)

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            DataError: There is no such file, or it cannot be read.
        """
        if name not in self._known:
            raise DataError(f"{self.where}: expected {name} in it, found no such file; fetch or extract it again")
        try:
            return self._read(name)
        except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self.where}: {name} cannot be read ({error}); fetch or extract it again") from error

    @abstractmethod
    def _read(self, name: str) -> bytes: ...


class FolderTree(Tree):
    """An extracted folder, the links in which are followed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, (each.relative_to(folder).as_posix() for each in walk(folder) if each.is_file()))

    def _read(self, name: str) -> bytes:
        return (self.where / name).read_bytes()


class ZipTree(Tree):
    """A folder in a zip archive.

    Raises:
        DataError: It is no zip archive, or holds what no official archive does.
    """

    def __init__(self, path: Path, folder: str) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(
                f"{path}: expected a zip archive, found something else ({error}); fetch it again"
            ) from error
        members = self._zip.infolist()
        for member in members:
            require_inside(path, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unofficial(path, member.filename, "neither a file nor a folder")
        require_inflation(path, sum(member.file_size for member in members))
        self._prefix = f"{folder}/"
        super().__init__(path, _within(self._prefix, (each.filename for each in members if not each.is_dir())))

    def _read(self, name: str) -> bytes:
        return self._zip.read(self._prefix + name)  # never more than the size that its directory says


class TarTree(Tree):
    """A folder in a tar archive; a compressed one is held in memory, as only Imagenette's 100 MB are.

    Raises:
        DataError: It is no tar archive, or holds what no official archive does.
    """

    def __init__(self, path: Path, folder: str) -> None:
        try:
            self._tar = tarfile.open(fileobj=_uncompressed(path), mode="r:")  # noqa: SIM115
            members = self._tar.getmembers()
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{path}: expected a tar archive, found something else ({error}); fetch it again"
            ) from error
        for member in members:
            require_inside(path, member.name)
            if not (member.isdir() or member.isreg()) or member.issparse():
                raise _unofficial(path, member.name, "neither a file nor a folder")
        prefix = f"{folder}/"
        self._members = {each.name.removeprefix(prefix): each for each in members if each.isreg()}
        super().__init__(path, _within(prefix, (each.name for each in members if each.isreg())))

    def _read(self, name: str) -> bytes:
        file = self._tar.extractfile(self._members[name])
        assert file is not None  # all members that are kept are regular files
        with file:
            return file.read()


def open_tree(path: Path, folder: str) -> Tree:
    """Open official data.

    Args:
        path: An archive, or the folder that was extracted from it.
        folder: The folder in the archive that is needed.

    Raises:
        DataError: It is no archive, or one that holds what no official archive does.
    """
    if path.is_dir():
        return FolderTree(path)
    return ZipTree(path, folder) if path.suffix == ".zip" else TarTree(path, folder)


def require_inside(archive: Path, name: str) -> None:
    """Refuse the name of a member that would lie outside the folder it is extracted to.

    Raises:
        DataError: It would.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name.split("/")[0]:
        raise _unofficial(archive, name, "outside of it")


def require_inflation(archive: Path, content: int) -> None:
    """Refuse an archive that is a decompression bomb.

    Args:
        archive: The archive.
        content: The bytes in it when uncompressed.

    Raises:
        DataError: It is one.
    """
    if content > _most(archive):
        raise DataError(
            f"{archive}: expected at most {INFLATION} times its {archive.stat().st_size} bytes in it, found more; it "
            "is a decompression bomb or broken, fetch it again from the official source"
        )


def _most(archive: Path) -> int:
    return INFLATION * archive.stat().st_size + _PADDING


def _unofficial(archive: Path, name: str, what: str) -> DataError:
    return DataError(
        f"{archive}: expected files and folders within the archive, found {name!r:.100}, which is {what}; "
        "fetch it again from the official source"
    )


def _within(prefix: str, names: Iterable[str]) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _uncompressed(path: Path) -> io.BufferedIOBase:
    if path.suffix != ".tgz":
        return path.open("rb")
    with gzip.open(path) as file:
        content = file.read(_most(path) + 1)
    require_inflation(path, len(content))
    return io.BytesIO(content)
