"""What the numbers of a run depend on beside its configuration, as checksums."""

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor

import onehead_avl
from onehead_avl.runs.config import Resolved
from onehead_avl.system.device import environment
from scenarios.experience import Stream
from scenarios.samples.sample import Sample
from strategies.hyperparameters import options_of

_SOURCES = ("onehead_avl", "scenarios", "strategies")


def identity(config: Resolved, stream: Stream, device: torch.device) -> dict:
    """All that the results of a run depend on beside its command line; a run that is continued must have the same."""
    return {
        "the data": digest_of(stream),
        "the program": digest_of_code(),
        **{f"the {name}": value for name, value in environment(device).items()},
        "the strategy's options": json.dumps(options_of([*config.strategy, *config.imported], config.set)[0]),
        "the backbone's weights": digest_of_file(config.backbone_weights),
        "the weights to begin with": digest_of_file(str(config.start_from)),
    }


def digest_of(stream: Stream) -> str:
    """A checksum of the experiences with their images and annotations, wherever they lie."""
    digest = hashlib.blake2b()
    for each in stream.experiences:
        about = (each.name, each.kind.path, each.head, each.classes, len(each.train), len(each.val))
        digest.update(repr(about).encode())
        for sample in [*each.train, *each.val]:
            _add(digest, sample)
    return digest.hexdigest()


def _add(digest, sample: Sample) -> None:
    for name, value in {"image": sample.image, **sample.annotation}.items():
        digest.update(name.encode())
        if isinstance(value, Tensor):
            digest.update(repr(tuple(value.shape)).encode())
            digest.update(value.contiguous().numpy())
        else:
            digest.update(repr(value).encode())


def digest_of_file(path: str) -> str:
    """A checksum of a file's bytes; what names no file stands for itself."""
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else path


def digest_of_code() -> str:
    """A checksum of this project's sources: another version may give other numbers."""
    digest = hashlib.blake2b()
    root = Path(onehead_avl.__file__).parents[1]
    for package in _SOURCES:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
