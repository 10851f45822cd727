import pytest
from yaml import MappingNode, ScalarNode

from onehead_avl.errors import UsageError
from scenarios.samples.findings import SHOWN
from scenarios.yaml_nodes import MOST_BYTES, MOST_NESTED, NodeReader, line_of, nearest


def composed(data):
    reader = NodeReader("f.yaml")
    return reader.compose(data.encode() if isinstance(data, str) else data), reader


def refusal(data):
    node, reader = composed(data)
    assert node is None
    with pytest.raises(UsageError) as caught:
        reader.refuse()
    return str(caught.value)


def test_nodes_know_their_lines():
    node, reader = composed("# a comment\na: 1\n\nb: [x,\n  y]\n")
    reader.refuse()
    assert isinstance(node, MappingNode)
    assert [line_of(key) for key, _ in node.value] == [2, 4]
    assert [line_of(each) for each in node.value[1][1].value] == [4, 5]


def test_an_empty_file_is_no_problem_by_itself():
    node, reader = composed("# nothing\n")
    reader.refuse()
    assert node is None


def test_a_byte_order_mark_is_skipped():
    node, _ = composed(b"\xef\xbb\xbfa")
    assert isinstance(node, ScalarNode)
    assert node.value == "a"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("a: [1,\nb: }\n", 2),
        ("a: b: c\n", 1),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: 1\nb: 'open\n", 3),
        ("a: 1\nb: \x07\n", 2),
        ('a: "\\U00110000"\n', 1),
        ('a: "\\UFFFFFFFF"\n', 1),
        ("%YAML 9.9\n---\na\n", 1),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(data, line):
    text = refusal(data)
    assert text.startswith(f"f.yaml:{line}: expected YAML, found what is none (")
    assert "\n" not in text


def test_what_is_no_text_is_refused_with_its_line():
    assert refusal(b"a: 1\nb: \xff\n") == "f.yaml:2: expected text in UTF-8, found other bytes; save the file as UTF-8"


def test_a_huge_file_is_refused_unread():
    assert refusal(b"a" * (MOST_BYTES + 1)).startswith(
        f"f.yaml:1: expected a description of at most {MOST_BYTES} bytes"
    )


def test_nesting_is_limited():
    deepest, _ = composed("[" * (MOST_NESTED - 1) + "a" + "]" * (MOST_NESTED - 1))
    assert deepest is not None
    assert f"found {MOST_NESTED} levels" in refusal("[" * MOST_NESTED + "a" + "]" * MOST_NESTED)
    assert f"found {MOST_NESTED} levels" in refusal("[" * (MOST_BYTES - 1))


def test_aliases_are_refused_so_that_a_small_file_does_not_stand_for_a_huge_one():
    laughs = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))])
    assert refusal(laughs) == "f.yaml:2: expected values written out, found the alias *a0; copy it"


def test_a_value_that_holds_itself_is_refused():
    assert "found the alias *a" in refusal("&a [*a]")


def test_an_anchor_alone_is_read():
    node, reader = composed("a: &x 1")
    reader.refuse()
    assert isinstance(node, MappingNode)


def test_no_object_is_made_of_a_tag():
    node, reader = composed("!!python/object/apply:os.system ['exit 1']")
    assert reader.text(node, "name") is None
    node, reader = composed("!!python/name:os.system x")
    assert reader.text(node, "name") is None
    with pytest.raises(UsageError, match="found x, which YAML reads as something else"):
        reader.refuse()


def test_a_problem_alone_is_its_sentence():
    reader = NodeReader("f.yaml")
    reader.add(3, "name: wrong")
    with pytest.raises(UsageError, match=r"^f\.yaml:3: name: wrong$"):
        reader.refuse()


@pytest.mark.parametrize("surplus", [0, 5])
def test_several_problems_are_counted_and_named_in_the_order_of_lines(surplus):
    reader = NodeReader("f.yaml")
    for line in reversed(range(SHOWN + surplus)):
        reader.add(line, "wrong")
    with pytest.raises(UsageError) as caught:
        reader.refuse()
    head, *lines = str(caught.value).split("\n")
    assert head == f"{SHOWN + surplus} problems in f.yaml: the stream cannot be used until each of them is mended"
    assert lines[:SHOWN] == [f"  f.yaml:{line}: wrong" for line in range(SHOWN)]
    assert lines[SHOWN:] == ([f"  ... and {surplus} more"] if surplus else [])


def test_what_cannot_be_printed_is_escaped_and_what_is_long_is_cut():
    node, reader = composed('"\\ud800\\n": {x: [1]}\n' + "z" * 1000 + ": 1")
    reader.fields(node, "top", ("known",))
    with pytest.raises(UsageError) as caught:
        reader.refuse()
    _, first, second = str(caught.value).split("\n")
    assert first.isprintable()
    assert first.startswith("  f.yaml:1: \\ud800\\n: expected one of known")
    assert len(second) < 250


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("no", 'no, which YAML reads as a truth value; put it in quotes: "no"'),
        ("On", 'On, which YAML reads as a truth value; put it in quotes: "On"'),
        ("7", '7, which YAML reads as a number; put it in quotes: "7"'),
        ("1.5", 'which YAML reads as a number; put it in quotes: "1.5"'),
        ("12:30", 'which YAML reads as a number; put it in quotes: "12:30"'),
        ("2012-05-11", 'which YAML reads as a date; put it in quotes: "2012-05-11"'),
        ("null", 'null, which YAML reads as nothing; put it in quotes: "null"'),
        ("~", '~, which YAML reads as nothing; put it in quotes: "~"'),
        ("", "found nothing; write one"),
        ('""', "found nothing; write one"),
        ("[a]", "found a list; write one"),
        ("{a: b}", "found a mapping; write one"),
    ],
)
def test_what_is_no_text_is_named_with_the_remedy(value, found):
    node, reader = composed(f"- {value}")
    assert reader.text(node.value[0], "name") is None
    with pytest.raises(UsageError) as caught:
        reader.refuse()
    assert str(caught.value).startswith("f.yaml:1: name: expected text, found ")
    assert str(caught.value).endswith(found)


@pytest.mark.parametrize("value", ['"no"', "'1'", "person", "!!str 7", "1/2", "a b", "ñandú"])
def test_text_is_taken_as_it_is(value):
    node, reader = composed(f"- {value}")
    assert reader.name(node.value[0], "name") == value.strip("'\"").removeprefix("!!str ")
    reader.refuse()


@pytest.mark.parametrize("value", ['" "', '"a\\nb"', '"\\0"', '"\\ud800"'])
def test_a_name_can_be_printed(value):
    node, reader = composed(f"- {value}")
    assert reader.name(node.value[0], "name") is None
    with pytest.raises(UsageError, match="expected a name that can be printed"):
        reader.refuse()


@pytest.mark.parametrize(("value", "whole"), [("0", 0), ("7", 7), ("254", 254)])
def test_whole_numbers_are_read(value, whole):
    node, reader = composed(value)
    assert reader.whole(node, "names", 254) == whole
    reader.refuse()


@pytest.mark.parametrize(
    "value", ["255", "-1", "1.0", "010", "0x10", "1_0", "'7'", "yes", "[1]", "9" * 5000, "!!int x"]
)
def test_other_values_are_no_whole_numbers(value):
    node, reader = composed(value)
    assert reader.whole(node, "names", 254) is None
    with pytest.raises(UsageError, match=r"^f\.yaml:1: names: expected a whole number from 0 to 254, found "):
        reader.refuse()


def test_a_key_twice_is_found():
    node, reader = composed("a: 1\nb: 2\n'a': 3\n")
    assert list(reader.fields(node, "top")) == ["a", "b"]
    with pytest.raises(UsageError, match=r"^f\.yaml:3: a: expected a key once, found it in line 1 too; remove one$"):
        reader.refuse()


@pytest.mark.parametrize("key", ["no", "1", "? [a]\n", "<<"])
def test_a_key_is_text(key):
    node, reader = composed(f"{key}: x")
    assert reader.fields(node, "top") == {}
    with pytest.raises(UsageError, match=r"^f\.yaml:1: top: expected a key that is text, found "):
        reader.refuse()


def test_the_nearest_known_word_is_named():
    assert nearest("segmentatoin", ["detection", "segmentation"]) == " (did you mean segmentation?)"
    assert nearest("zzz", ["detection", "segmentation"]) == ""
