"""A tiny stream of drawn images, and runs that take no time."""

import copy

import pytest

import onehead_avl.runs.compare
from onehead_avl.kinds.kind import kind_of
from onehead_avl.system.files import write_json
from scenarios.drawn.embedded import drawn, drawn_classes
from scenarios.experience import Experience, Stream
from strategies.hyperparameters import options_of

CHALLENGE = {"seg": "segmentation", "det": "detection", "cls": "classification"}


@pytest.fixture(scope="session")
def _images() -> Stream:
    experiences = []
    for name, kind in CHALLENGE.items():
        train, val = (drawn(kind, split, size=32, count=count) for split, count in (("train", 2), ("val", 1)))
        experiences.append(Experience(name, kind_of(kind), drawn_classes(kind), train, val, name))
    return Stream("challenge", tuple(experiences))


@pytest.fixture
def stream(_images) -> Stream:
    """The challenge with two drawn training images and a validation image for each experience; free to be changed."""
    return copy.deepcopy(_images)


@pytest.fixture
def file(tmp_path):
    """Write a stream of one's own; unless it is said otherwise, of two experiences of one kind on no disk."""

    def file(*experiences, name="own.yaml"):
        experiences = experiences or (
            "{name: near, kind: detection, format: drawn}",
            "{name: far, kind: detection, format: drawn, domain: grey}",
        )
        path = tmp_path / name
        path.write_text("experiences:\n" + "".join(f"  - {each}\n" for each in experiences))
        return str(path)

    return file


@pytest.fixture
def ran(monkeypatch, tmp_path, record):
    """The runs that were done, as strategy, seed and order; each writes its results at once, in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = []

    def run(config, stream, folder, depends_on, single_task):
        (strategy,), (seed,) = config.strategy, config.seeds
        done.append((strategy, seed, "-".join(config.order)))
        rows = [(0.25 + 0.01 * seed, 0.25, 0.5)] * (1 if strategy == "joint" else len(config.order))
        options, _ = options_of([strategy, *config.plugin], config.set)
        known = {"single_task": single_task, "options": options, "depends_on": depends_on}
        made = record(strategy, seed, *rows, order=config.order, **known)
        write_json(folder / "results.json", made.as_json())
        return made

    monkeypatch.setattr(onehead_avl.runs.compare, "run", run)
    return done
