import json

import pytest
import torch

from onehead_avl.kinds.kind import kind_of
from onehead_avl.report.details import details_of
from onehead_avl.target import Target


def test_what_each_metric_tells_is_kept_as_json_can_hold_it(blank, place, layout):
    metrics = {name: part.kind.metric(part.classes) for name, part in zip(layout.names, layout.parts, strict=True)}
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (4, 4, 20, 20), 2)
    output[0, layout.parts[2].start + 3] = 9
    targets = (
        {"mask": torch.ones(32, 32, dtype=torch.uint8)},
        {"boxes": torch.tensor([[4.0, 4, 20, 20]]), "labels": torch.tensor([2]), "crowd": torch.tensor([False])},
        {"label": 1},
    )
    for task, ((name, metric), annotation) in enumerate(zip(metrics.items(), targets, strict=True)):
        metric.update(layout.parts[task].of(output), Target.single(task, (32, 32), annotation))
        assert name in layout.names
    found = json.loads(json.dumps(details_of(metrics)))
    assert found["det"] == {"precision_recall": {"det2": [pytest.approx(1)] * 101}, "confusion": []}
    assert found["cls"]["confusion"] == [[0] * 6, [0, 0, 0, 1, 0, 0], *[[0] * 6] * 4]
    assert found["seg"]["confusion"] == [[0] * 4, [1024, 0, 0, 0], [0] * 4, [0] * 4]
    assert found["seg"]["precision_recall"] == {}


def test_a_metric_that_counted_nothing_tells_nothing():
    metric = kind_of("detection").metric(["a"])
    assert details_of({"det": metric}) == {"det": {"precision_recall": {}, "confusion": []}}
