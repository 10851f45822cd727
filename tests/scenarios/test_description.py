import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from onehead_avl.errors import UsageError
from onehead_avl.kinds import KINDS
from scenarios.challenge import FOLDERS
from scenarios.described import DRAWN, Described, Description, Share
from scenarios.description import READY_MADE, STREAMS, as_yaml, described_in, read_description
from scenarios.domains import DOMAIN_NAMES
from scenarios.experience_keys import EXPERIENCE_KEYS
from scenarios.read import FORMATS
from scenarios.samples.source import Source

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "streams.md").read_text("utf-8")

GOOD = """\
# Three sets.
experiences:
  - name: roads
    kind: segmentation
    path: camvid
    train: {images: train, masks: train_masks}
    val: {images: val, masks: val_masks}
    names: {0: sky, 1: road, 3: "no"}
    ignore: [255, 2]
  - {name: helmets, kind: detection, path: helmets/data.yaml}
  - {name: flowers, kind: classification, path: flowers, classes: [rose, tulip]}
  - {name: flowers-night, kind: classification, path: flowers, classes: [rose, tulip], head: flowers, domain: night}
  - {name: far, kind: "my.module:Depth", format: "my.module:read"}
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("camvid", "flowers", "helmets"):
        (tmp_path / name).mkdir()
    (tmp_path / "helmets" / "data.yaml").touch()
    return tmp_path


def written(folder, text):
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder, text):
    file = written(folder, text)
    with pytest.raises(UsageError) as caught:
        read_description(str(file))
    return str(caught.value).replace(str(file), "mine.yaml")


def anywhere(description):
    """A description without the lines, and the file, that it was read from."""
    return replace(description, file=None, experiences=tuple(replace(e, where="") for e in description.experiences))


def test_importing_it_imports_no_torch_and_no_avalanche():
    code = (
        "import sys; from scenarios.description import read_description; read_description('domains'); "
        "print(sorted({'torch', 'avalanche', 'torchvision', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_is_read(folder):
    description = read_description(str(written(folder, GOOD)))
    assert (description.name, description.file) == ("mine", folder / "mine.yaml")
    assert description.names == ("roads", "helmets", "flowers", "flowers-night", "far")
    roads, helmets, flowers, night, far = description.experiences
    assert roads.source.names == {0: "sky", 1: "road", 3: "no"}
    assert roads.source.ignore == (255, 2)
    assert helmets == Described(
        "helmets", "detection", Source(folder / "helmets" / "data.yaml"), f"{folder / 'mine.yaml'}:10", head="helmets"
    )
    assert (flowers.classes, flowers.head, night.head, night.domain) == (
        ("rose", "tulip"),
        "flowers",
        "flowers",
        "night",
    )
    assert far.source.path is None


def test_a_relative_path_is_of_the_files_folder_and_not_of_the_working_directory(folder, monkeypatch):
    written(folder, GOOD)
    monkeypatch.chdir(folder.parent)
    description = read_description(f"{folder.name}/mine.yaml")
    assert description.file == Path(folder.name, "mine.yaml")
    assert description.experiences[0].source.path == folder / "camvid"
    monkeypatch.chdir(folder)
    assert read_description("mine.yaml").experiences[0].source.path == folder / "camvid"


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_both_suffixes_are_files(folder, suffix):
    file = folder / f"street.v2{suffix}"
    file.write_text("experiences: [{name: a, kind: detection, path: helmets}]", encoding="utf-8")
    assert read_description(str(file)).name == "street.v2"


def test_a_file_called_like_a_ready_made_stream_is_not_taken_for_it(folder):
    file = folder / "challenge.yaml"
    file.write_text("experiences: [{name: a, kind: detection, path: helmets}]", encoding="utf-8")
    assert read_description(str(file)).file == file


def test_an_unknown_name_lists_the_ready_made_streams():
    with pytest.raises(UsageError) as caught:
        read_description("split7")
    assert str(caught.value) == (
        "unknown stream 'split7': expected one of challenge, domains, segmentation-10-10, split6, "
        "or a file that ends in .yaml or .yml (did you mean split6?)"
    )


@pytest.mark.parametrize("name", ["", ".", "challenge/", "mine.txt", "x" * 5000])
def test_other_names_are_no_streams(name):
    with pytest.raises(UsageError, match="unknown stream"):
        read_description(name)


@pytest.mark.parametrize("name", ["none.yaml", "folder.yaml", "a\0b.yaml", "x" * 5000 + ".yaml"])
def test_a_file_that_is_not_there_is_refused(folder, name):
    (folder / "folder.yaml").mkdir()
    with pytest.raises(UsageError, match=r"expected a file that describes a stream, found none; correct the path$"):
        read_description(f"{folder}/{name}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.yaml:1: experiences: expected a list of experiences, found an empty file; write one"),
        ("# nothing\n", "mine.yaml:1: experiences: expected a list of experiences, found an empty file; write one"),
        ("a: [1,\n", "mine.yaml:2: expected YAML, found what is none ("),
        ("- a\n", "mine.yaml:1: description: expected a mapping (keys and values), found a list; write one"),
        ("roads\n", "mine.yaml:1: description: expected a mapping (keys and values), found 'roads'; write one"),
        ("{}\n", "mine.yaml:1: experiences: expected a list of experiences, found no such key; add it"),
        (
            "\nexperience: []\n",
            "mine.yaml:2: experience: expected one of experiences; found an unknown key (did you mean experiences?)",
        ),
        ("\nexperiences:\n", "mine.yaml:2: experiences: expected a list, found nothing"),
        ("experiences: {a: b}\n", "mine.yaml:1: experiences: expected a list, found a mapping"),
        ("experiences: []\n", "mine.yaml:1: experiences: expected at least one experience, found an empty list"),
        (
            f"{GOOD}experiences: []\n",
            "mine.yaml:14: experiences: expected a key once, found it in line 2 too; remove one",
        ),
        (
            f"{GOOD}  - {{name: roads, kind: detection, path: helmets, head: other}}\n"
            "  - {name: more, kind: detection, path: helmets, head: other}\n",
            "mine.yaml:14: name: expected a name of its own, found 'roads' in line 3 too; rename one",
        ),
        (
            f"{GOOD}  - {{name: Helmets, kind: detection, path: helmets}}\n",
            "mine.yaml:14: name: expected a name of its own, found 'Helmets' and 'helmets' in line 10, which may be "
            "one file; rename one",
        ),
        (
            f"{GOOD}  - {{name: b, kind: classification, path: flowers, head: helmets}}\n",
            "mine.yaml:14: head: expected the kind of helmets, detection, found classification, because both have the "
            "head helmets; name another head",
        ),
        (
            f"{GOOD}  - {{name: b, kind: classification, path: flowers, head: flowers}}\n",
            "mine.yaml:14: head: expected the classes: of flowers, found other ones, because both have the "
            "head flowers; name another head",
        ),
        (
            f"{GOOD}  - {{name: b, kind: classification, path: flowers, head: flowers, classes: [tulip, rose]}}\n",
            "mine.yaml:14: head: expected the classes: of flowers, found other ones",
        ),
        (
            f"{GOOD}  - {{name: b, kind: classification, path: flowers, head: flowers, classes: 1/2}}\n",
            "mine.yaml:14: head: expected the classes: of flowers, found other ones",
        ),
        (
            f"{GOOD}  - {{name: b, kind: classification, path: flowers, head: flower}}\n",
            "mine.yaml:14: head: expected the head of another experience (roads, helmets, flowers, far), found flower, "
            "which no other has (did you mean flowers?); correct it or leave it out",
        ),
    ],
)
def test_a_wrong_stream_is_one_sentence(folder, text, message):
    found = refusal(folder, text)
    assert found.startswith(message)
    assert "\n" not in found


def test_two_names_in_one_line_are_told_apart(folder):
    text = "experiences: [{name: a, kind: detection, path: helmets}, {name: a, kind: detection, path: helmets}]"
    assert "name: expected a name of its own, found 'a' in line 1 too" in refusal(folder, text)


def test_a_kind_by_its_own_path_may_share_a_head_with_its_name(folder):
    text = f'{GOOD}  - {{name: b, kind: "{KINDS["detection"]}", path: helmets, head: helmets}}\n'
    assert read_description(str(written(folder, text))).experiences[-1].head == "helmets"


def test_all_that_is_wrong_is_named_at_once_in_the_order_of_lines(folder):
    text = (
        GOOD.replace("kind: segmentation", "kind: pictures")
        .replace("path: helmets/data.yaml", "path: nowhere")
        .replace("domain: night", "domain: nite")
        + "  - {name: flowers, kind: detection, path: ../x}\n"
        + "  - {name: b, kind: detection, path: helmets, head: flowers}\n"
        + "version: 2\n"
    )
    head, *lines = refusal(folder, text).split("\n")
    assert head == "7 problems in mine.yaml: the stream cannot be used until each of them is mended"
    starts = [":".join(line.split(":")[:3]).strip() for line in lines]
    assert starts == [
        "mine.yaml:4: kind",
        "mine.yaml:10: path",
        "mine.yaml:12: domain",
        "mine.yaml:14: path",
        "mine.yaml:14: name",
        "mine.yaml:15: head",
        "mine.yaml:16: version",
    ]


def test_a_file_of_nothing_but_problems_is_cut_to_a_readable_number(folder):
    lines = refusal(folder, "experiences:\n" + "  - {a: 1, b: 2}\n" * 2000).split("\n")
    assert lines[0].startswith("10000 problems in mine.yaml")
    assert lines[-1] == "  ... and 9980 more"


def test_a_description_is_written_and_read_back(folder):
    description = read_description(str(written(folder, GOOD)))
    elsewhere = folder / "run"
    elsewhere.mkdir()
    again = read_description(str(written(elsewhere, as_yaml(description))))
    assert anywhere(again) == anywhere(description)
    assert as_yaml(again) == as_yaml(description)


def test_names_that_yaml_reads_otherwise_are_written_in_quotes(folder):
    odd = (
        "no",
        "On",
        "7",
        "1.5",
        "null",
        "~",
        "2012-05-11",
        "12:30",
        "a: b",
        "- a",
        "# a",
        "'",
        '"',
        "*a",
        "1/2",
        "猫 🐈",
        "=",
    )
    experience = Described("null", "detection", Source(folder), "", classes=odd, head="7")
    other = Described("7", "detection", Source(folder), "", classes=odd, head="7")
    names = Described("on", "segmentation", Source(folder, names=dict(enumerate(odd)), ignore=()), "", head="on")
    description = Description("mine", (experience, other, names))
    assert anywhere(read_description(str(written(folder, as_yaml(description))))) == description


@pytest.mark.parametrize("name", READY_MADE)
def test_a_ready_made_stream_lies_in_the_challenges_folders(name):
    description = read_description(name)
    assert (description.name, description.file) == (name, None)
    kinds = dict(zip(FOLDERS.values(), ("segmentation", "detection", "classification"), strict=True))
    for each in description.experiences:
        assert each.kind == kinds[str(each.source.path)]
        assert re.fullmatch(rf"scenarios/streams/{name}\.yaml:\d+", each.where)


@pytest.mark.parametrize("name", READY_MADE)
def test_a_ready_made_stream_says_what_it_is(name):
    assert STREAMS.joinpath(f"{name}.yaml").read_text("utf-8").startswith("# ")


@pytest.mark.parametrize("name", READY_MADE)
def test_a_placed_ready_made_stream_is_written_and_read_back(name, tmp_path):
    for folder in FOLDERS.values():
        (tmp_path / folder).mkdir()
    for data in (None, tmp_path):
        description = read_description(name).on(data, size=Source().size)
        file = tmp_path / f"{name}.yaml"
        file.write_text(as_yaml(description), encoding="utf-8")
        assert anywhere(read_description(str(file))) == anywhere(description)
        assert {each.format for each in description.experiences} == ({DRAWN} if data is None else {None})


def test_the_challenge_is_three_experiences():
    assert read_description("challenge").names == ("seg", "det", "cls")
    assert all(each.classes is None and each.head == each.name for each in read_description("challenge").experiences)


def test_split6_is_three_sets_in_two_halves():
    description = read_description("split6")
    assert description.names == ("seg-1", "det-1", "cls-1", "seg-2", "det-2", "cls-2")
    assert [each.classes for each in description.experiences] == [Share(1, 2)] * 3 + [Share(2, 2)] * 3
    assert len({each.head for each in description.experiences}) == 6


def test_segmentation_10_10_is_two_halves():
    first, second = read_description("segmentation-10-10").experiences
    assert (first.classes, second.classes) == (Share(1, 2), Share(2, 2))
    assert (first.kind, second.kind) == ("segmentation", "segmentation")


def test_domains_is_the_challenge_by_day_and_by_night():
    experiences = read_description("domains").experiences
    assert [(e.name, e.domain) for e in experiences[:3]] == [("seg", None), ("det", None), ("cls", None)]
    assert [(e.name, e.head, e.domain) for e in experiences[3:]] == [
        ("seg-night", "seg", "night"),
        ("det-night", "det", "night"),
        ("cls-night", "cls", "night"),
    ]


def test_the_documented_streams_can_be_read(folder):
    (folder / "street").mkdir()
    examples = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert read_description(str(written(folder, example))).names


def test_every_key_and_name_is_documented():
    words = [*EXPERIENCE_KEYS, *READY_MADE, *DOMAIN_NAMES, *KINDS, *(each.name for each in FORMATS), DRAWN]
    assert [word for word in words if f"`{word}`" not in DOCS] == []


ODD = (
    *("no", "null", "~", "", "7", "-1", "1e9", "3/2", "999999999999", "2012-05-11", "🐈", "..", "/", "a: b: c"),
    *("[", "]", "{", "}", "[]", "{}", "[[a]]", "{a: {b: c}}", "? a", "- a", "'", '"', "|", ">", "---", "...", "\t"),
    *("!!int x", "!", "!<x>", "!!python/object:os.system", "*a", "&a b", "<<", "%", "@", "`"),
    *('"\\ud800"', '"\\U00110000"', "\u2028", "\x00", "\ufeff"),
)


def mutated(random):
    """The good description with a few random faults."""
    data = bytearray(GOOD.encode())
    for _ in range(random.randint(1, 4)):
        lines = bytes(data).split(b"\n")
        at = random.randrange(len(lines))
        fault = random.choice(("byte", "drop", "double", "indent", "word", "cut"))
        if fault == "byte" and data:
            data[random.randrange(len(data))] = random.randrange(256)
            continue
        if fault == "cut":
            data = data[: random.randrange(len(data) + 1)]
            continue
        if fault == "drop":
            del lines[at]
        elif fault == "double":
            lines.insert(random.randrange(len(lines)), lines[at])
        elif fault == "indent":
            lines[at] = b" " * random.randint(0, 6) + lines[at].strip()
        else:
            words = re.findall(rb"[\w./-]+", lines[at]) or [b" "]
            lines[at] = lines[at].replace(random.choice(words), random.choice(ODD).encode(), 1)
        data = bytearray(b"\n".join(lines))
    return bytes(data)


def test_a_damaged_description_is_refused_with_a_sentence_or_read(folder):
    read, refused = 0, 0
    for seed in range(600):
        data = mutated(Random(seed))
        try:
            experiences = described_in(data, "mine.yaml", folder)
        except UsageError as error:
            refused += 1
            head, *lines = str(error).split("\n")
            for line in lines or [head]:
                assert re.match(r" *(mine\.yaml:\d+: .|\.\.\. and \d+ more)", line), (seed, line)
                assert line.isprintable(), (seed, line)
        else:
            read += 1
            assert len({each.name for each in experiences}) == len(experiences) > 0
    assert read > 20
    assert refused > 200
