"""Many runs at a time, by Dask ``distributed``: it says which process does which run, and has lost ones done again.

What is computed where changes no number: a run is a process of its own, continues from its checkpoint, and its results
are files, which the process that asked for the runs reads.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from uuid import uuid4

import dask
from distributed import Client, Event, Future, Nanny, Scheduler, SpecCluster, get_client, wait
from distributed.comm import CommClosedError
from distributed.security import Security
from tqdm import tqdm

from onehead_avl.errors import Stopped, TrainingError, UsageError
from onehead_avl.runs.task import Task, do
from onehead_avl.system.leashed import GRACE
from onehead_avl.system.stopping import STOP

_PATIENCE = 60
"""Seconds to wait for a scheduler."""

_LOOK = 1
"""Seconds between looks at what has ended."""

_QUIET = 50
"""A level of logging above all that Dask says: what matters is said here."""


@contextmanager
def local_cluster(jobs: int, gpus: int) -> Iterator[Client]:
    """Start processes of this machine that do runs, one run each at a time.

    They speak by TLS with certificates of their own, so that nobody else on the machine has them run anything.

    Args:
        jobs: How many.
        gpus: How many GPUs they share: each process sees one.
    """
    security = Security.temporary()
    here = {"security": security, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    workers = {
        i: {
            "cls": Nanny,
            "options": {
                **here,
                "nthreads": 1,
                "memory_limit": 0,
                "silence_logs": _QUIET,
                "env": {"CUDA_VISIBLE_DEVICES": str(i % gpus)} if gpus else {},
            },
        }
        for i in range(jobs)
    }
    scheduler = {"cls": Scheduler, "options": {**here, "dashboard": False, "port": 0}}
    settings = {
        "distributed.scheduler.allowed-failures": 1000,  # who dies says nothing of the run, a process of its own
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.nanny.pre-spawn-environ": {},  # which a nanny leaves in the environment of this process, too
    }
    with dask.config.set(settings):
        with _deaf_to_ctrl_c():
            cluster = SpecCluster(workers, scheduler, security=security, silence_logs=_QUIET)
        with cluster, Client(cluster) as client:
            yield client


@contextmanager
def remote_cluster(address: str) -> Iterator[Client]:
    """Ask a scheduler that somebody started.

    Raises:
        UsageError: The address is none.
        TrainingError: No scheduler answers there.
    """
    try:
        client = Client(address, timeout=_PATIENCE)
    except ValueError as error:
        raise UsageError(f"--scheduler expects an address such as tcp://host:8786, got {address} ({error})") from None
    except OSError as error:
        raise TrainingError(
            f"--scheduler {address}: expected a Dask scheduler, but none answers ({error}); start one with "
            "dask scheduler, and processes that do the runs with dask worker"
        ) from None
    with client:
        yield client


def do_all(
    tasks: Mapping[str, Task],
    after: Mapping[str, Sequence[str]],
    client: Client,
    ended: Callable[[str, str | None], None],
) -> None:
    """Have every task done by the processes of a cluster, and show how far they are.

    Args:
        tasks: By the name of the run; a task stands behind those that it waits for.
        after: The names of these, by name.
        client: Of the cluster.
        ended: Called with the name of a task that has ended and why it failed, ``None`` if it did not.

    Raises:
        Stopped: The process was asked to stop; what was under way has stopped at a checkpoint.
        TrainingError: The scheduler went away for good.
    """
    left = dict(tasks)
    with STOP.listening(), tqdm(total=len(tasks), unit="run", dynamic_ncols=True) as bar:

        def note(name: str, reason: str | None) -> None:
            left.pop(name)
            with tqdm.external_write_mode():
                ended(name, reason)
            bar.update()

        while left:
            session = uuid4().hex
            try:
                _do_some(dict(left), after, client, session, note, bar)
            except Exception as error:
                if client.status == "running" and not isinstance(error, (CancelledError, CommClosedError)):
                    raise
                bar.write(f"the scheduler went away; waiting {_PATIENCE} s for it", file=sys.stderr)
                _wait_for_scheduler(client)
                _stop(client, session)
                time.sleep(GRACE)  # what was under way has ended after that


def _do_some(
    tasks: Mapping[str, Task],
    after: Mapping[str, Sequence[str]],
    client: Client,
    session: str,
    note: Callable[[str, str | None], None],
    bar: tqdm,
) -> None:
    """Have tasks done as long as the scheduler is there.

    No more are asked for than there are processes to do them: Dask, which does not know how long they take, would have
    some wait for a process that is busy while another one has nothing to do.
    """
    left, doing = list(tasks), dict[Future, str]()
    while left or doing:
        for name in _ready(left, after, set(doing.values()))[: max(0, _room(client) - len(doing))]:
            left.remove(name)
            doing[client.submit(_do, tasks[name], session, key=f"{name}-{session}")] = name
        with suppress(asyncio.TimeoutError):  # which is another one before Python 3.11
            for future in wait(set(doing), timeout=_LOOK, return_when="FIRST_COMPLETED").done:
                error = future.exception()
                reason = future.result() if error is None else f"{type(error).__name__}: {error}"
                note(doing.pop(future), reason)
        if STOP.requested:
            _stop(client, session)
            wait(set(doing))
            raise Stopped(
                f"stopped by {STOP.requested}; runs under way stopped at a checkpoint, and the same command goes on",
                STOP.status,
            )
        _show(client, {str(future.key): name for future, name in doing.items()}, bar)


def _ready(left: Sequence[str], after: Mapping[str, Sequence[str]], doing: Collection[str]) -> list[str]:
    """The tasks that wait for none that has not ended."""
    return [name for name in left if not {*left, *doing} & set(after.get(name, ()))]


def _room(client: Client) -> int:
    """How many tasks the processes of a cluster can do at a time; one where there are none yet."""
    return max(1, sum(client.nthreads().values()))


def _do(task: Task, session: str) -> str | None:
    """Do a task in a process of a cluster."""
    stop = Event(session, client=get_client())

    def is_to_stop() -> bool:
        try:
            return stop.is_set()
        except Exception:  # a scheduler that is slow; if there is none, this process ends, and its task with it
            return False

    return do(task, is_to_stop)


def _stop(client: Client, session: str) -> None:
    Event(session, client=client).set()


def _wait_for_scheduler(client: Client) -> None:
    """Wait until a client has found its scheduler again.

    Raises:
        TrainingError: It did not.
    """
    until = time.monotonic() + _PATIENCE
    while client.status != "running":
        if client.status == "closed" or time.monotonic() > until:
            raise TrainingError(
                f"the scheduler went away, and was not there again within {_PATIENCE} s; the same command goes on"
            )
        time.sleep(_LOOK)


def _show(client: Client, names: Mapping[str, str], bar: tqdm) -> None:
    """Show which runs the processes of a cluster are at, and where."""
    at = client.processing()
    doing = sorted(f"{names[key]} ({_host(worker)})" for worker, keys in at.items() for key in keys[:1] if key in names)
    before, bar.postfix = bar.postfix, ", ".join(doing) if at else "no process is there to do runs"
    if bar.postfix != before or sys.stderr.isatty():  # a file of a line a second would be nothing to read
        bar.refresh()


def _host(address: str) -> str:
    return address.partition("://")[2].rpartition(":")[0]


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Have processes that are started meanwhile not hear Ctrl-C, which is for the process that asks for the runs."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
