"""What each of several processes does in a test: each strategy learns alone and together, and tells how far apart."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torchvision

from onehead_avl.runs.config import Config
from onehead_avl.runs.preparation import prepare
from onehead_avl.system.memory import keep_freed_memory
from onehead_avl.system.ranks import RANKS
from scenarios.drawn.embedded import COUNTS
from scenarios.reading import read_stream

COUNTS.update(dict.fromkeys(COUNTS, 10))


def weights(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def in_double_precision(model):
    """Have a network compute so: rounding grows with every step, as it has kinks."""
    grow = model.grow
    model.double().grow = lambda part: grow(part).double()
    model.backbone.register_forward_pre_hook(lambda backbone, images: images[0].double())


def learn(name, stream, folder):
    """The weights before and after a stream was learned."""
    options = (
        "--batch-size",
        "6",
        "--replay-batch",
        "3",
        "--replay-size",
        "6",
        "--image-size",
        "32",
        "--epochs",
        "1",
        "--order",
        "seg",
        "det",
    )
    if name == "onehead":  # which keeps the features of a pretrained backbone
        torch.manual_seed(0)
        torch.save(torchvision.models.mobilenet_v3_small().state_dict(), folder / "start.pth")
        options += ("--backbone-weights", str(folder / "start.pth"))
    config = Config.from_arguments([*options, "--strategy", name, "--device", "cpu"]).resolved()
    prepared = prepare(config.but(output=folder), stream(config))
    strategy = prepared.strategy
    in_double_precision(strategy.model)
    start = weights(strategy.model)
    strategy.train_epochs = 1
    experiences = list(prepared.benchmark.train_stream)
    for experience in [experiences] if name == "joint" else experiences:
        strategy.train(experience, num_workers=0)
    return start, weights(strategy.model)


def main():
    """Print by how much of what was learned each strategy's weights differ, and whether they do between processes."""
    torch.set_num_threads(1)
    keep_freed_memory()
    read = {}

    def stream(config):
        return read.setdefault("stream", read_stream(config.placed(), lambda line: None))

    with TemporaryDirectory() as folder:
        names = sys.argv[1:]
        alone = [learn(name, stream, Path(folder)) for name in names]
        found = {}
        with RANKS.joined(torch.device("cpu")):
            for name, (start, one) in zip(names, alone, strict=True):
                _, two = learn(name, stream, Path(folder))
                kept = len(start)  # a network that grew has more of them
                away = float((two - one).norm() / (one[:kept] - start).norm())
                both = RANKS.gather(two[None])
                found[name] = (away, bool(torch.equal(both[0], both[1])))
            if RANKS.rank == 0:
                print(json.dumps(found))


if __name__ == "__main__":
    main()
