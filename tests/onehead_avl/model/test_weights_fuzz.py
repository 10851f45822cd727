"""Hundreds of damaged weights files, drawn from seeds: each is refused with a sentence, or loaded completely.

``pytest -n 0 -s tests/onehead_avl/model/test_weights_fuzz.py`` shows how the cases of each kind ended.
"""

import io
import json
import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from onehead_avl.errors import WeightsError
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.backbone import Backbone, load_backbone
from onehead_avl.model.backbones import build_backbone
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import load_model, save_model

LAYOUT = layout_of_heads(
    [
        ("seg", "seg", kind_of("segmentation"), ("ground", "cat")),
        ("det", "det", kind_of("detection"), ("car",)),
        ("cls", "cls", kind_of("classification"), ("tench", "horn", "saw")),
    ]
)
CASES = 120  # of each kind of file


class Trap:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with a whole file of each kind; ``trapped`` runs code where a pickle is read without care."""
    folder = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    save_model(folder / "network", OneHeadNet(LAYOUT, channels=8), LAYOUT, 64, "mine")
    state = build_backbone("mobilenet_v3_small", pretrained=True).state_dict()
    save_file(state, folder / "tensors")
    torch.save(state, folder / "pickle")
    torch.save(state, folder / "old_pickle", _use_new_zipfile_serialization=False)
    torch.save({**state, "trap": Trap(folder / "was_run")}, folder / "trapped")
    return folder


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """A backbone to load into; building one for each case would take most of the time."""
    return build_backbone("mobilenet_v3_small", pretrained=True)


def damaged_safetensors(rng: Random, content: bytes, damage: Callable) -> bytes:
    """Damage the header half of the time: it is a small part of the file, and all of its structure."""
    kind = rng.choice(["bytes", "header", "header", "entry", "entry", "about", "about"])
    (length,) = struct.unpack("<Q", content[:8])
    header, data = content[8 : 8 + length], content[8 + length :]
    if kind == "bytes":
        return damage(rng, content)
    if kind == "header":
        header = damage(rng, header)
    else:
        entries = json.loads(header)
        if kind == "entry":
            entry = entries[rng.choice([name for name in entries if name != "__metadata__"])]
            entry[rng.choice(list(entry))] = rng.choice(
                ["F64", "I64", "BOOL", "F32", [], [0, 4], [8, 4], [2**62, 2**62], [2**63, 1], -1, None, "F4"]
            )
        elif "__metadata__" in entries:
            about = json.loads(entries["__metadata__"]["onehead_avl"])
            odd = [None, -1, 0, 1, 8, 16, 10**6, 10**12, 10**400, 1.5, True, math.nan, "", "cat", [], ["a"], {}, [1]]
            inner = rng.choice(about["experiences"]) if rng.random() < 0.4 else about
            inner[rng.choice(list(inner))] = rng.choice(odd)
            entries["__metadata__"]["onehead_avl"] = json.dumps(about)
        header = json.dumps(entries).encode()
    length = len(header) if rng.random() < 0.9 else rng.choice([0, 7, 2**40, 2**63, len(header) + 1])
    return struct.pack("<Q", length) + header + data


def damaged_old_pickle(rng: Random, content: bytes, damage: Callable) -> bytes:
    """Damage the pickle in front of the numbers."""
    return damage(rng, content[:20_000]) + content[20_000:]


def damaged_pickle(rng: Random, content: bytes, damage: Callable) -> bytes:
    """Damage the pickle within the archive, or the archive."""
    if rng.random() < 0.3:
        return damage(rng, content)
    stored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stored, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, damage(rng, part) if name.endswith("data.pkl") else part)
    return stored.getvalue()


def load_network(path: Path, backbone: Backbone) -> nn.Module:
    saved = load_model(path)
    assert [len(part.classes) for part in saved.model.layout.parts] == [2, 1, 3]  # as the tensors have channels
    assert saved.image_size % 32 == 0
    with torch.no_grad():
        assert saved.model(torch.zeros(1, 3, 32, 32)).shape == (1, 11, 4, 4)
    return saved.model


def fill_backbone(path: Path, backbone: Backbone) -> nn.Module:
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.fill_(math.nan)  # what is not loaded is found out
    load_backbone(backbone, str(path))
    return backbone


KINDS = {
    "network": (".safetensors", damaged_safetensors, load_network),
    "tensors": (".safetensors", damaged_safetensors, fill_backbone),
    "pickle": (".pth", damaged_pickle, fill_backbone),
    "old_pickle": (".pth", damaged_old_pickle, fill_backbone),
    "trapped": (".pth", damaged_pickle, fill_backbone),
}


@pytest.mark.parametrize("kind", KINDS)
def test_broken_weights_are_refused_or_complete(tmp_path, whole, backbone, damage, no_hang, kind):
    suffix, spoil, load = KINDS[kind]
    content, path, messages, accepted = (whole / kind).read_bytes(), tmp_path / f"x{suffix}", [], 0
    for seed in range(CASES):
        path.write_bytes(spoil(Random(seed), content, damage))
        try:
            with no_hang():
                module = load(path, backbone)
        except WeightsError as error:
            messages.append(str(error))
        except Exception as error:
            raise AssertionError(f"{kind}, seed {seed}") from error
        else:
            accepted += 1
            assert all(tensor.isfinite().all() for tensor in module.state_dict().values())
    print(f"\n{kind}: {CASES} cases, {len(messages)} refused, {accepted} accepted")
    assert all(str(path) in message and "\n" not in message and len(message) < 1000 for message in messages)
    assert len(messages) + accepted == CASES
    assert len(messages) > CASES // 4
    assert not (whole / "was_run").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
