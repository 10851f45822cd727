"""The errors a user can cause. Commands print them as one sentence, without a traceback."""

from typing import TypeVar


class OneHeadError(Exception):
    """Something a user can mend; the message says what was expected, what was found and what to do.

    ``exit_status`` is what a command returns to the shell: 1, a failure.

    Attributes:
        shown: An error of somebody's own code, the traceback of which is shown under the message; ``None`` for
            all that the message alone explains.
    """

    exit_status = 1
    shown: BaseException | None = None

    def showing(self: "Known", error: BaseException) -> "Known":
        """This error, with the traceback of another one."""
        self.shown = error
        return self


Known = TypeVar("Known", bound=OneHeadError)


class UsageError(OneHeadError):
    """The command line itself is wrong: an unknown name, an impossible value, a folder that is not there."""

    exit_status = 2


class DataError(OneHeadError):
    """A data set, or a file of it, cannot be used."""


class WeightsError(OneHeadError):
    """Weights cannot be fetched, read, or fitted to the model."""


class DownloadError(OneHeadError):
    """An archive cannot be fetched."""


class OutputError(OneHeadError):
    """A folder cannot be written."""


class TrainingError(OneHeadError):
    """Training did not end with a usable network."""


class Stopped(OneHeadError):
    """A run was asked to stop, and did so where it can be continued."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.exit_status = status
