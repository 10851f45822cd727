"""Each test describes one experience, from line 2 on, whose first line is given and good."""

from pathlib import Path

import pytest

from onehead_avl.errors import UsageError
from scenarios.described import Described, Share
from scenarios.description import described_in
from scenarios.samples.source import Source

SEG = "name: roads, kind: segmentation, path: data"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data.yaml").touch()
    return tmp_path


def described(folder, text):
    (experience,) = described_in(f"experiences:\n  - {{{text}}}\n".encode(), "s.yaml", folder)
    return experience


def refusal(folder, text):
    with pytest.raises(UsageError) as caught:
        described(folder, text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("s.yaml:2: ")
    return message.removeprefix("s.yaml:2: ")


def test_what_is_not_said_has_a_default(folder):
    assert described(folder, SEG) == Described(
        "roads", "segmentation", Source(folder / "data"), where="s.yaml:2", head="roads"
    )


def test_every_key_is_read(folder):
    text = (
        f"{SEG}, train: {{images: a, masks: b/c}}, val: {{images: d, masks: e}}, names: {{0: sky, 7: road}}, "
        "ignore: [255, 9], classes: [road, sky], format: masks, head: scenes, domain: night"
    )
    experiences = f"experiences:\n  - {{{text}}}\n  - {{{text.replace('roads', 'more')}}}\n"
    first, second = described_in(experiences.encode(), "s.yaml", folder)
    assert first == Described(
        "roads",
        "segmentation",
        Source(
            folder / "data",
            {"images": "a", "masks": "b/c"},
            {"images": "d", "masks": "e"},
            {0: "sky", 7: "road"},
            (255, 9),
        ),
        "s.yaml:2",
        "masks",
        ("road", "sky"),
        "scenes",
        "night",
    )
    assert (second.name, second.where, second.source) == ("more", "s.yaml:3", first.source)


@pytest.mark.parametrize(("share", "expected"), [("1/2", Share(1, 2)), ("2/2", Share(2, 2)), ("1/1", Share(1, 1))])
def test_a_share_of_the_classes_is_read(folder, share, expected):
    assert described(folder, f"{SEG}, classes: {share}").classes == expected


def test_the_first_of_two_shares_is_the_first_half_by_index(folder):
    share = described(folder, f"{SEG}, classes: 1/2").classes
    assert share.chosen(("a", "b", "c", "d")) == ("a", "b")


def test_nothing_may_be_ignored(folder):
    assert described(folder, f"{SEG}, ignore: []").source.ignore == ()


def test_a_path_may_be_a_file_the_folder_itself_or_absolute(folder):
    assert described(folder, "name: a, kind: detection, path: data.yaml").source.path == folder / "data.yaml"
    assert described(folder, "name: a, kind: detection, path: .").source.path == folder
    assert described(folder / "data", f"name: a, kind: detection, path: {folder}").source.path == folder
    above = f"{folder}/data/../data"
    assert described(folder, f"name: a, kind: detection, path: {above}").source.path == Path(above)


@pytest.mark.parametrize("name", ["a", "7b", "seg-night", "a.b_c-D", "x" * 64])
def test_a_name_that_is_good_for_files_and_columns_is_taken(folder, name):
    assert described(folder, f"name: {name}, kind: segmentation, path: data").head == name


@pytest.mark.parametrize("name", ["a b", "a/b", "..", "-a", ".a", "_a", "straße", "x" * 65, '"a\\n"', "a+b", "a=b"])
@pytest.mark.parametrize("key", ["name", "head"])
def test_another_name_is_refused(folder, key, name):
    text = {"name": "kind: segmentation, path: data", "head": SEG}[key]
    message = refusal(folder, f"{text}, {key}: {name}")
    assert message.startswith(f"{key}: expected at most 64 of the letters a to z, digits, _, - and .,")


def test_a_name_that_commands_read_otherwise_is_refused(folder):
    assert refusal(folder, "name: all, kind: segmentation, path: data") == (
        "name: expected another name than all, which commands read as every experience; rename it"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: detection, path: data", "name: expected a name for every experience, found no such key; add it"),
        ("name: a, path: data", "kind: expected a kind of task for every experience, found no such key; add it"),
        (
            "name: a, kind: detection",
            "path: expected the folder or file that holds the images, found no such key; add it",
        ),
        ("name: no, kind: detection, path: data", "name: expected text, found no, which YAML reads as a truth value"),
        ("name: 7, kind: detection, path: data", "name: expected text, found 7, which YAML reads as a number"),
        ("name: , kind: detection, path: data", "name: expected text, found nothing"),
        ("name: [a], kind: detection, path: data", "name: expected text, found a list"),
        (f"{SEG}, path: data", "path: expected a key once, found it in line 2 too"),
        (
            f"{SEG}, pth: data",
            "pth: expected one of name, kind, path, train, val, names, ignore, classes, format, head",
        ),
        (f"{SEG}, pth: data", "found an unknown key (did you mean path?); rename or remove it"),
        (f"{SEG}, 1: data", "experience: expected a key that is text, found 1"),
        (
            "name: a, kind: segmentatoin, path: data",
            "kind: expected one of segmentation, detection, classification, or module:name; found 'segmentatoin' "
            "(did you mean segmentation?); correct it",
        ),
        ("name: a, kind: 'my.module:', path: data", "kind: expected one of"),
        ("name: a, kind: 'my/module:Kind', path: data", "kind: expected one of"),
        ("name: a, kind: ':Kind', path: data", "kind: expected one of"),
        ("name: a, kind: on, path: data", "kind: expected text, found on, which YAML reads as a truth value"),
        ("name: a, kind: detection, path: none", "none, found none; correct the path"),
        ('name: a, kind: detection, path: "a\\0b"', "path: expected a folder or file"),
        (f"name: a, kind: detection, path: {'x' * 5000}", "path: expected a folder or file"),
        ("name: a, kind: detection, path: 2012", "path: expected text, found 2012, which YAML reads as a number"),
        (
            "name: a, kind: detection, path: ../data",
            "path: expected a path within the folder of this file, found ../data; data elsewhere has an absolute path",
        ),
        ("name: a, kind: detection, path: data/../../data", "path: expected a path within the folder of this file"),
        (f"{SEG}, train: {{images: a}}", "train: expected val: beside it, found train: alone"),
        (f"{SEG}, val: {{images: a}}", "val: expected train: beside it, found val: alone"),
        (f"{SEG}, train: {{}}, val: {{images: a}}", "train: expected at least one key in it, found none"),
        (f"{SEG}, train: a, val: {{images: a}}", "train: expected a mapping (keys and values), found 'a'"),
        (
            f"{SEG}, train: {{image: a}}, val: {{images: a}}",
            "image: expected one of images, masks, mask_name; found an unknown key",
        ),
        (f"{SEG}, train: {{images: 1}}, val: {{images: a}}", "train.images: expected text, found 1"),
        (
            f"{SEG}, train: {{images: ../a}}, val: {{images: a}}",
            "train.images: expected a path within path:, found ../a",
        ),
        (f"{SEG}, train: {{images: a}}, val: {{masks: /a}}", "val.masks: expected a path within path:, found /a"),
        (
            "name: a, kind: detection, format: coco, path: data, train: {images: a}, val: {masks: a}",
            "masks: expected one of images, annotations; found an unknown key",
        ),
        (f"{SEG}, names: [a]", "names: expected a mapping (keys and values), found a list"),
        (f"{SEG}, names: {{}}", "names: expected at least one class, found none"),
        (f"{SEG}, names: {{255: a}}", "names: expected a whole number from 0 to 254, found 255; correct it"),
        (f"{SEG}, names: {{'1': a}}", "names: expected a whole number from 0 to 254, found '1'; correct it"),
        (f"{SEG}, names: {{yes: a}}", "names: expected a whole number from 0 to 254, found yes, which YAML reads as"),
        (
            f"{SEG}, names: {{0: no}}",
            "names: expected text, found no, which YAML reads as a truth value; put it in quot",
        ),
        (f"{SEG}, names: {{0: 0}}", "names: expected text, found 0, which YAML reads as a number; put it in quotes"),
        (f"{SEG}, names: {{0: }}", "names: expected text, found nothing"),
        (f"{SEG}, names: {{0: a, 1: a}}", "names: expected each once, found a in line 2 too; remove one"),
        (f"{SEG}, names: {{0: a, 0: b}}", "0: expected a key once, found it in line 2 too; remove one"),
        (f"{SEG}, ignore: 255", "ignore: expected a list, found 255, which YAML reads as a number"),
        (f"{SEG}, ignore: [256]", "ignore: expected a whole number from 0 to 255, found 256; correct it"),
        (f"{SEG}, ignore: [no]", "ignore: expected a whole number from 0 to 255, found no"),
        (f"{SEG}, ignore: [1, 1]", "ignore: expected each once, found 1 in line 2 too; remove one"),
        (
            f"{SEG}, names: {{0: a, 7: b}}, ignore: [7]",
            "ignore: expected values that are no class, found 7, which names: has; remove one of them",
        ),
        (
            "name: a, kind: classification, path: data, ignore: [255]",
            "ignore: expected no such key, because the format csv or class_folders names its classes; remove it",
        ),
        (
            "name: a, kind: detection, path: data, format: coco, names: {0: a}",
            "names: expected no such key, because the format coco names its classes; remove it",
        ),
        (f"{SEG}, classes: []", "classes: expected at least one class, found an empty list"),
        (f"{SEG}, classes: [a, b, a]", "classes: expected each once, found a in line 2 too; remove one"),
        (
            f"{SEG}, classes: [a, no]",
            "classes: expected text, found no, which YAML reads as a truth value; put it in qu",
        ),
        (
            f"{SEG}, classes: [on]",
            "classes: expected text, found on, which YAML reads as a truth value; put it in quotes",
        ),
        (
            f"{SEG}, classes: [1, a]",
            'classes: expected text, found 1, which YAML reads as a number; put it in quotes: "1"',
        ),
        (
            f"{SEG}, classes: [null]",
            "classes: expected text, found null, which YAML reads as nothing; put it in quotes",
        ),
        (f"{SEG}, classes: [~]", "classes: expected text, found ~, which YAML reads as nothing; put it in quotes"),
        (f"{SEG}, classes: [[a]]", "classes: expected text, found a list"),
        (
            f"{SEG}, classes: rose",
            "classes: expected a list of names, or a share such as 1/2; found 'rose'; correct it",
        ),
        (f"{SEG}, classes: {{a: b}}", "classes: expected a list of names, or a share such as 1/2; found a mapping"),
        (
            f"{SEG}, classes: 2",
            "classes: expected a list of names, or a share such as 1/2; found 2, which YAML reads as",
        ),
        (f"{SEG}, classes: 3/2", "classes: expected a share such as 1/2 or 2/2, found 3/2; correct it"),
        (f"{SEG}, classes: 0/2", "classes: expected a share such as 1/2 or 2/2, found 0/2; correct it"),
        (f"{SEG}, classes: 0/0", "classes: expected a share such as 1/2 or 2/2, found 0/0; correct it"),
        (f"{SEG}, classes: 1/2/3", "classes: expected a list of names, or a share such as 1/2; found '1/2/3'"),
        (f"{SEG}, format: maskss", "found 'maskss' (did you mean masks?); correct it"),
        (
            f"{SEG}, format: coco",
            "format: expected a format of the kind segmentation (masks, voc, voc_devkit), found coco; name another one "
            "or leave it out",
        ),
        (f"{SEG}, domain: nigt", "domain: expected one of grey, night, negative; found 'nigt' (did you mean night?)"),
        (f"{SEG}, domain: no", "domain: expected text, found no, which YAML reads as a truth value"),
        (
            f"{SEG}, format: drawn",
            "path: expected no such key, because images of the format drawn are on no disk; remove it",
        ),
    ],
)
def test_a_wrong_thing_is_one_sentence(folder, text, message):
    assert message in refusal(folder, text)


def test_the_line_is_that_of_the_value(folder):
    text = "experiences:\n  - name: a\n    kind: segmentation\n    path: data\n    classes:\n      - x\n      - no\n"
    with pytest.raises(UsageError, match=r"^s\.yaml:7: classes: expected text, found no"):
        described_in(text.encode(), "s.yaml", folder)


def test_an_experience_is_a_mapping(folder):
    with pytest.raises(UsageError, match=r"^s\.yaml:1: experience: expected a mapping .* found 'roads'; write one$"):
        described_in(b"experiences: [roads]", "s.yaml", folder)


def test_many_wrong_things_are_named_at_once(folder):
    text = "name: no, kind: segmentatoin, classes: [a, a], domain: nite, train: {images: a}, pth: data"
    with pytest.raises(UsageError) as caught:
        described(folder, text)
    head, *lines = str(caught.value).split("\n")
    assert head == "7 problems in s.yaml: the stream cannot be used until each of them is mended"
    assert sorted(line.split(": ")[1] for line in lines) == [
        "classes",
        "domain",
        "kind",
        "name",
        "path",
        "pth",
        "train",
    ]
    assert all(line.startswith("  s.yaml:2: ") for line in lines)


def test_drawn_images_need_no_path(folder):
    experience = described(folder, "name: a, kind: segmentation, format: drawn, classes: 1/2")
    assert (experience.format, experience.source) == ("drawn", Source())


def test_code_of_ones_own_is_named_by_its_import_path_and_not_imported(folder):
    experience = described(
        folder,
        "name: a, kind: 'no.such_module:Depth', format: 'no.such:reader', train: {far: a}, val: {far: b}, "
        "names: {0: a}, ignore: [9]",
    )
    assert (experience.kind, experience.format) == ("no.such_module:Depth", "no.such:reader")
    assert experience.source == Source(None, {"far": "a"}, {"far": "b"}, {0: "a"}, (9,))


def test_a_kind_of_ones_own_may_read_a_known_format(folder):
    text = "name: a, kind: 'my:Kind', format: masks, path: data, train: {depth: a}, val: {masks: b}"
    assert refusal(folder, text).startswith("depth: expected one of images, masks, mask_name; found an unknown key")
    assert described(folder, text.replace("depth", "images")).format == "masks"
