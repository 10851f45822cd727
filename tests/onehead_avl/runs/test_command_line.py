import shlex

import pytest

from onehead_avl.runs.command_line import command_of, words_of
from onehead_avl.runs.config import Config


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--strategy", "naive", "ewc", "--seeds", "0", "1", "--set", "ewc.lambda=1,10"],
        ["--data", "a folder", "--order", "cls", "seg", "--epochs", "3", "4", "--keep-stages"],
        ["--stream", "split6", "--holdout", "0.2", "--early-stopping", "5", "--device", "cpu"],
    ],
)
def test_the_command_of_a_configuration_gives_it_again(words):
    config = Config.from_arguments(words)
    command = command_of(config.as_dict())
    program, *again = shlex.split(command.replace("python -m onehead_avl.benchmark", "benchmark"))
    assert program == "benchmark"
    assert Config.from_arguments(again) == config


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--data", "a folder", "--memory", "0", "--workers", "0", "--resume", "--output", "runs/one", "--threads", "3"],
        [
            "--plugin",
            "mine:A",
            "mine:B",
            "--logger",
            "csv",
            "--model",
            "mine:Net",
            "--set",
            "A.x=1",
            "--eval-every",
            "2",
        ],
        ["--order", "cls", "seg", "--epochs", "3", "4", "--keep-stages", "--deterministic", "--device", "cuda"],
    ],
)
def test_words_say_all_of_a_configuration_whatever_is_usual(words):
    config = Config.from_arguments(words).resolved()
    again = Config.from_arguments(words_of(config))
    assert again.as_dict() == config.as_dict()
    assert again.resolved() == config
