from pathlib import Path

import pytest

from onehead_avl.errors import DataError
from scenarios.samples.findings import SHOWN, Fault, Finding, collecting, note_lines, refuse_fatal, shown

ROOT = Path("data")


def fatal(count):
    return [Finding(ROOT / f"{i}.jpg", "broken") for i in range(count)]


def notes(count):
    return [Finding(ROOT / f"{i}.jpg", "odd", fatal=False) for i in range(count)]


def message(findings):
    with pytest.raises(DataError) as caught:
        refuse_fatal(ROOT, findings)
    return str(caught.value)


def test_a_fault_becomes_a_finding_and_the_rest_goes_on():
    findings = []
    with collecting(findings):
        raise Fault(ROOT / "a.jpg", "broken")
    with collecting(findings):
        findings.append(Finding(ROOT / "b.jpg", "odd", fatal=False))
    assert findings == [Finding(ROOT / "a.jpg", "broken", fatal=True), Finding(ROOT / "b.jpg", "odd", fatal=False)]


def test_other_errors_are_not_collected():
    with pytest.raises(DataError, match="another"), collecting([]):
        raise DataError("another")


def test_a_fault_by_itself_is_one_sentence():
    with pytest.raises(DataError, match=r"^data/a\.jpg: broken$"):
        raise Fault(ROOT / "a.jpg", "broken")


def test_nothing_fatal_is_not_refused():
    refuse_fatal(ROOT, [])
    refuse_fatal(ROOT, notes(3))


def test_one_fatal_finding_is_its_own_sentence():
    assert message([*notes(2), *fatal(1)]) == "data/0.jpg: broken"


def test_several_are_counted_and_named_each_on_a_line():
    first, *lines = message([*fatal(3), *notes(2)]).split("\n")
    assert first == "3 problems in data: the data cannot be used until each of them is mended"
    assert lines == ["  data/0.jpg: broken", "  data/1.jpg: broken", "  data/2.jpg: broken"]


@pytest.mark.parametrize(("surplus", "last"), [(0, f"  data/{SHOWN - 1}.jpg: broken"), (35, "  ... and 35 more")])
def test_many_are_cut_to_a_readable_number(surplus, last):
    first, *lines = message(fatal(SHOWN + surplus)).split("\n")
    assert first.startswith(f"{SHOWN + surplus} problems in data: ")
    assert lines[SHOWN - 1] == f"  data/{SHOWN - 1}.jpg: broken"
    assert lines[-1] == last
    assert len(lines) == SHOWN + bool(surplus)


def test_notes_are_lines_of_what_is_not_fatal():
    assert note_lines(fatal(3)) == []
    assert note_lines([*fatal(1), *notes(1)]) == ["data/0.jpg: odd"]
    assert note_lines(notes(SHOWN + 5))[-1] == "... and 5 more"


@pytest.mark.parametrize(
    ("name", "shown"), [("a\nb", "a\\nb"), ("\x1b[31m", "\\x1b[31m"), ("\ud800", "\\ud800"), ("übung 1", "übung 1")]
)
def test_what_cannot_be_printed_is_escaped(name, shown):
    assert str(Finding(ROOT / name, "broken")) == f"data/{shown}: broken"


def test_a_line_of_any_length_is_cut():
    assert len(str(Finding(ROOT, "x" * 100_000))) < 1100


def test_what_a_file_holds_is_shown_shortly():
    nested = []
    for _ in range(100):
        nested = [nested] * 100
    assert (shown(None), shown("a"), shown(False), shown([1, "b"])) == ("nothing", "'a'", "False", "[1, 'b']")
    assert all(len(shown(value)) < 3000 for value in (nested, "x" * 100_000, 10**4000, list(range(100_000))))
