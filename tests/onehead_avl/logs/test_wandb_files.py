import pytest
from wandb.proto.wandb_internal_pb2 import Record

from onehead_avl.errors import OutputError
from onehead_avl.logs.wandb_files import files_in, records_in


@pytest.fixture(scope="module")
def written(tmp_path_factory, offline):
    """A file that W&B wrote, over several blocks, and the values in it."""
    import wandb

    folder = tmp_path_factory.mktemp("written")
    values = ["x" * (i * 37 % 3000) for i in range(100)] + ["y" * 100_000]
    settings = wandb.Settings(silent=True, console="off")
    run = wandb.init(dir=folder, id="some-id", reinit="create_new", settings=settings)
    for value in values:
        run.log({"value": value})
    run.finish()
    wandb.teardown()  # which waits until all is on the disk
    (file,) = files_in(folder)
    return file, values


def values_in(file):
    found = [Record.FromString(record) for record in records_in(file)]
    items = [{"/".join(item.nested_key): item.value_json for item in each.history.item} for each in found]
    return [each["value"].strip('"') for each in items if each]


def test_all_that_wandb_wrote_is_read(written):
    file, values = written
    assert file.stat().st_size > 6 * 32 * 1024
    assert values_in(file) == values


def test_a_file_ends_where_writing_it_was_interrupted(written, tmp_path):
    file, values = written
    content = file.read_bytes()
    cut = tmp_path / "cut.wandb"
    for size in (0, 3, 7, 20, 32 * 1024, 32 * 1024 + 5, 65_000, len(content) - 1):
        cut.write_bytes(content[:size])
        found = values_in(cut)
        assert found == values[: len(found)]
        assert len(found) < len(values) or size == len(content) - 1
        cut.write_bytes(content[:size] + bytes(50_000))  # a block that the disk never wrote
        assert values_in(cut) == found


def test_a_damaged_record_is_the_end(written, tmp_path):
    file, values = written
    content = bytearray(file.read_bytes())
    content[60_000] ^= 1
    changed = tmp_path / "changed.wandb"
    changed.write_bytes(content)
    found = values_in(changed)
    assert found == values[: len(found)]
    assert 0 < len(found) < len(values)


def test_another_format_is_refused(tmp_path):
    file = tmp_path / "other.wandb"
    file.write_bytes(b"SQLite format 3")
    with pytest.raises(OutputError, match=r"expected a file of wandb 0.31, found another"):
        list(records_in(file))


def test_files_are_in_the_order_of_their_time(tmp_path):
    folders = ("run-20260102_000000-a", "offline-run-20260103_000000-a", "offline-run-20260101_000000-a")
    for name in folders:
        (tmp_path / "wandb" / name).mkdir(parents=True)
        (tmp_path / "wandb" / name / "run-a.wandb").touch()
    (tmp_path / "wandb" / "latest-run").symlink_to(folders[1])
    assert [file.parent.name for file in files_in(tmp_path)] == [folders[2], folders[0], folders[1]]


def test_a_folder_without_any_has_none(tmp_path):
    assert files_in(tmp_path) == []
