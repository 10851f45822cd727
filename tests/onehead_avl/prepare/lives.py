"""Runs the command in processes that are killed: ``python lives.py TASK.json``, see ``test_interruption.py``.

The task names the archives, the arguments, and either one run or many: ``run`` runs the command once in this process;
``kill`` first counts the lines of the package that an undisturbed run executes, and then, for some of them in every
module, forks a process that kills itself with SIGKILL before that line, and further processes until one ends by itself.
"""

import json
import os
import random
import signal
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path

from onehead_avl.command import run_command
from onehead_avl.kinds import KINDS
from onehead_avl.kinds.kind import kind_of
from onehead_avl.prepare import __main__ as command
from onehead_avl.prepare import adopt, build, download, sources  # noqa: F401  imported once, before all forks
from scenarios.read import class_folders, coco, voc  # noqa: F401

for kind in KINDS:
    kind_of(kind)

PACKAGE = str(Path(build.__file__).parent)


def watch_lines(on_line):
    """Call ``on_line(module)`` before every line of the package that is executed from now on."""

    def trace(frame, event, argument):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        name = Path(frame.f_code.co_filename).stem

        def each(frame, event, argument):
            if event == "line":
                on_line(name)
            return each

        return each

    sys.settrace(trace)


def run(root, arguments):
    sys.argv = ["prepare", "--root", root, *arguments]
    return run_command(command.main, command.STOPPED)


def in_child(work):
    """Run ``work`` in a forked process; its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_lines(root, arguments, log):
    """Run undisturbed and write the module of every line into ``log``."""
    seen = []
    watch_lines(seen.append)
    status = run(root, arguments)
    sys.settrace(None)
    log.write_text("\n".join(seen))
    return status


def run_until(root, arguments, line):
    """Run, and die before the given line."""
    left = line

    def on_line(module):
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    watch_lines(on_line)
    return run(root, arguments)


def kill_everywhere(task):
    folder = Path(task["folder"])
    log = folder / "lines"
    assert in_child(partial(count_lines, str(folder / "undisturbed"), task["arguments"], log)) == 0
    lines = log.read_text().split("\n")
    by_module = defaultdict(list)
    for number, module in enumerate(lines):
        by_module[module].append(number)
    chance = random.Random(task["seed"])
    points = [
        (module, number)
        for module in sorted(by_module)
        for number in sorted(chance.sample(by_module[module], min(task["per_module"], len(by_module[module]))))
    ]
    lives = []
    for position, (module, number) in enumerate(points):
        root = str(folder / f"killed{position}")
        statuses = [in_child(partial(run_until, root, task["arguments"], number))]
        if position % 2:  # a second death, anywhere
            second = chance.randrange(len(lines))
            statuses.append(in_child(partial(run_until, root, task["arguments"], second)))
        while statuses[-1] != 0 and len(statuses) < 5:
            statuses.append(in_child(partial(run, root, task["arguments"])))
        lives.append({"module": module, "line": number, "root": root, "statuses": statuses})
    print(json.dumps({"lines": len(lines), "lives": lives}))


if __name__ == "__main__":
    task = json.loads(Path(sys.argv[1]).read_text())
    sources.ARCHIVES = {key: sources.Archive(**fields) for key, fields in task["archives"].items()}
    download.PATIENCE = download.Patience(read=task["patience"], tries=3, pause=0.001)
    download._CHUNK = 1 << 12
    if task["what"] == "kill":
        kill_everywhere(task)
    else:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background are started with it ignored
        sys.exit(run(task["root"], task["arguments"]))
