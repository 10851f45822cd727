import argparse
from dataclasses import dataclass, fields

from onehead_avl.runs.options import Affects, argument_of, option


@dataclass
class Options:
    """Options of each sort of default."""

    number: int = option(3, "how many", type=int)
    names: tuple[str, ...] = option(("a", "b"), "which", Affects.NOTHING, nargs="+")
    more: tuple[str, ...] = option((), "others", nargs="+", action="extend")
    depends: int | None = option(None, "how far; default: as the data says", type=int)
    usual: int = option(7, "how long; default: a week", type=int)


def parser():
    made = argparse.ArgumentParser(prog="options")
    for each in fields(Options):
        made.add_argument(f"--{each.name}", **argument_of(each))
    return made


def test_without_arguments_every_option_has_its_default():
    assert vars(parser().parse_args([])) == {
        "number": 3,
        "names": ("a", "b"),
        "more": [],
        "depends": None,
        "usual": 7,
    }


def test_what_extends_does_not_change_the_default():
    assert parser().parse_args(["--more", "a", "--more", "b", "c"]).more == ["a", "b", "c"]
    assert parser().parse_args([]).more == []
    assert Options().more == ()


def test_the_help_names_each_default_once():
    shown = " ".join(parser().format_help().split())
    assert "how many (default: 3)" in shown
    assert "which (default: a b)" in shown
    assert shown.endswith(
        "others --depends DEPENDS how far; default: as the data says --usual USUAL how long; default: a week"
    )


def test_an_option_affects_all_results_unless_it_says_otherwise():
    affects = {each.name: each.metadata["affects"] for each in fields(Options)}
    assert affects == dict.fromkeys(affects, Affects.RESULTS) | {"names": Affects.NOTHING}
