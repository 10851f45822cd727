"""``python -m onehead_avl.benchmark``: learn tasks of different kinds, one after the other, and report what is left."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

from onehead_avl.command import importing, run_command
from onehead_avl.errors import OutputError, UsageError
from onehead_avl.runs.config import Config
from onehead_avl.runs.soundness import require_sound
from onehead_avl.system.launched import is_first, processes, silent
from onehead_avl.system.lock import RUNNING, exclusive
from onehead_avl.system.memory import keep_freed_memory
from strategies.hyperparameters import options_of
from strategies.named import problems_of


def main() -> None:
    """Run a strategy, or compare several, or only look at a stream."""
    if not is_first():
        _follow()
        return
    config = Config.from_arguments()
    require_right(config)
    folder = config.output or Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")

    may_hold = "config.json" if config.is_comparison or config.resume else None
    with _claimed(folder, may_hold=None if config.check else may_hold):
        _run(config.but(output=folder), folder)


def _follow() -> None:
    """Learn together with the first process of ``torchrun``, which alone speaks and writes."""
    with silent() as folder:
        config = Config.from_arguments()
        require_right(config)
        if config.resume and config.output is not None and config.output.is_dir():
            shutil.copytree(config.output, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(RUNNING))
        _run(config.but(output=folder, logger=()), folder)


def require_right(config: Config) -> None:
    """Refuse a configuration of which something is wrong by itself.

    Raises:
        UsageError: Something is; all of it is named.
    """
    _, wrong = options_of([*config.strategy, *config.imported], config.set)
    require_sound(config, [problem for name in config.strategy for problem in problems_of(name)] + wrong)


def _run(config: Config, folder: Path) -> None:
    """Do what the command line asks for, in a folder that is this process's own."""
    # Slow to import, and not needed to refuse what is wrong with a command line by itself.
    with importing("torch and Avalanche"):
        from onehead_avl.model.backbones import require_backbone
        from onehead_avl.runs.baselines import BaselineCache
        from onehead_avl.runs.compare import compare_strategies, run_and_keep
        from onehead_avl.runs.identity import Identities
        from onehead_avl.runs.look import look
        from onehead_avl.runs.plan import record_in, require_same_run
        from onehead_avl.system.device import choose_device
        from onehead_avl.system.ranks import RANKS
        from onehead_avl.system.threads import compute_with
        from scenarios.reading import read_stream

    config = config.but(resume=config.resume or config.is_parallel)  # another process goes on with what one left
    compute_with(config.threads)
    keep_freed_memory()
    resolved = config.in_each_order()[0].resolved()
    if config.resume and not config.is_comparison:
        require_same_run(folder, resolved)
        if record_in(folder) is not None:
            print(f"{folder} holds a finished run: there is nothing to continue")
            return
    if not config.check:
        require_backbone(config.backbone)
        choose_device(config.device)
    description = resolved.placed()
    if description.is_drawn and description.file is None:
        print(
            "The embedded data set: drawn scenes, which show forgetting but say nothing about photographs. "
            "For real images, run python -m onehead_avl.prepare --root data once, and give --data data."
        )
    stream = read_stream(
        description,
        tell=lambda line: print(f"note: {line}", file=sys.stderr),
        memory=None if config.memory is None else int(config.memory * 1e9),
    )
    if config.check:
        print(f"\n{look(stream, folder)}\n\nwritten to {folder}\n")
        return
    identities = Identities(stream)
    cache = BaselineCache(stream.name, identities)
    if config.is_comparison:
        compare_strategies(config, folder, stream, identities, cache)
        return
    with RANKS.joined(choose_device(config.device)) if processes() > 1 else nullcontext():
        tables = run_and_keep(resolved, stream, folder, identities, cache)
    print(f"\n{tables}\n\nwritten to {folder}\n")


@contextmanager
def _claimed(folder: Path, may_hold: str | None) -> Iterator[None]:
    """Make a folder and keep others out of it, refusing one with files unless ``may_hold`` is among them.

    Raises:
        UsageError: It holds something.
        OutputError: It cannot be written, or another process is writing it.
    """
    work = folder / RUNNING
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
