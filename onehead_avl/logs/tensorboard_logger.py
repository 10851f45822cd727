"""Every value that any metric emits, for TensorBoard: ``tensorboard --logdir FOLDER``."""

import io
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avalanche.evaluation.metric_results import MetricValue
from avalanche.training.templates import SupervisedTemplate
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import Tensor
from torch.utils.tensorboard.summary import text
from torchvision.transforms.v2.functional import to_pil_image

from onehead_avl.evaluation.shown import ShownPredictions
from onehead_avl.logs.growing import GrowingLog
from onehead_avl.logs.named import EVENTS

SHOWN = 2
"""Images of each experience that are shown after each evaluation."""


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

    def after_eval(self, strategy: SupervisedTemplate, metric_values: Sequence[MetricValue], **kwargs):
        """Show what is predicted for the first images that a report shows, and bring the file up to date."""
        counts: Counter[str] = Counter()
        for plugin in getattr(strategy, "plugins", ()):
            if isinstance(plugin, ShownPredictions):
                for name, drawn in plugin.drawn(SHOWN):
                    counts[name] += 1
                    value = Summary.Value(tag=f"{name}/{counts[name]}", image=_picture(drawn))
                    self._write(step=strategy.clock.train_iterations, summary=Summary(value=[value]))
        super().after_eval(strategy, metric_values, **kwargs)

    def _write(self, **event: Any) -> None:
        self._records.write(Event(wall_time=time.time(), **event).SerializeToString())


def _picture(image: Tensor) -> Summary.Image:
    """An image ``(3, H, W)`` uint8 as TensorBoard keeps it."""
    file = io.BytesIO()
    to_pil_image(image).save(file, format="JPEG", quality=85)
    _, height, width = image.shape
    return Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=file.getvalue())
