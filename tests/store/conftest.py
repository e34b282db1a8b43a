"""Shared by the tests of the store."""

import pytest

from attr2face.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")
