from pathlib import Path

from scenarios.read.joined import by_stem
from scenarios.samples.findings import Finding


def test_files_are_found_by_their_names_without_suffix():
    findings = []
    named = by_stem([Path("a/1.jpg"), Path("a/2.b.PNG"), Path("a/1.png")], findings)
    assert named == {"1": Path("a/1.jpg"), "2.b": Path("a/2.b.PNG")}
    assert findings == [Finding(Path("a/1.png"), "expected one file of this name, found a/1.jpg too; remove one")]
