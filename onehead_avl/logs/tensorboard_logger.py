"""Every value that any metric emits, for TensorBoard: ``tensorboard --logdir FOLDER``."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import text

from onehead_avl.logs.growing import GrowingLog
from onehead_avl.logs.named import EVENTS


class TensorBoardLogger(GrowingLog):
    """Writes :data:`~onehead_avl.logs.named.EVENTS`, with the number of training iterations as the horizontal axis.

    Avalanche's own logger begins a second file when a run is continued, beside the one that holds what is about to be
    repeated, and writes in a thread. This one writes a single file that only grows, as the other logs of a run do, so
    that it is cut back with them. TensorBoard keeps single precision.

    Args:
        folder: An existing folder.
        run: The name of the run.
        config: Its configuration, shown as a text.
    """

    UNSAVED = frozenset(("file", "_records"))

    def __init__(self, folder: Path, run: str, config: Mapping[str, Any]) -> None:
        super().__init__((folder / EVENTS).open("ab"))
        self._records = RecordWriter(self.file)
        if self.file.tell() == 0:
            self._write(file_version="brain.Event:2")
            written = json.dumps(config, indent=2).replace("\n", "\n    ")
            self._write(summary=text("config", f"{run}\n\n    {written}"))  # four spaces: code, in Markdown

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        """Write a value; what is no number (a picture, say) is left out, as it is in ``metrics.csv``."""
        if isinstance(value, int | float):
            self._write(step=x_plot, summary=Summary(value=[Summary.Value(tag=name, simple_value=value)]))

    def _write(self, **event: Any) -> None:
        self._records.write(Event(wall_time=time.time(), **event).SerializeToString())
