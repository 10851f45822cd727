"""The architecture as the imports have it: arrows point one way, and there is no circle."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("onehead_avl", "scenarios", "strategies")

# From the lowest to the highest; a module belongs to the longest name that it begins with, and imports from its own
# layer and from lower ones.
LAYERS = (
    "onehead_avl.errors",
    "onehead_avl.ignored",
    "onehead_avl.system",
    "onehead_avl.target",
    "onehead_avl.kinds",
    "onehead_avl.model",
    "onehead_avl.evaluation",
    "onehead_avl.logs",
    "onehead_avl.checkpoint",
    "scenarios.samples",
    "scenarios.drawn",
    "scenarios.read",
    "scenarios",
    "strategies",
    "onehead_avl.report",
    "onehead_avl.prepare",
    "onehead_avl.runs",
    "onehead_avl.command",
    "onehead_avl.benchmark",
    "onehead_avl.evaluate",
    "onehead_avl.predict",
    "onehead_avl.export",
    "onehead_avl.prepare.__main__",
    "onehead_avl.report.__main__",
    "onehead_avl.__main__",
)

# Layers side by side, of which neither needs the other.
STRANGERS = (
    ("onehead_avl.logs", "onehead_avl.checkpoint"),
    ("onehead_avl.evaluation", "scenarios"),
    ("onehead_avl.logs", "scenarios"),
    ("onehead_avl.checkpoint", "scenarios"),
    ("onehead_avl.report", "scenarios"),
    ("onehead_avl.report", "strategies"),
    ("onehead_avl.prepare", "strategies"),
    ("scenarios", "strategies"),
    ("scenarios.drawn", "scenarios.read"),
)


def modules():
    """Every module of the project: its name and its file."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def imports(file, known):
    """The modules of the project that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide what is imported"
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (named & known) or {node.module}
    return {name for name in found if name.split(".")[0] in PACKAGES}


KNOWN = {name for name, _ in modules()}
GRAPH = {name: imports(file, KNOWN) for name, file in modules()}


def layer(name):
    """The position of a module's layer; the package itself holds the version and is below all."""
    fitting = [each for each in LAYERS if within(name, each)]
    return LAYERS.index(max(fitting, key=len)) if fitting else -1


def within(name, layer):
    """Whether a module is of a layer, or of a folder in it."""
    return name == layer or name.startswith(f"{layer}.")


def test_every_module_has_a_layer():
    assert [name for name in GRAPH if layer(name) == -1] == ["onehead_avl"]


def test_the_imports_are_found():
    assert "onehead_avl.kinds.kind" in GRAPH["onehead_avl.kinds.segmentation"]
    assert sum(map(len, GRAPH.values())) > 200


@pytest.mark.parametrize("name", GRAPH)
def test_a_module_imports_from_its_own_layer_and_lower_ones(name):
    upwards = {other for other in GRAPH[name] if layer(other) > layer(name)}
    assert not upwards


@pytest.mark.parametrize(("first", "second"), STRANGERS)
def test_layers_side_by_side_do_not_know_each_other(first, second):
    for one, other in ((first, second), (second, first)):
        own = [name for name in GRAPH if within(name, one)]
        assert own
        assert not {(name, to) for name in own for to in GRAPH[name] if within(to, other)}


def test_no_module_imports_itself_by_way_of_others():
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        path.append(name)
        for other in sorted(GRAPH.get(name, ())):
            visit(other)
        done.add(path.pop())

    for name in GRAPH:
        visit(name)
