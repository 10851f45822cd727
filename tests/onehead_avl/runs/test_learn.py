import pytest
import torch

import onehead_avl.runs.learn
from onehead_avl.errors import TrainingError
from onehead_avl.model.saved import load_model
from onehead_avl.runs.learn import require_finite


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(value):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    require_finite(model, 1)
    with torch.no_grad():
        model[1].weight[0, 1] = value
    with pytest.raises(TrainingError, match=r"after 4 epochs, .* in 1 tensors, the first of them 1\.weight; lower"):
        require_finite(model, 4)


def test_the_evaluation_before_training_changes_nothing_that_is_learned(trained, train, tmp_path, monkeypatch):
    monkeypatch.setattr(onehead_avl.runs.learn, "_untrained", lambda *arguments: {})
    answer = train(tmp_path / "run")
    assert answer.status == 0, answer.err
    logged = [(folder / "training_results.csv").read_text() for folder in (trained[0], tmp_path / "run")]
    assert logged[0] == logged[1]
    weights = [load_model(folder / "model.safetensors").model.state_dict() for folder in (trained[0], tmp_path / "run")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    evaluated = [(folder / "eval_results.csv").read_text().splitlines() for folder in (trained[0], tmp_path / "run")]
    assert evaluated[0][0] == evaluated[1][0]
    assert evaluated[0][4:] == evaluated[1][1:]  # but for the rows of the untrained network
