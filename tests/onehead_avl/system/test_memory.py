import psutil
import pytest

from onehead_avl.system import memory
from onehead_avl.system.memory import free_bytes


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Pretend a machine with a million bytes free, and a control group of these files."""
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1_000_000}))

    def group(**files):
        for name, text in files.items():
            (tmp_path / f"memory.{name}").write_text(text)

    return group


def test_without_a_control_group_the_machine_says_what_is_free(group):
    assert free_bytes() == 1_000_000


def test_a_control_group_may_allow_less(group):
    group(max="500000\n", current="300000\n", stat="anon 200000\ninactive_file 50000\n")
    assert free_bytes() == 250_000


def test_a_control_group_without_a_limit_says_nothing(group):
    group(max="max\n", current="300000\n", stat="inactive_file 0\n")
    assert free_bytes() == 1_000_000


def test_a_control_group_that_is_full_leaves_nothing(group):
    group(max="1000\n", current="3000\n", stat="inactive_file 0\n")
    assert free_bytes() == 0


def test_this_machine_has_some():
    assert 0 < free_bytes() <= psutil.virtual_memory().total
