import hashlib
import socket
from pathlib import Path

import pytest

from onehead_avl.errors import DownloadError
from onehead_avl.prepare import download
from onehead_avl.prepare.download import fetch, is_official

FULL = Path("/dev/full")
"""A disk without room."""


@pytest.fixture
def archive(archives):
    return archives["voc"]


@pytest.fixture
def again(archive, official, server, tmp_path):
    """Fetch the archive; it must be right, and the requests that were needed are returned."""

    def again(*urls):
        path = fetch(archive, urls or archive.urls, tmp_path)
        assert path == tmp_path / archive.name
        assert path.read_bytes() == (official / archive.name).read_bytes()
        assert [each.name for each in tmp_path.iterdir()] == [archive.name]
        return [asked for _, asked in server.requests]

    return again


@pytest.fixture
def part(archive, tmp_path):
    return tmp_path / f"{archive.name}.part"


def first_half(archive, official):
    return (official / archive.name).read_bytes()[: archive.size // 2]


def test_an_archive_is_fetched(again):
    assert again() == [None]


def test_what_is_there_is_not_fetched_again(again):
    again()
    assert len(again()) == 1


def test_what_is_there_but_wrong_is_replaced(again, archive, tmp_path):
    (tmp_path / archive.name).write_bytes(bytes(archive.size))
    assert again() == [None]


def test_an_interrupted_download_is_continued(again, archive, official, part):
    part.write_bytes(first_half(archive, official))
    assert again() == [f"bytes={archive.size // 2}-"]


def test_a_complete_part_needs_no_request(again, archive, official, part):
    part.write_bytes((official / archive.name).read_bytes())
    assert again() == []


def test_a_cut_connection_is_continued_where_it_was_cut(again, server, archive):
    server.plan(archive.name, "cut", "cut", "cut", None)
    first, *others = again()
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in others]
    assert first is None
    assert 0.4 * archive.size < starts[0] < starts[1] < starts[2] < archive.size


@pytest.mark.parametrize("fault", ["cut before", "stall", "silence", 500, 503, 429, 408])
def test_a_passing_fault_is_retried(again, server, archive, fault):
    server.plan(archive.name, fault, fault, None)
    assert len(again()) == 3


def test_tries_are_counted_anew_after_every_progress(again, server, archive):
    server.plan(archive.name, 500, 500, "cut", 500, 500, "cut", 500, 500, None)
    assert len(again()) == 9


def test_a_server_that_ignores_ranges_sends_everything_again(again, server, archive, official, part):
    part.write_bytes(first_half(archive, official))
    server.plan(archive.name, "ignore range")
    assert again() == [f"bytes={archive.size // 2}-"]


def test_a_server_that_ignores_ranges_and_always_cuts_is_given_up(server, archive, tmp_path):
    server.plan(archive.name, "ignore range and cut")
    with pytest.raises(DownloadError, match=r"cut the connection \(3 tries in a row\)"):
        fetch(archive, archive.urls, tmp_path)
    assert len(server.requests) == 4


def test_another_part_than_asked_for_is_not_appended(again, server, archive, official, part):
    part.write_bytes(first_half(archive, official))
    server.plan(archive.name, "other range", None)
    assert again() == [f"bytes={archive.size // 2}-", None]


def test_what_was_there_before_may_be_of_another_file(again, archive, part):
    part.write_bytes(bytes(archive.size // 2))
    assert again() == [f"bytes={archive.size // 2}-", None]


def test_it_is_begun_anew_only_once(server, archive, tmp_path, part):
    part.write_bytes(bytes(archive.size // 2))
    server.plan(archive.name, "wrong bytes")
    with pytest.raises(DownloadError, match="sent other bytes than the official ones"):
        fetch(archive, archive.urls, tmp_path)
    assert [asked for _, asked in server.requests] == [f"bytes={archive.size // 2}-", None]
    assert list(tmp_path.iterdir()) == []


def test_too_much_of_another_file_is_begun_anew(again, archive, part):
    part.write_bytes(bytes(archive.size + 10))
    assert again() == [f"bytes={archive.size + 10}-", None]


@pytest.mark.parametrize("fault", [404, 403, "page", "wrong bytes", "too many"])
def test_a_host_without_the_archive_is_left_for_the_next(again, server, archive, fault):
    server.plan(archive.name, fault, None)
    assert again(f"{server.host}/first/{archive.name}", f"{server.host}/second/{archive.name}")[-1] is None


def test_the_next_host_continues_what_the_first_began(again, server, archive):
    server.plan(archive.name, "cut", 404, None)
    *_, last = again(f"{server.host}/first/{archive.name}", f"{server.host}/second/{archive.name}")
    assert int(last.removeprefix("bytes=").removesuffix("-")) > 0.4 * archive.size


def test_an_unreachable_host_is_left_for_the_next(again, server, archive):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = taken.getsockname()[1]
        assert again(f"http://127.0.0.1:{port}/{archive.name}", f"{server.host}/{archive.name}") == [None]


ANSWERS = {
    404: "answered HTTP 404",
    500: "answered HTTP 500 (3 tries in a row)",
    416: "has no such part (HTTP 416) (3 tries in a row)",
    "cut before": "cut the connection (3 tries in a row)",
    "silence": "did not answer in time (3 tries in a row)",
    "page": "has a file of 27 bytes, not the official one of",
    "wrong bytes": "sent other bytes than the official ones (wrong checksum)",
    "too many": "sent more than the",
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_a_host_that_never_gives_it_is_named_with_what_it_answered(server, archive, official, tmp_path, fault):
    server.plan(archive.name, fault)
    with pytest.raises(DownloadError) as caught:
        fetch(archive, archive.urls, tmp_path)
    assert str(caught.value).startswith(f"{archive.name} could not be fetched: {archive.urls[0]} {ANSWERS[fault]}")
    assert str(caught.value).endswith(
        "; run the same command again later, which continues, or give --source a folder or a server that has it"
    )
    assert not (tmp_path / archive.name).exists()


def test_all_hosts_are_named(server, archive, tmp_path):
    server.plan(archive.name, 404, 500)
    with pytest.raises(DownloadError) as caught:
        fetch(archive, [f"{server.host}/{place}/{archive.name}" for place in "ab"], tmp_path)
    assert f"/a/{archive.name} answered HTTP 404, " in str(caught.value)
    assert f"/b/{archive.name} answered HTTP 500 (3 tries in a row);" in str(caught.value)


def test_pauses_grow(server, archive, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.plan(archive.name, 500)
    with pytest.raises(DownloadError):
        fetch(archive, archive.urls, tmp_path)
    assert pauses == [0.002, 0.004]


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_not_taken_for_a_bad_connection(archive, tmp_path, part, server):
    part.symlink_to(FULL)
    with pytest.raises(OSError, match="No space left on device"):
        fetch(archive, archive.urls, tmp_path)
    assert len(server.requests) == 1


def test_size_and_checksum_decide(archive, official, tmp_path):
    content = (official / archive.name).read_bytes()
    path = tmp_path / "file"
    for wrong in (content[:-1], content + b"x", content[:-1] + bytes([content[-1] ^ 1]), b""):
        path.write_bytes(wrong)
        assert not is_official(path, archive)
    path.write_bytes(content)
    assert is_official(path, archive)
    assert hashlib.sha256(content).hexdigest() == archive.sha256
    assert not is_official(tmp_path / "none", archive)
