import os
import subprocess
import sys
from textwrap import dedent

import psutil
import pytest

from onehead_avl.system import memory
from onehead_avl.system.memory import free_bytes, keep_freed_memory


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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the system what was fetched from it")
def test_freed_memory_is_not_fetched_anew():
    """Count the pages fetched to use 16 blocks again and again, in processes of their own: it cannot be taken back."""
    program = """
        import ctypes, resource
        from onehead_avl.system.memory import keep_freed_memory
        if {keep}:
            assert keep_freed_memory()
        libc = ctypes.CDLL(None)
        libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
        def use():
            blocks = [libc.malloc(8 * 2**20) for _ in range(16)]
            for block in blocks:
                libc.memset(block, 1, 8 * 2**20)
            for block in blocks:
                libc.free(block)
        use()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            use()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    fetched = {}
    for keep in (False, True):
        command = [sys.executable, "-c", dedent(program.format(keep=keep))]
        fetched[keep] = int(subprocess.check_output(command, text=True, env=environment))
    assert fetched[False] > 5 * 16 * 8 * 2**20 / 4096 / 100  # pages may be large ones
    assert fetched[True] < fetched[False] / 10


@pytest.mark.parametrize(
    ("name", "value"), [("MALLOC_TRIM_THRESHOLD_", "1"), ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=1")]
)
def test_what_a_user_told_glibc_stays(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("glibc was told something else"))
    assert not keep_freed_memory()


def test_another_c_library_is_told_nothing(monkeypatch):
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
