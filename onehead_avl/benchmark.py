"""``python -m onehead_avl.benchmark``: learn three kinds of task, one after the other, and report what is left."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from onehead_avl.command import quiet_third_parties, run_command
from onehead_avl.config import Config
from onehead_avl.errors import OutputError, UsageError
from onehead_avl.lock import exclusive
from onehead_avl.tasks import Task
from strategies.named import options_of, problems_of


def main() -> None:
    """Run a strategy, or compare several."""
    config = Config.from_arguments()
    _, wrong = options_of([*config.strategy, *config.plugin], config.set)
    config.check([problem for name in config.strategy for problem in problems_of(name)] + wrong)
    folder = config.output or Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")

    with _claimed(folder, may_hold="config.json" if config.is_comparison or config.resume else None):
        _run(replace(config, output=folder))


def _run(config: Config) -> None:
    """Do what the command line asks for, in a folder that is this process's own."""
    print("loading torch and Avalanche", file=sys.stderr)
    quiet_third_parties()
    from onehead_avl.baselines import BaselineCache  # slow to import, and not needed to refuse a wrong command line
    from onehead_avl.compare import compare_strategies, run_and_keep
    from onehead_avl.plan import RESULTS, require_same_run

    if config.resume and not config.is_comparison:
        require_same_run(config.output, config.resolved())
        if (config.output / RESULTS).exists():
            print(f"{config.output} holds a finished run: there is nothing to continue")
            return
    data = _data(config.in_each_order()[0].resolved())
    cache = BaselineCache(data)
    if config.is_comparison:
        compare_strategies(config, data, cache)
    else:
        print(f"\n{run_and_keep(config.resolved(), data, config.output, cache)}\n\nwritten to {config.output}\n")


def _data(config: Config) -> list:
    """The pictures of all three tasks."""
    if config.data is not None:
        from scenarios.folder import read_tasks

        return read_tasks(config.data, list(Task), tell=lambda line: print(f"note: {line}", file=sys.stderr))
    from scenarios.embedded import embedded_data

    print(
        "The embedded data set: drawn scenes, which show forgetting but say nothing about photographs. "
        "For real pictures, run python -m onehead_avl.prepare --root data once, and give --data data."
    )
    return [embedded_data(task, size=config.image_size) for task in Task]


@contextmanager
def _claimed(folder: Path, may_hold: str | None) -> Iterator[None]:
    """Make a folder and keep others out of it, refusing one with files unless ``may_hold`` is among them.

    Raises:
        UsageError: It holds something.
        OutputError: It cannot be written, or another process is writing it.
    """
    work = folder / ".running"
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(folder, work, "being written", "--output"))
            entries = [entry for entry in folder.iterdir() if entry != work]
        except OSError as error:
            raise OutputError(
                f"--output expects a folder that can be written, but {folder} cannot ({error.strerror}); choose another"
            ) from None
        if entries and not (may_hold and (folder / may_hold).exists()):
            raise UsageError(f"--output expects a new or empty folder, but {folder} holds files; choose another")
        yield


if __name__ == "__main__":
    sys.exit(run_command(main))
