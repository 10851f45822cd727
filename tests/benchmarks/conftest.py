"""Runs made by hand, as tests of the package have them."""

from tests.onehead_avl.conftest import failed, finished, record  # noqa: F401
