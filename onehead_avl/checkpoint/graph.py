"""The state of a strategy with its plugins, metrics and loggers as plain values and tensors, which are safe to load.

A strategy is a graph of objects. The graph becomes a table with a row for each object, in which references are row
numbers, so that what was one object to two others is one object again. A table is restored into a strategy that was
built in the same way: objects that it has already are found by their path and changed in place; those that came since
(teachers, importances, memories) are made anew, if their class is known, without calling any of its code. Functions,
files, data loaders and data sets are not saved; the strategy that a table is restored into must have them.
"""

import copy
import io
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from enum import Enum
from functools import cache
from logging import Logger
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy
import torch
from avalanche.benchmarks import CLExperience, CLScenario, CLStream
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.data import _FlatDataWithTransform
from avalanche.benchmarks.utils.data_attribute import TaskLabels, TensorDataAttribute
from avalanche.benchmarks.utils.flat_data import ConstantSequence, FlatData, LazyIndices, LazyRange
from avalanche.benchmarks.utils.transform_groups import EmptyTransformGroups, TransformGroups
from avalanche.benchmarks.utils.transforms import MultiParamCompose, MultiParamTransformCallable, TupleTransform
from avalanche.evaluation.metrics.mean import Mean
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from avalanche.training.templates.base import BaseTemplate
from avalanche.training.utils import ParamData
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import default_collate

from onehead_avl.errors import OneHeadError
from onehead_avl.kinds.kind import Kind
from onehead_avl.model.layout import Layout
from onehead_avl.system.savable import FUNCTIONS, MADE, full_name, savable
from onehead_avl.target import Target, collate

Table = list[list]
"""A row is the kind of an object and what it holds; ``(n,)`` in it refers to row ``n``."""

_NOTHING = object()
_PLAIN = (type(None), bool, int, float, str, bytes, torch.device, torch.dtype, torch.Size)
_FACTORIES: dict[str, Any] = {made.__name__: made for made in (dict, list, set, int, float)}
_MAPPINGS: dict[str, Any] = {made.__name__: made for made in (dict, OrderedDict, defaultdict)}
_SEQUENCES: dict[str, Any] = {made.__name__: made for made in (list, set, deque)}
_OPTIMIZERS = {made.__name__: made for made in (SGD, AdamW)}
_KEPT = (
    FunctionType, BuiltinFunctionType, MethodType, ModuleType, type, io.IOBase, Path, DataLoader, Dataset, CLExperience,
    CLScenario, CLStream, Logger, Layout, Kind,
)  # fmt: skip
_BASES: dict[str, Any] = {
    "tensor": Tensor,
    "generator": torch.Generator,
    "optimizer": Optimizer,
    "array": numpy.ndarray,
    "enum": Enum,
    "function": (FunctionType, BuiltinFunctionType),
}
"""What the classes of objects of a kind are derived from."""
_UNCHANGING = (Layout, Kind)  # it does not matter whether what was two of them is one
_CSV_WRITER = "_csv.writer"

_OF_THE_MOMENT = frozenset(
    (
        *("experience", "adapted_dataset", "dataloader", "current_eval_stream", "_eval_streams", "_experiences"),
        *("mbatch", "mb_output", "loss", "batch_logits"),
    )
)
"""Attributes of a strategy that the stage, its epoch or its step sets anew."""

for each in (
    _FlatDataWithTransform, AvalancheDataset, ConstantSequence, DataAttribute, FlatData, Mean,
    ParamData, ReservoirSamplingBuffer, Target, TaskAwareSupervisedClassificationDataset, TaskLabels,
    TensorDataAttribute, LazyIndices, LazyRange, TransformGroups, MultiParamCompose, MultiParamTransformCallable,
    TupleTransform, collate, default_collate, torch.ones, torch.zeros,
):  # fmt: skip
    savable(each)


class Unsavable(OneHeadError):
    """A strategy holds something that cannot be saved, or lacks what a checkpoint expects of it."""


@cache
def _unsaved(made: type) -> frozenset[str]:
    """Attributes of objects of a class that are not saved: those of the moment, and what it declares as ``UNSAVED``."""
    return _OF_THE_MOMENT if issubclass(made, BaseTemplate) else getattr(made, "UNSAVED", frozenset())


@cache
def _kind(made: type) -> str:
    """What an object of a class is in a table: the kind of its row, or ``plain`` if it is written where it stands."""
    if issubclass(made, _PLAIN) and not issubclass(made, Enum):
        return "plain"
    if made is tuple:
        return "tuple"
    for kind, classes in (("sequence", _SEQUENCES), ("mapping", _MAPPINGS)):
        if made in classes.values():
            return kind
    for kind, base in _BASES.items():
        if issubclass(made, base):
            return kind
    if (issubclass(made, _KEPT) and full_name(made) not in MADE) or full_name(made) == _CSV_WRITER:
        return "kept"
    return "object"


def encode(root: Any) -> Table:
    """Make the table of everything that can be reached from an object; its tensors are the object's own, not copies.

    Raises:
        Unsavable: Something in it cannot be saved.
    """
    encoder = _Encoder()
    try:
        encoder.reference(root)
    except _Met as met:
        path = "".join([type(root).__name__, *reversed(met.steps)])
        raise Unsavable(f"{path} is a {full_name(met.found)}, which cannot be saved") from None
    return encoder.rows


class _Met(Exception):
    """Something that cannot be saved was met.

    Attributes:
        found: Its class.
        steps: How it is reached from the root, from the last step to the first.
    """

    def __init__(self, found: type) -> None:
        super().__init__()
        self.found = found
        self.steps: list[str] = []


class _Encoder:
    def __init__(self) -> None:
        self.rows: Table = []
        self._numbers: dict[int, int] = {}
        self._alive: list = []  # an id means something as long as its object lives

    def reference(self, value: Any) -> Any:
        made: type = type(value)
        kind = _kind(made)
        if kind == "plain":
            return value
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.rows)
            self._alive.append(value)
            row: list = []
            self.rows.append(row)
            row += getattr(self, f"_{kind}")(value)
        return (number,)

    def _tensor(self, value: Tensor) -> list:
        return ["tensor", value.detach(), isinstance(value, nn.Parameter), value.requires_grad and value.is_leaf]

    def _tuple(self, value: tuple) -> list:
        return ["tuple", self._all(value)]

    def _sequence(self, value: Any) -> list:
        return ["sequence", type(value).__name__, self._all(value)]

    def _mapping(self, value: Any) -> list:
        factory = getattr(value, "default_factory", None)
        items = [[self._step(key, " key", ""), self._step(each, "[]", key)] for key, each in value.items()]
        return ["mapping", type(value).__name__, getattr(factory, "__name__", None), items]

    def _generator(self, value: torch.Generator) -> list:
        return ["generator", value.get_state()]

    def _optimizer(self, value: Optimizer) -> list:
        held = {"groups": value.param_groups, "state": dict(value.state)}
        return ["optimizer", type(value).__name__, self.reference(held)]

    def _array(self, value: numpy.ndarray) -> list:
        return ["array", torch.from_numpy(value.copy())]

    def _enum(self, value: Enum) -> list:
        return ["enum", full_name(type(value)), value.value]

    def _function(self, value: Callable) -> list:
        return ["function", value.__name__] if FUNCTIONS.get(value.__name__) is value else self._kept(value)

    def _kept(self, value: Any) -> list:
        return ["kept", full_name(type(value))]

    def _object(self, value: Any) -> list:
        made: type = type(value)
        if not hasattr(value, "__dict__"):
            raise _Met(made)
        unsaved = _unsaved(made)
        held = {name: self._step(each, ".", name) for name, each in vars(value).items() if name not in unsaved}
        return ["object", full_name(made), held]

    def _all(self, values: Any) -> list:
        return [self._step(value, "[]", i) for i, value in enumerate(values)]

    def _step(self, value: Any, how: str, to: Any) -> Any:
        """Reference what an object leads to; say how, if it cannot be saved."""
        try:
            return self.reference(value)
        except _Met as met:
            met.steps.append(f"[{_shown(to)}]" if how == "[]" else f"{how}{to}")
            raise


def _shown(key: Any) -> Any:
    return key if isinstance(key, _PLAIN) else type(key).__name__


def restore(table: Table, root: Any, template: nn.Module) -> None:
    """Give an object the state of the one that a table was made of.

    Args:
        table: Made by :func:`encode`.
        root: An object that was built in the same way.
        template: A network; what are copies of it in the table become copies of it.

    Raises:
        Unsavable: The table expects something that the object does not have.
    """
    _Decoder(table, template).value((0,), root, type(root).__name__)


class _Decoder:
    def __init__(self, table: Table, template: nn.Module) -> None:
        self._table = table
        self._template = template
        self._made: dict[int, Any] = {}
        self._taken: dict[int, Any] = {}  # objects that are a row's already

    def value(self, encoded: Any, found: Any, path: str) -> Any:
        if type(encoded) is not tuple:  # a torch.Size is a tuple, too, and a plain value
            return encoded
        (number,) = encoded
        if number not in self._made:
            if id(found) in self._taken and not isinstance(found, _UNCHANGING):
                found = _NOTHING
            kind, *held = self._table[number]
            made = getattr(self, f"_{kind}")(number, found, path, *held)
            self._keep(number, made)
        return self._made[number]

    def _keep(self, number: int, value: Any) -> Any:
        self._made[number] = self._taken[id(value)] = value
        return value

    def _tensor(self, number: int, found: Any, path: str, data: Tensor, parameter: bool, learned: bool) -> Tensor:
        if not (
            isinstance(found, Tensor)
            and isinstance(found, nn.Parameter) == parameter
            and (found.shape, found.dtype, found.stride()) == (data.shape, data.dtype, data.stride())
            and not (found.requires_grad and not found.is_leaf)
        ):
            made = data.clone(memory_format=torch.preserve_format)
            return nn.Parameter(made, learned) if parameter else made.requires_grad_(learned)
        with torch.no_grad():
            found.copy_(data)
        return found.requires_grad_(learned)

    def _tuple(self, number: int, found: Any, path: str, values: list) -> tuple:
        old = found if isinstance(found, tuple) and len(found) == len(values) else [_NOTHING] * len(values)
        return tuple(self.value(v, o, f"{path}[{i}]") for i, (v, o) in enumerate(zip(values, old, strict=True)))

    def _sequence(self, number: int, found: Any, path: str, name: str, values: list) -> Any:
        made = self._keep(number, found if type(found) is _SEQUENCES[name] else _SEQUENCES[name]())
        old = list(made) if name != "set" else []
        old += [_NOTHING] * (len(values) - len(old))
        new = [self.value(each, old[i], f"{path}[{i}]") for i, each in enumerate(values)]
        made.clear()
        made.update(new) if name == "set" else made.extend(new)
        return made

    def _mapping(self, number: int, found: Any, path: str, name: str, factory: str | None, items: list) -> Any:
        if type(found) is _MAPPINGS[name]:
            made = found
        elif name == "defaultdict":
            if factory is not None and factory not in _FACTORIES:
                raise Unsavable(f"{path}: expected a dictionary with the factory {factory}, found none")
            made = defaultdict(None if factory is None else _FACTORIES[factory])
        else:
            made = _MAPPINGS[name]()
        self._keep(number, made)
        new = []
        for key, value in items:
            key = self.value(key, _NOTHING, f"{path} key")
            new.append((key, self.value(value, made.get(key, _NOTHING), f"{path}[{_shown(key)}]")))
        made.clear()
        made.update(new)
        return made

    def _generator(self, number: int, found: Any, path: str, state: Tensor) -> torch.Generator:
        made = found if isinstance(found, torch.Generator) else torch.Generator()
        made.set_state(state)
        return made

    def _optimizer(self, number: int, found: Any, path: str, name: str, encoded: tuple) -> Optimizer:
        same = type(found).__name__ == name and isinstance(found, Optimizer)
        held = self.value(encoded, {"groups": found.param_groups, "state": {}} if same else _NOTHING, path)
        if not same:
            if name not in _OPTIMIZERS:
                raise Unsavable(f"{path}: expected an optimizer {name}, found {_called(found)}")
            found = _OPTIMIZERS[name](held["groups"])
        found.param_groups = held["groups"]
        found.state = defaultdict(dict, held["state"])
        return found

    def _array(self, number: int, found: Any, path: str, data: Tensor) -> numpy.ndarray:
        return data.numpy().copy()

    def _enum(self, number: int, found: Any, path: str, name: str, value: Any) -> Enum:
        if name not in MADE:
            raise Unsavable(f"{path}: unknown enumeration {name}")
        return MADE[name](value)

    def _function(self, number: int, found: Any, path: str, name: str) -> Callable:
        if name not in FUNCTIONS:
            raise Unsavable(f"{path}: unknown function {name}")
        return FUNCTIONS[name]

    def _kept(self, number: int, found: Any, path: str, name: str) -> Any:
        if full_name(type(found)) != name:
            raise Unsavable(f"{path}: expected a {name}, found {_called(found)}")
        return found

    def _object(self, number: int, found: Any, path: str, name: str, held: dict) -> Any:
        if full_name(type(found)) != name:
            if name == full_name(type(self._template)):
                found = copy.deepcopy(self._template)
            elif name == full_name(EmptyTransformGroups):
                found = EmptyTransformGroups()  # it holds a function of its own
            elif name in MADE:
                made: Any = MADE[name]
                found = made.__new__(made)
            else:
                raise Unsavable(f"{path}: expected a {name}, found {_called(found)}")
        self._keep(number, found)
        old = vars(found)
        made_of: type = type(found)
        unsaved = {key: old[key] for key in _unsaved(made_of) if key in old}
        new = {key: self.value(each, old.get(key, _NOTHING), f"{path}.{key}") for key, each in held.items()}
        old.clear()
        old.update(new | unsaved)
        return found


def _called(found: Any) -> str:
    return "nothing" if found is _NOTHING else f"a {full_name(type(found))}"
