"""What a process of a cluster does: one run, as a process of its own that ends with it. Importing it is cheap.

A fresh process has a fresh state of the GPU and a log of its own, and no other run sees what a strategy does to it.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import dask

from onehead_avl.system.lock import RUNNING, wait_until_free

_LOOK = 1.0
"""Seconds between looks at whether a run is to stop."""


@dataclass(frozen=True)
class Task:
    """A run for a process of a cluster.

    Attributes:
        command: What Python is asked to do. It continues what is in the folder, and ends when its standard input does.
        folder: Where the run is written; its log lies beside it.
        results: The file that the run writes at its end.
        directory: Where paths that are relative begin.
        threads: How many the run computes with.
    """

    command: tuple[str, ...]
    folder: Path
    results: Path
    directory: Path
    threads: int

    @property
    def log(self) -> Path:
        """What the run says."""
        return self.folder.parent / f"{self.folder.name}.log"


def do(task: Task, is_to_stop: Callable[[], bool]) -> str | None:
    """Do a run, unless it ended before: a cluster may ask for it again.

    Args:
        task: The run.
        is_to_stop: Asked again and again; the run then stops where it can be continued.

    Returns:
        Why it failed; ``None`` if it ended or was stopped.
    """
    if not task.directory.is_dir():
        return f"{socket.gethostname()} has no folder {task.directory}; the processes of a cluster need one file system"
    while not wait_until_free(task.folder / RUNNING, _LOOK):  # a run whose worker died may be about to stop
        if is_to_stop():
            return None
    if task.results.exists() or is_to_stop():
        return None
    with task.log.open("a", encoding="utf-8") as log:
        begin = log.tell()
        status, stopped = _wait(_started(task, log), is_to_stop)
    if status == 0 or stopped:
        return None
    return f"{_last_words(task.log.read_bytes()[begin:], status)} (see {task.log})"


def _started(task: Task, log: IO[str]) -> subprocess.Popen:
    own = {"OMP_NUM_THREADS": str(task.threads), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, *task.command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=task.directory,
        env={**_as_started_by_hand(os.environ), **own},
        start_new_session=True,  # Ctrl-C is for the process that asked for the runs
    )


def _as_started_by_hand(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what a nanny of Dask adds to it for its process.

    Among it is that freed memory goes back to the system at once, which takes half of the time of a training: see
    :func:`~onehead_avl.system.memory.keep_freed_memory`.
    """
    added = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    return {name: value for name, value in environment.items() if str(added.get(name)) != value}


def _wait(process: subprocess.Popen, is_to_stop: Callable[[], bool]) -> tuple[int, bool]:
    """Wait for the end of a run: its status, and whether it was asked to stop."""
    assert process.stdin is not None
    stopped = False
    while True:
        try:
            return process.wait(_LOOK), stopped
        except subprocess.TimeoutExpired:
            if not stopped and is_to_stop():
                stopped = True
                process.stdin.close()


def _last_words(said: bytes, status: int) -> str:
    """The error that a run ended with, or the last that it said."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    lines = [line.strip() for line in re.split(r"[\r\n]", said.decode("utf-8", "replace")) if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["the run said nothing"])[-1]
