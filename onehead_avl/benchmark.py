"""``python -m onehead_avl.benchmark``: learn three kinds of task, one after the other, and report what is left."""

import sys
from datetime import datetime
from pathlib import Path

from onehead_avl.command import quiet_third_parties, run_command
from onehead_avl.config import Config
from onehead_avl.errors import OutputError, UsageError
from onehead_avl.tasks import Task
from strategies.named import STRATEGIES


def main() -> None:
    """Run every strategy with every seed, each in a folder of its own."""
    config = Config.from_arguments()
    config.check(strategies=tuple(STRATEGIES))
    config = config.resolved()
    folder = _new_folder(config.output or Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))

    print("loading torch and Avalanche", file=sys.stderr)
    quiet_third_parties()
    from onehead_avl.run import run  # slow to import, and not needed to refuse a wrong command line

    data = _data(config)
    runs = [(strategy, seed) for strategy in config.strategy for seed in config.seeds]
    for strategy, seed in runs:
        one = folder if len(runs) == 1 else _new_folder(folder / f"{strategy}-seed{seed}")
        print(f"strategy {strategy}, seed {seed}: {' -> '.join(config.order)}")
        print(f"\n{run(config, strategy, seed, data, one)}\n\nwritten to {one}\n")


def _data(config: Config) -> list:
    """The pictures of all three tasks."""
    if config.data is not None:
        from scenarios.folder import read_folder

        return [read_folder(config.data, task) for task in Task]
    from scenarios.embedded import embedded_data

    print(
        "The embedded data set: drawn scenes, which show forgetting but say nothing about photographs. "
        "For real pictures, run python -m onehead_avl.prepare --root data once, and give --data data."
    )
    return [embedded_data(task, size=config.image_size) for task in Task]


def _new_folder(folder: Path) -> Path:
    """Make a run's folder, refusing one that already holds something."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"--output expects a new or empty folder, but {folder} holds files; choose another")
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise OutputError(
            f"--output expects a folder that can be written, but {folder} cannot ({error.strerror}); choose another"
        ) from None
    return folder


if __name__ == "__main__":
    sys.exit(run_command(main))
