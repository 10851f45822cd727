"""What happens when the command is killed, stopped, or started twice: in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
LIVES = Path(__file__).with_name("lives.py")
MINI = ["--train", "6", "--val", "3", "--categories", "person", "car", "dog"]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed by signals here")


@pytest.fixture
def start(archives, tmp_path):
    """Start the script of lives with a task."""
    running = []

    def start(**task):
        task = {"archives": {k: asdict(each) for k, each in archives.items()}, "arguments": MINI, "patience": 99} | task
        path = tmp_path / f"task{len(running)}.json"
        path.write_text(json.dumps(task))
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        command = [sys.executable, str(LIVES), str(path)]
        running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("waited in vain")


@pytest.mark.slow
def test_killed_anywhere_and_started_again_the_tree_is_the_same_byte_for_byte(start, tmp_path, read_tree):
    process = start(what="kill", folder=str(tmp_path), seed=0, per_module=3)
    out, err = process.communicate()
    assert process.returncode == 0, err
    found = json.loads(out)
    expected = read_tree(tmp_path / "undisturbed")
    assert len(expected) == 1 + 9 * 2 + (9 + 2) + 9
    killed = [life for life in found["lives"] if life["statuses"][0] == -signal.SIGKILL]
    assert len(killed) >= 40
    phases = {"download", "archives", "voc", "coco", "imagenette", "selection", "arrange", "manifest", "lock", "build"}
    assert phases <= {life["module"] for life in killed}
    for life in found["lives"]:
        assert life["statuses"][-1] == 0, life
        assert read_tree(Path(life["root"])) == expected, life


def test_killed_while_it_adopts_and_started_again_the_tree_is_the_same(start, tmp_path, read_tree, source):
    process = start(what="kill", folder=str(tmp_path), seed=1, per_module=3, arguments=["--import", str(source)])
    out, err = process.communicate()
    assert process.returncode == 0, err
    expected = read_tree(tmp_path / "undisturbed")
    killed = [life for life in json.loads(out)["lives"] if life["statuses"][0] == -signal.SIGKILL]
    assert {"adopt", "annotations", "arrange", "manifest", "lock"} <= {life["module"] for life in killed}
    for life in killed:
        assert life["statuses"][-1] == 0, life
        assert read_tree(Path(life["root"])) == expected, life


def test_killed_while_it_fetches_it_continues_there(start, server, archives, tmp_path, read_tree):
    name, root = archives["voc"].name, tmp_path / "data"
    server.plan(name, "stall", None)
    process = start(what="run", root=str(root))
    part = root / "raw" / f"{name}.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 0)
    process.kill()
    process.wait()
    assert (root / ".prepare" / "lock").exists()  # the dead keep nobody out
    again = start(what="run", root=str(root))
    out, err = again.communicate()
    assert (again.returncode, err) == (0, "")
    assert "as its manifest says" in out
    asked = [start for each, start in server.requests if each == name]
    assert asked[0] is None
    assert int(asked[1].removeprefix("bytes=").removesuffix("-")) > 0
    assert not (root / ".prepare").exists()


def test_ctrl_c_is_one_sentence_that_says_how_to_continue(start, server, archives, tmp_path):
    server.plan(archives["coco_val"].name, "stall", None)
    process = start(what="run", root=str(tmp_path / "data"))
    part = tmp_path / "data" / "raw" / f"{archives['coco_val'].name}.part"
    wait_for(lambda: part.exists())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err == "\nstopped; run the same command again, which continues\n"
    again = start(what="run", root=str(tmp_path / "data"))
    again.communicate()
    assert again.returncode == 0


def test_two_at_once_the_second_says_who_is_there_and_leaves(start, server, archives, tmp_path):
    root = tmp_path / "data"
    server.plan(archives["voc"].name, "stall", None)
    first = start(what="run", root=str(root))
    wait_for(lambda: (root / "raw" / f"{archives['voc'].name}.part").exists())
    asked = len(server.requests)
    for arguments in (MINI, ["--import", str(tmp_path)]):
        second = start(what="run", root=str(root), arguments=arguments)
        out, err = second.communicate()
        assert (second.returncode, out) == (1, "")
        assert err == (
            f"error: {root} is being prepared by process {first.pid} on {os.uname().nodename}; wait until it has "
            "ended or choose another --root\n"
        )
    assert len(server.requests) == asked
    assert first.poll() is None
    server.over.set()  # the connection is cut, and the first one continues
    first.communicate()
    assert first.returncode == 0
    assert sorted(each.name for each in root.iterdir()) == [
        *("imagenette_160", "manifest.json", "mini_coco_det", "mini_voc_seg"),
    ]
