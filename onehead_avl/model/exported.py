"""A trained network as a file that other programs run, without this package: ONNX, or a program of ``torch.export``.

Both take images ``(B, 3, H, W)`` uint8 RGB of any number and of any size that is a multiple of 32 (a program:
from 64), and emit ``<head>_<name>`` for each of the ``outputs`` of the kind of each head.
"""

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from onehead_avl.errors import UsageError, WeightsError
from onehead_avl.model.input import IMAGENET_MEAN, IMAGENET_STD
from onehead_avl.model.layout import Layout
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import SavedModel
from onehead_avl.system.files import replacing

ABOUT = "onehead_avl"
"""The key under which a file says what it is, as JSON."""

TOLERANCE = 1e-4
"""By how much an exported network may differ from the one it was made of; where the largest value of an output is more
than 1, relative to that."""

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
_STEP = 32
_LEAST_STEPS, _MOST_STEPS = 2, 1024  # torch.export takes sides of one step for fixed ones, and asks for a bound


class Exportable(nn.Module):
    """A network with what comes before and after it: it takes pixels, and what it emits needs no explanation.

    Args:
        model: Emits the channels of the layout.
        layout: Their meaning.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, layout: Layout) -> None:
        super().__init__()
        self.model = model
        self.heads = layout.heads
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD)[:, None, None])

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map images ``(B, 3, H, W)`` uint8 to what each head says of them, by ``<head>_<name>``."""
        output = self.model((images.float() - self.mean) / self.std)
        return {
            f"{part.head}_{name}": value
            for part in self.heads
            for name, value in part.kind.outputs(part.of(output)).items()
        }


def export(saved: SavedModel, path: Path) -> None:
    """Write a network as a file, once the file is known to say what the network says.

    Args:
        saved: The network.
        path: Ends in one of :data:`FORMATS`.

    Raises:
        UsageError: It ends otherwise, or a package is missing.
        WeightsError: The network cannot be exported, or says something else then.
        OutputError: The file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"--output expects a file that ends in {' or '.join(FORMATS)}, got {path}; name it so")
    if path.suffix == ".onnx" and (missing := [name for name in _PACKAGES if find_spec(name) is None]):
        raise UsageError(
            f"{path}: expected the packages that ONNX needs, {', '.join(missing)} is missing; "
            'install them with pip install -e ".[export]"'
        )
    write, run = FORMATS[path.suffix]
    network = copy.deepcopy(saved.model).cpu()
    if isinstance(network, OneHeadNet):
        network.precision = "float32"  # which is what every program computes with
    model = Exportable(network, saved.layout).eval()
    with replacing(path) as temporary:
        try:
            with torch.no_grad(), _quiet():
                write(model, about(saved), temporary)
                _require_same(model, lambda images: run(temporary, images))
        except (OSError, WeightsError):
            raise
        except Exception as error:  # exporters fail in any way on a network that they do not know
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise WeightsError(
                f"expected a network that a file {path.suffix} can hold, found one that cannot be exported "
                f"({type(error).__name__}: {reason}); python -m onehead_avl.predict uses it as it is"
            ) from error


def about(saved: SavedModel) -> dict[str, Any]:
    """What a file says of itself: the stream, the size in training, and kind and classes of each head."""
    heads = {part.head: {"kind": part.kind.path, "classes": list(part.classes)} for part in saved.layout.heads}
    return {"stream": saved.stream, "image_size": saved.image_size, "heads": heads}


def _write_onnx(model: Exportable, told: Mapping[str, Any], path: Path) -> None:
    images = _noise(2, 3, 2)
    program = torch.onnx.export(
        model,
        (images,),
        dynamo=True,
        input_names=["images"],
        output_names=list(model(images)),
        dynamic_shapes={"images": {0: "batch", 2: "height", 3: "width"}},
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props[ABOUT] = json.dumps(told)
    program.save(path)


def _run_onnx(path: Path, images: Tensor) -> dict[str, Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(torch.from_numpy, session.run(names, {"images": images.numpy()})), strict=True))


def _write_program(model: Exportable, told: Mapping[str, Any], path: Path) -> None:
    rows, columns = (Dim(name, min=_LEAST_STEPS, max=_MOST_STEPS) for name in ("rows", "columns"))
    sizes = {0: Dim("batch"), 2: _STEP * rows, 3: _STEP * columns}
    program = torch.export.export(model, (_noise(2, 3, 2),), dynamic_shapes={"images": sizes})
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={ABOUT: json.dumps(told)})
    path.write_bytes(content.getvalue())


def _run_program(path: Path, images: Tensor) -> dict[str, Tensor]:
    return torch.export.load(io.BytesIO(path.read_bytes())).module()(images)


Write = Callable[[Exportable, Mapping[str, Any], Path], None]
Run = Callable[[Path, Tensor], dict[str, Tensor]]

FORMATS: dict[str, tuple[Write, Run]] = {".onnx": (_write_onnx, _run_onnx), ".pt2": (_write_program, _run_program)}
"""How the names of the files end, what writes such a file, and what runs it."""


def _require_same(model: Exportable, run: Callable[[Tensor], Mapping[str, Tensor]]) -> None:
    """Compare a written network with the original, on other sizes than it was written with."""
    for images in (_noise(1, 5, 4), _noise(3, 2, 7)):
        expected, found = model(images), run(images)
        for name, value in expected.items():
            limit = TOLERANCE * value.abs().max().clamp(min=1)
            away = (found[name] - value).abs()
            if found[name].shape != value.shape or not (away <= limit).all():
                raise WeightsError(
                    f"expected an exported network that says what the original says, found {name} to differ by "
                    f"{away.max():.1e}; python -m onehead_avl.predict uses it as it is"
                )


def _noise(batch: int, rows: int, columns: int) -> Tensor:
    """Images of random pixels, some steps of 32 high and wide."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, rows * _STEP, columns * _STEP), dtype=torch.uint8, generator=generator)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters say of their own insides away."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
