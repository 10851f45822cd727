"""What a report shows of the last evaluation beside its values: ``details.json``."""

from collections.abc import Mapping
from typing import Any

from onehead_avl.kinds.kind import Metric

FILE = "details.json"


def details_of(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """The curves of precision against recall, and what classes were taken for, as JSON can hold them.

    Args:
        metrics: Of each experience by its name, as its last evaluation counted it.
    """
    return {
        name: {
            "precision_recall": {called: list(curve) for called, curve in metric.precision_recall().items()},
            "confusion": metric.confusion(),
        }
        for name, metric in metrics.items()
    }
