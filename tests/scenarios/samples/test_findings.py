from pathlib import Path

import pytest

from onehead_avl.errors import DataError
from scenarios.samples.findings import (
    LEFT_OUT,
    SHOWN,
    Fault,
    Finding,
    Notes,
    collecting,
    note_lines,
    refuse_fatal,
    shown,
)

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


def test_a_finding_says_what_is_lost_by_it_and_what_a_copy_does():
    findings = []
    with collecting(findings, LEFT_OUT, pictures=1, boxes=3):
        raise Fault(ROOT / "a.jpg", "broken")
    assert findings == [Finding(ROOT / "a.jpg", "broken", repair="left out", pictures=1, boxes=3)]


def noted(*problems):
    findings = []
    with Notes(findings, ROOT) as notes:
        for problem, name, *lost in problems:
            notes.add(problem, name, *lost)
        assert findings == []  # all of them come at the end
    return findings


def test_what_happens_again_and_again_is_one_finding_for_each_problem():
    found = noted(("boxes are cut", "a"), ("boxes are skipped", "b", 0, 1), ("boxes are cut", "c"), ("skies fall", "d"))
    assert [str(finding) for finding in found] == [
        "data: boxes are cut: there are 2, such as a, c",
        "data: boxes are skipped: there is one, b",
        "data: skies fall: there is one, d",
    ]
    assert not any(finding.fatal or finding.repair for finding in found)


def test_a_finding_of_many_names_three_and_counts_what_is_lost():
    (three,) = noted(*(("lost", name, 1, 2) for name in "abc"))
    assert (three.problem, three.pictures, three.boxes) == ("lost: there are 3, such as a, b, c", 3, 6)
    (many,) = noted(*(("lost", name, 0, 1) for name in "abcde"))
    assert (many.problem, many.pictures, many.boxes) == ("lost: there are 5, such as a, b, c ...", 0, 5)


def test_what_was_noted_before_a_fault_is_not_lost():
    findings = []

    def note_and_fail():
        with Notes(findings, ROOT) as notes:
            notes.add("boxes are cut", "a")
            raise Fault(ROOT, "broken")

    with pytest.raises(Fault):
        note_and_fail()
    assert [finding.problem for finding in findings] == ["boxes are cut: there is one, a"]


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


def mendable(count):
    return [Finding(ROOT / f"{i}.jpg", "broken", repair=LEFT_OUT) for i in range(count)]


@pytest.mark.parametrize(
    ("findings", "way_out", "first"),
    [
        (mendable(1), "mend", "data/0.jpg: broken; or mend"),
        (mendable(1) + notes(1), "mend", "data/0.jpg: broken; or mend"),
        (mendable(1), "", "data/0.jpg: broken"),
        (fatal(1), "mend", "data/0.jpg: broken"),
        (
            mendable(2),
            "mend",
            "2 problems in data: the data cannot be used until each of them is mended; or mend",
        ),
        (mendable(1) + fatal(1), "mend", "2 problems in data: the data cannot be used until each of them is mended"),
    ],
    ids=range(6),
)
def test_a_way_out_is_offered_where_it_mends_all(findings, way_out, first):
    with pytest.raises(DataError) as caught:
        refuse_fatal(ROOT, findings, way_out)
    assert str(caught.value).split("\n")[0] == first


def test_a_way_out_of_nothing_is_not_offered():
    refuse_fatal(ROOT, notes(2), "mend")


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
