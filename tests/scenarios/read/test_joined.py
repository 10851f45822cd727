from pathlib import Path

import pytest

from scenarios.read.joined import by_stem
from scenarios.samples.findings import LEFT_OUT, Finding


def test_files_are_found_by_their_names_without_suffix():
    findings = []
    named = by_stem([Path("a/1.jpg"), Path("a/2.b.PNG")], findings, pictures=True)
    assert named == {"1": Path("a/1.jpg"), "2.b": Path("a/2.b.PNG")}
    assert findings == []


@pytest.mark.parametrize(("pictures", "lost"), [(True, 1), (False, 0)])
def test_of_files_of_one_name_none_is_taken(pictures, lost):
    findings = []
    files = [Path("a") / name for name in ("1.gif", "1.jpg", "1.png", "2.jpg")]
    assert by_stem(files, findings, pictures=pictures) == {"2": Path("a/2.jpg")}
    assert findings == [
        Finding(
            Path("a") / name,
            f"expected one file of this name, found {other} too; remove one",
            repair=LEFT_OUT,
            pictures=lost,
        )
        for name, other in (("1.gif", "1.jpg"), ("1.jpg", "1.gif"), ("1.png", "1.gif"))
    ]
