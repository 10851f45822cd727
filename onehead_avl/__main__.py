"""``onehead-avl`` or ``python -m onehead_avl``: all commands as sub-commands of one."""

import argparse
import runpy
import sys
from pathlib import Path

from onehead_avl import __version__
from onehead_avl.command import run_command
from onehead_avl.errors import UsageError

COMMANDS = {
    "benchmark": "learn tasks of different kinds, one after the other, and report what is left",
    "prepare": "build the three mini sets, or check and repair a folder of their layout",
    "evaluate": "measure saved weights on any images of their experiences",
    "predict": "show what saved weights see in any pictures",
    "export": "write saved weights as a file that other programs run",
    "report": "make the reports of runs and comparisons anew",
}
"""What each sub-command does; it is the module of its name in ``onehead_avl``."""


def main() -> int:
    """Do what a sub-command does, or say which ones there are.

    Returns:
        The exit status.
    """
    program = "python -m onehead_avl" if Path(sys.argv[0]).name == "__main__.py" else "onehead-avl"
    words = sys.argv[1:]
    if words and words[0] in COMMANDS:
        name = words[0]
        sys.argv = [f"{program} {name}", *words[1:]]
        runpy.run_module(f"onehead_avl.{name}", run_name="__main__")  # which exits by itself, as with python -m
    return run_command(lambda: _tell(program, words))


def _tell(program: str, words: list[str]) -> None:
    """Answer a command line that begins with no sub-command.

    Raises:
        UsageError: It asks for nothing that there is.
    """
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} [-h] [--version] COMMAND ...",
        description="Continual learning over different kinds of vision task, by one network with one head.",
        epilog="\n".join(
            ["commands:"]
            + [f"  {name:{width}}  {line}" for name, line in COMMANDS.items()]
            + ["", f"{program} COMMAND --help lists the options of a command."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"onehead-avl {__version__}")
    if words and words[0].startswith("-"):
        parser.parse_known_args(words[:1])  # which exits after an answer
    found = repr(words[0]) if words else "none"
    raise UsageError(f"expected a command, one of {', '.join(COMMANDS)}, found {found}; {program} --help tells of each")


if __name__ == "__main__":
    sys.exit(main())
