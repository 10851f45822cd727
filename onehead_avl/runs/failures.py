"""What the machine refuses while a run is under way, in sentences."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onehead_avl.errors import OutputError, TrainingError

_NOT_WRITABLE = (errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)


@contextmanager
def clear_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk and memory that ran out into errors that say how to go on; all else passes as it is."""
    try:
        yield
    except OutputError as error:
        raise OutputError(f"{error}; then continue with the same command and --resume") from None
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise  # of somebody's strategy
        raise OutputError(
            f"{folder} could not be written ({error.strerror or error}); free the disk or mend its permissions, and "
            "continue with the same command and --resume"
        ) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
            raise TrainingError(
                "memory ran out; free some and continue with the same command and --resume, or begin anew with a "
                "smaller --batch-size or --image-size"
            ) from error
        raise
