"""Where the official archives are, and what they must be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from onehead_avl.errors import DownloadError, UsageError


@dataclass(frozen=True)
class Archive:
    """An official archive.

    Attributes:
        name: Its file name.
        hosts: Folders on the web that have it, the official one first.
        size: Its size in bytes.
        sha256: Its checksum, which does not depend on where it came from.
        folder: The folder in it that is needed.
    """

    name: str
    hosts: tuple[str, ...]
    size: int
    sha256: str
    folder: str

    @property
    def urls(self) -> list[str]:
        """Its addresses."""
        return [f"{host}/{self.name}" for host in self.hosts]


def _coco(name: str, kind: str, size: int, sha256: str, folder: str) -> Archive:
    # The second is the bucket that the first is served from.
    hosts = (f"http://images.cocodataset.org/{kind}", f"https://s3.amazonaws.com/images.cocodataset.org/{kind}")
    return Archive(name, hosts, size, sha256, folder)


ARCHIVES = {
    "voc": Archive(
        "VOCtrainval_11-May-2012.tar",
        (
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012",
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012",
            "https://data.pjreddie.com/files",
        ),
        1_999_639_040,
        "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
        "VOCdevkit/VOC2012",
    ),
    "coco_annotations": _coco(
        "annotations_trainval2017.zip",
        "annotations",
        252_907_541,
        "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
        "annotations",
    ),
    "coco_val": _coco(
        "val2017.zip",
        "zips",
        815_585_330,
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        "val2017",
    ),
    "coco_train": _coco(
        "train2017.zip",
        "zips",
        19_336_861_798,
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        "train2017",
    ),
    "imagenette": Archive(
        "imagenette2-160.tgz",
        ("https://s3.amazonaws.com/fast-ai-imageclas",),
        99_003_388,
        "64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5",
        "imagenette2-160",
    ),
}
"""The archives. Sizes and checksums are those that TensorFlow Datasets verifies its downloads with."""


def needed_archives(tasks: Sequence[str], full: bool) -> list[str]:
    """The keys of the archives that some tasks need; train2017, 19 GB, is needed for all of COCO only."""
    needed = {
        "seg": ["voc"],
        "det": ["coco_annotations", "coco_val", *(["coco_train"] if full else [])],
        "cls": ["imagenette"],
    }
    return [key for task, keys in needed.items() if task in tasks for key in keys]


def check_sources(sources: Sequence[str]) -> None:
    """Refuse a source that is neither an address nor a folder.

    Raises:
        UsageError: There is one.
    """
    for source in sources:
        if not _is_url(source) and not Path(source).is_dir():
            raise UsageError(f"--source expects a folder or an http(s) address, found no folder at {source}")


def locate(archive: Archive, sources: Sequence[str]) -> Path | list[str]:
    """Find an archive.

    Args:
        archive: The archive wanted.
        sources: Folders and addresses to look in; without any the official ones are used, with some only they.

    Returns:
        The archive or its extracted folder if one is on disk, otherwise the addresses that may have it.

    Raises:
        DownloadError: It is in none of the folders, and there is no address to ask.
    """
    if not sources:
        return archive.urls
    folders = [Path(source) for source in sources if not _is_url(source)]
    extracted = PurePosixPath(archive.folder)
    for folder in folders:
        places = [folder / archive.name, folder / extracted, folder / extracted.name]
        if folder.resolve().name == extracted.name:
            places.append(folder)
        for place in places:
            if place.exists():
                return place
    urls = [f"{source.rstrip('/')}/{archive.name}" for source in sources if _is_url(source)]
    if not urls:
        raise DownloadError(
            f"expected {archive.name} or its extracted folder {archive.folder} in {' or '.join(map(str, folders))}, "
            "found neither; put it there or name another --source as well"
        )
    return urls


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))
