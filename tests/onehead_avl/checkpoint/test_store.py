import os

import pytest
import torch

from onehead_avl.checkpoint.store import LATEST, PREVIOUS, Damaged, Store
from onehead_avl.errors import OutputError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "checkpoints")


def test_what_is_written_is_read(store):
    written = {"n": 3, "rows": [["a", (1,), None]], "weights": torch.randn(3, 4)}
    store.write("stage0", written)
    found = store.read("stage0")
    assert torch.equal(found.pop("weights"), written.pop("weights"))
    assert found == written
    assert store.names() == ["stage0"]


def test_two_generations_are_kept(store):
    for number in range(4):
        store.write(LATEST, number)
    assert (store.read(LATEST), store.read(PREVIOUS)) == (3, 2)


@pytest.mark.parametrize("place", [0, 30, 60, -1])
def test_any_changed_byte_is_noticed(store, tmp_path, place):
    store.write(LATEST, [1, 2, 3])
    file = tmp_path / "checkpoints" / "latest.pt"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(Damaged):
        store.read(LATEST)


@pytest.mark.parametrize("length", [0, 10, 40, 200])
def test_a_torn_file_is_noticed(store, tmp_path, length):
    store.write(LATEST, [1, 2, 3])
    file = tmp_path / "checkpoints" / "latest.pt"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(Damaged):
        store.read(LATEST)


def test_a_checkpoint_cannot_run_code(store, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    store.write(LATEST, Evil())
    with pytest.raises(Damaged, match="UnpicklingError"):
        store.read(LATEST)
    assert not (tmp_path / "evil").exists()


def test_a_full_disk_leaves_the_checkpoints_before(store, monkeypatch):
    store.write(LATEST, 1)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        store.write(LATEST, 2)
    monkeypatch.undo()
    assert store.read(LATEST) == 1


def test_all_are_removed(store, tmp_path):
    store.write(LATEST, 1)
    store.remove()
    assert not (tmp_path / "checkpoints").exists()
