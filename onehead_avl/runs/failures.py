"""What goes wrong while a run is under way, in sentences: the machine, and somebody's own code."""

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from onehead_avl.errors import DataError, OneHeadError, OutputError, TrainingError
from onehead_avl.system.blame import place_of

_NOT_WRITABLE = (errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)
_WORKER = re.compile(r"Caught DataError in DataLoader worker process .*\nonehead_avl\.errors\.DataError: ", re.DOTALL)
"""What PyTorch puts before the sentence of an error that a process which loads images raised."""

_OUT_OF_MEMORY = re.compile("allocate memory|out of memory")


@contextmanager
def clear_errors(folder: Path, stage: Callable[[], str]) -> Iterator[None]:
    """Turn every error into one that says how to go on.

    Args:
        folder: Of the run.
        stage: Tells where the run is.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
        DataError: A picture was changed since the data were checked.
        TrainingError: Memory ran out, or anybody's code raised an error, whose traceback is shown.
    """
    try:
        yield
    except OutputError as error:
        raise OutputError(f"{error}; then continue with the same command and --resume") from None
    except DataError as error:
        raise DataError(_WORKER.sub("", str(error)).strip()) from None
    except OneHeadError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
            raise OutputError(
                f"{folder} could not be written ({error.strerror or error}); free the disk or mend its permissions, "
                "and continue with the same command and --resume"
            ) from error
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error))):
            raise TrainingError(
                "memory ran out; free some and continue with the same command and --resume, or begin anew with a "
                "smaller --batch-size or --image-size"
            ) from error
        raise TrainingError(
            f"{type(error).__name__} in {place_of(error)} {stage()} ({error}); logs and checkpoints up to there are "
            f"kept in {folder}: correct the code, of which this is the traceback, and begin anew in another folder"
        ).showing(error) from error
