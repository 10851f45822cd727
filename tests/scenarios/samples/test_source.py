from pathlib import Path

import pytest

from scenarios.samples.source import Source


def test_readers_get_the_path_and_are_asked_for_nothing_that_is_drawn():
    assert Source(Path("there")).on_disk == Path("there")
    with pytest.raises(ValueError, match="expected the path of images on disk, found None"):
        _ = Source().on_disk


def test_a_split_is_what_was_said_of_it():
    source = Source(train={"images": "a"}, val={"images": "b"})
    assert (source.split("train"), source.split("val")) == ({"images": "a"}, {"images": "b"})
