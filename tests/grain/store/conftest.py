"""A store in a folder of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpures_lab.grain.store import StateStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[..., StateStore]]:
    """Return a function that opens the same store again, as another process would."""
    opened: list[StateStore] = []

    def make(**options: int) -> StateStore:
        store = StateStore(
            f"sqlite:///{tmp_path / 'state' / 'state.sqlite'}",
            str(tmp_path / "state" / "blobs"),
            **options,
        )
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(make_store: Callable[..., StateStore]) -> StateStore:
    return make_store()
