"""Finding the file that an annotation means, whatever its name is written like."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from scenarios.samples.findings import Fault, Notes, shown

_Names = dict[str, list[Path]]


class Pictures:
    """The pictures below a folder, found by the names that annotations give them.

    Args:
        folder: Where they are.
        files: All of them.
        notes: Is told of names that are not quite those of files.
    """

    def __init__(self, folder: Path, files: Sequence[Path], notes: Notes) -> None:
        self._folder = folder
        self._files = files
        self._notes = notes

    def find(self, path: Path, where: str, name: str) -> Path | None:
        r"""Return the file of a name, or ``None`` if there is none.

        Folders may be written with ``/`` or ``\``. Where the folders of a name are not there, as of a name from
        another machine, its last parts are looked for; then names that differ by case or by the form of accents only.

        Args:
            path: The annotation file, for messages.
            where: The place in it.
            name: The name.

        Raises:
            Fault: The name leads out of the folder.
        """
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        absolute = PurePosixPath(name).is_absolute() or name[1:3] in (":\\", ":/")
        if ".." in parts or (absolute and os.path.exists(name)):
            raise Fault(path, f"{where}: expected a file name within {self._folder}, found {shown(name)}; correct it")
        if not absolute:
            for tried in (name, "/".join(parts)):
                if tried and os.path.isfile(self._folder / tried):  # unlike Path.is_file, it answers for any name
                    return self._folder / tried
        for start in range(len(parts)):
            found = self._folder.joinpath(*parts[start:])
            if os.path.isfile(found):
                self._notes.add("file names are read without the folders before them, which are not there", name)
                return found
        for key, known, problem in (
            (parts[-1] if parts else "", self._by_name, "files are found in another folder than their name says"),
            (_folded("/".join(parts)), self._by_form, "files are found under names of another case or form of accents"),
        ):
            if len(known.get(key, ())) == 1:
                self._notes.add(problem, name)
                return known[key][0]
        return None

    @cached_property
    def _by_name(self) -> _Names:
        return self._by(lambda path: path.name)

    @cached_property
    def _by_form(self) -> _Names:
        return self._by(lambda path: _folded(path.relative_to(self._folder).as_posix()))

    def _by(self, key: Callable[[Path], str]) -> _Names:
        known: _Names = defaultdict(list)
        for file in self._files:
            known[key(file)].append(file)
        return known


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
