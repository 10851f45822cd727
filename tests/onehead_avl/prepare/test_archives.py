import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from onehead_avl.errors import DataError
from onehead_avl.prepare.archives import INFLATION, open_tree

FILES = {"a/one.txt": b"one", "two.txt": b"two" * 100}


def tar(path, *members, mode="w"):
    """A tar of ``(name, content)``, or of a TarInfo as it is."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return path


def zipped(path, *members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def special(kind, name="top/strange", **more):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


def zip_entry(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.fixture(params=["x.tar", "x.tgz", "x.zip", "folder"])
def tree(request, tmp_path):
    members = [(f"top/{name}", content) for name, content in FILES.items()] + [("elsewhere/three.txt", b"3")]
    path = tmp_path / request.param
    if request.param == "folder":
        for name, content in FILES.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif request.param == "x.zip":
        zipped(path, ("top/", b""), *members)
    else:
        tar(path, special(tarfile.DIRTYPE, "top"), *members, mode="w:gz" if request.param == "x.tgz" else "w")
    return open_tree(path, "top")


def test_the_files_of_the_folder_are_read_by_name(tree):
    assert tree.names == sorted(FILES)
    assert {name: tree.read(name) for name in tree.names} == FILES


def test_a_file_that_is_not_there_is_named(tree):
    with pytest.raises(DataError, match=r"expected three\.txt in it, found no such file; fetch or extract it again"):
        tree.read("three.txt")


EVIL = {
    "absolute tar": (lambda p: tar(p, ("/etc/passwd", b"x")), "x.tar", "'/etc/passwd', which is outside of it"),
    "parent tar": (lambda p: tar(p, ("top/../../x", b"x")), "x.tar", "'top/../../x', which is outside of it"),
    "parent tgz": (lambda p: tar(p, ("../x", b"x"), mode="w:gz"), "x.tgz", "'../x', which is outside of it"),
    "symbolic link": (
        lambda p: tar(p, special(tarfile.SYMTYPE, linkname="/etc/passwd")),
        "x.tar",
        "'top/strange', which is neither a file nor a folder",
    ),
    "hard link": (
        lambda p: tar(p, ("top/a", b""), special(tarfile.LNKTYPE, linkname="top/a")),
        "x.tar",
        "'top/strange', which is neither",
    ),
    "device": (lambda p: tar(p, special(tarfile.CHRTYPE, devmajor=1, devminor=3)), "x.tar", "'top/strange', which is"),
    "pipe": (lambda p: tar(p, special(tarfile.FIFOTYPE)), "x.tgz", "expected a tar archive, found something else"),
    "absolute zip": (lambda p: zipped(p, ("/x", b"x")), "x.zip", "'/x', which is outside of it"),
    "parent zip": (lambda p: zipped(p, ("top/../../x", b"x")), "x.zip", "which is outside of it"),
    "parent zip, other slashes": (lambda p: zipped(p, ("top\\..\\..\\x", b"x")), "x.zip", "which is outside of it"),
    "drive zip": (lambda p: zipped(p, ("C:/x", b"x")), "x.zip", "'C:/x', which is outside of it"),
    "link zip": (
        lambda p: zipped(p, (zip_entry("top/strange", stat.S_IFLNK | 0o777), b"/etc/passwd")),
        "x.zip",
        "'top/strange', which is neither a file nor a folder",
    ),
    "bomb zip": (
        lambda p: zipped(p, ("top/zeros", bytes(10**7)), compression=zipfile.ZIP_DEFLATED),
        "x.zip",
        "found more; it is a decompression bomb or broken",
    ),
    "bomb tgz": (
        lambda p: tar(p, ("top/zeros", bytes(10**7)), mode="w:gz"),
        "x.tgz",
        "found more; it is a decompression bomb or broken",
    ),
    "no tar": (lambda p: p.write_bytes(b"<html>" * 1000), "x.tar", "expected a tar archive, found something else"),
    "no zip": (lambda p: p.write_bytes(b"<html>" * 1000), "x.zip", "expected a zip archive, found something else"),
    "no tgz": (lambda p: p.write_bytes(b"<html>" * 1000), "x.tgz", "expected a tar archive, found something else"),
    "cut tgz": (
        lambda p: p.write_bytes(gzip.compress(bytes(range(256)) * 99)[:200]),
        "x.tgz",
        "expected a tar archive, found something else",
    ),
    "cut zip": (
        lambda p: (zipped(p, ("top/a", b"x" * 999)), p.write_bytes(p.read_bytes()[:500])),
        "x.zip",
        "expected a zip archive, found something else",
    ),
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_archive_that_is_not_as_the_official_ones_is_refused_as_a_whole(tmp_path, kind):
    make, name, problem = EVIL[kind]
    path = tmp_path / name
    make(path)
    with pytest.raises(DataError) as caught:
        open_tree(path, "top")
    assert str(caught.value).startswith(f"{path}: expected ")
    assert problem in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_sparse_file_that_pretends_to_be_large_is_refused(tmp_path):
    info = special(tarfile.GNUTYPE_SPARSE, "top/large")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"00777777777\0"  # its real size: 1 GiB
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    path = tmp_path / "x.tar"
    path.write_bytes(bytes(header) + bytes(10240 - len(header)))
    with pytest.raises(DataError, match=r"top/large', which is neither a file nor a folder"):
        open_tree(path, "top")


def test_content_that_compresses_as_annotations_do_is_no_bomb(tmp_path):
    content = b"".join(b'{"id": %d, "bbox": [%d, %d]},' % (i, i * 7919 % 640, i * 104729 % 480) for i in range(20_000))
    for path in (
        zipped(tmp_path / "x.zip", ("top/a.json", content), compression=zipfile.ZIP_DEFLATED),
        tar(tmp_path / "x.tgz", ("top/a.json", content), mode="w:gz"),
    ):
        assert 3 < len(content) / path.stat().st_size < INFLATION
        assert open_tree(path, "top").read("a.json") == content


def test_damaged_content_is_found(tmp_path):
    path = zipped(tmp_path / "x.zip", ("top/a", b"content " * 100))
    path.write_bytes(path.read_bytes().replace(b"content content", b"content CONTENT", 1))
    with pytest.raises(DataError, match=r"a cannot be read \(Bad CRC-32 .*\); fetch or extract it again"):
        open_tree(path, "top").read("a")


def test_a_file_that_vanished_is_one_sentence(tmp_path):
    (tmp_path / "a").touch()
    tree = open_tree(tmp_path, "top")
    (tmp_path / "a").unlink()
    with pytest.raises(DataError, match=r"a cannot be read \(.*No such file"):
        tree.read("a")
