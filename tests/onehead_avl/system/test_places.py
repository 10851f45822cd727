from pathlib import Path

import pytest

from onehead_avl.system.places import cache_folder


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" / "onehead-avl"
    assert list(tmp_path.iterdir()) == []  # asking makes nothing


@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_is_in_the_users_home_otherwise(monkeypatch, tmp_path, value):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder() == tmp_path / ".cache" / "onehead-avl"
