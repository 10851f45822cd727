"""``python -m onehead_avl.prepare``: from nothing to the three mini sets."""

import argparse
import sys
from pathlib import Path

from onehead_avl.command import run_command
from onehead_avl.errors import UsageError
from onehead_avl.prepare.options import CATEGORIES, MINI, Options
from onehead_avl.system.called import called
from scenarios.challenge import FOLDERS

STOPPED = "stopped; run the same command again, which continues"


def main() -> None:
    """Build, import or verify a data folder and say what it holds."""
    parser = _parser()
    arguments = parser.parse_args()
    _check(parser, arguments)
    tasks = tuple(key for key in FOLDERS if key in arguments.tasks)
    # Slow to import, and not needed to refuse a wrong command line.
    if arguments.verify:
        from onehead_avl.prepare.manifest import read_manifest, require_same

        manifest = read_manifest(arguments.root)
        require_same(arguments.root, manifest)
    elif arguments.adopt:
        from onehead_avl.prepare.adopt import adopt

        manifest = adopt(arguments.adopt, arguments.root, tasks, _say)
    else:
        sizes = {"train": arguments.train, "val": arguments.val}
        options = Options(
            tasks=tasks,
            sizes=None if arguments.full else {key: MINI[key] if n is None else n for key, n in sizes.items()},
            categories=tuple(arguments.categories),
            seed=arguments.seed,
        )
        from onehead_avl.prepare.build import build
        from onehead_avl.prepare.sources import check_sources

        check_sources(arguments.source)
        manifest = build(arguments.root, options, arguments.source, arguments.keep_raw, _say)

    from onehead_avl.prepare.manifest import manifest_digest
    from onehead_avl.prepare.summary import summary

    print(
        f"\n{summary(manifest)}\n\n{arguments.root} is as its manifest says, sha256 {manifest_digest(arguments.root)}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=called("prepare"),
        description="Fetch PASCAL VOC 2012, COCO 2017 and Imagenette, verify them, and draw the three mini sets from "
        "them. Interrupted, the same command continues.",
    )
    parser.add_argument("--root", type=Path, default=Path("data"), metavar="DIR", help="folder to build; default: data")
    parser.add_argument(
        "--source",
        nargs="+",
        default=[],
        metavar="DIR_OR_URL",
        help="where the official archives are, or the folders extracted from them; without it the official hosts",
    )
    parser.add_argument("--train", type=int, metavar="N", help=f"training pictures a task; default: {MINI['train']}")
    parser.add_argument("--val", type=int, metavar="N", help=f"validation pictures a task; default: {MINI['val']}")
    parser.add_argument(
        "--full", action="store_true", help="all pictures of the official splits; fetches COCO's train2017, 19 GB"
    )
    parser.add_argument(
        "--categories",
        nargs="+",
        default=list(CATEGORIES),
        metavar="NAME",
        help=f"detection classes, names of COCO's; default: {', '.join(CATEGORIES)}",
    )
    keys = list(FOLDERS)
    parser.add_argument("--tasks", nargs="+", default=keys, choices=keys, help="tasks to build; default: all")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="decides which pictures are drawn; default: 0")
    parser.add_argument("--keep-raw", action="store_true", help="keep what was fetched, in DIR/raw")
    parser.add_argument(
        "--import",
        dest="adopt",
        type=Path,
        metavar="DIR",
        help="check an existing folder of the same layout instead, and write a repaired copy of it to --root",
    )
    parser.add_argument("--verify", action="store_true", help="compare --root with its manifest instead")
    return parser


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse options that exclude each other.

    Raises:
        UsageError: There are some.
    """
    excluded = {
        "full": ("train", "val"),
        "adopt": ("source", "train", "val", "full", "categories", "seed", "keep_raw"),
        "verify": ("source", "train", "val", "full", "categories", "seed", "keep_raw", "adopt", "tasks"),
    }
    given = {name for name, value in vars(arguments).items() if value != parser.get_default(name)}
    for name, others in excluded.items():
        both = [_option(other) for other in others if other in given]
        if name in given and both:
            raise UsageError(f"{_option(name)} does not go together with {' and '.join(both)}; leave one of them out")


def _option(name: str) -> str:
    return "--import" if name == "adopt" else f"--{name.replace('_', '-')}"


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main, STOPPED))
