"""Several writers, and a prune among them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpures_lab.errors import InvalidOption, StateConflict
from gpures_lab.grain.store import blobs, database
from gpures_lab.grain.store import saving as module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpures_lab.grain.store import StateStore

    MakeStore = Callable[..., StateStore]


def test_the_second_writer_is_told_both_etags(make_store: MakeStore) -> None:
    """Would catch: a checkpoint silently overwritten by a process that never saw it."""
    one, two = make_store(), make_store()
    one.save("g", {"x": np.zeros(3)}, expected_etag=0)
    with pytest.raises(
        StateConflict, match=r"etag 1, expected 0.*restore\(\).*replace=True"
    ) as got:
        two.save("g", {"x": np.ones(3)}, expected_etag=0)
    assert (got.value.found, got.value.expected) == (1, 0)
    np.testing.assert_array_equal(two.load("g")[1]["x"], np.zeros(3))
    assert two.save("g", {"x": np.ones(3)}, expected_etag=None).etag == 2


def test_a_writer_overtaken_between_blobs_and_manifest_loses(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: etags looked at before the transaction only."""
    one, two = make_store(), make_store()
    write = blobs.BlobStore.write

    def overtaken(self: blobs.BlobStore, digest: str, blob: blobs.Blob) -> None:
        monkeypatch.undo()
        two.save("g", {"x": np.ones(3)}, expected_etag=0)
        write(self, digest, blob)

    monkeypatch.setattr(blobs.BlobStore, "write", overtaken)
    with pytest.raises(StateConflict, match="etag 1, expected 0"):
        one.save("g", {"x": np.zeros(3)}, expected_etag=0)
    assert one.usage().blobs == 1  # the loser's went with its leases
    np.testing.assert_array_equal(one.load("g")[1]["x"], np.ones(3))


def test_prune_removes_what_no_checkpoint_needs_and_nothing_else(
    store: StateStore, tmp_path: Path
) -> None:
    store.save("g", {"kept": np.ones(100)}, expected_etag=0)
    stranger = tmp_path / "state" / "blobs" / "notes.txt"
    stranger.touch()
    left = tmp_path / "state" / "blobs" / "ab" / f"{'ab' * 32}.safetensors"  # by a killed process
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"x" * 50)
    usage = store.usage()
    assert (usage.blobs, usage.free_nbytes) == (2, 50)
    pruned = store.prune()
    assert (pruned.blobs, pruned.nbytes) == (1, 50)
    assert stranger.exists()
    np.testing.assert_array_equal(store.load("g")[1]["kept"], np.ones(100))
    assert store.prune().blobs == 0


def test_prune_between_blob_and_manifest_keeps_the_blob(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: garbage collection that looks at committed manifests only."""
    one, two = make_store(), make_store()
    write = blobs.BlobStore.write

    def then_prune(self: blobs.BlobStore, digest: str, blob: blobs.Blob) -> None:
        write(self, digest, blob)
        assert two.prune().blobs == 0

    monkeypatch.setattr(blobs.BlobStore, "write", then_prune)
    one.save("g", {"x": np.arange(9), "y": np.arange(5)}, expected_etag=0)
    np.testing.assert_array_equal(two.load("g")[1]["x"], np.arange(9))


def test_prune_keeps_a_dead_blob_that_a_save_is_about_to_use_again(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a blob found there, not written again, and pruned before the manifest."""
    one, two = make_store(), make_store()
    one.save("g", {"x": np.arange(9)}, expected_etag=0)
    one.save("g", {}, expected_etag=1)
    write = blobs.BlobStore.write

    def pruned_before_and_after(self: blobs.BlobStore, digest: str, blob: blobs.Blob) -> None:
        assert two.prune().blobs == 0
        write(self, digest, blob)
        assert two.prune().blobs == 0

    monkeypatch.setattr(blobs.BlobStore, "write", pruned_before_and_after)
    one.save("g", {"x": np.arange(9)}, expected_etag=2)
    np.testing.assert_array_equal(two.load("g")[1]["x"], np.arange(9))


def test_prune_while_threads_save(make_store: MakeStore) -> None:
    """Would catch: any order of lease, write, prune and commit that loses a live blob."""
    failures: list[BaseException] = []

    def save(key: str) -> None:
        try:
            mine = make_store()
            for n in range(8):
                mine.save(key, {"x": np.full(50, n), "y": np.full(50, -n)}, expected_etag=n)
                np.testing.assert_array_equal(mine.load(key)[1]["x"], np.full(50, n))
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=save, args=(key,)) for key in "gh"]
    for thread in threads:
        thread.start()
    pruner = make_store()
    while any(thread.is_alive() for thread in threads):
        pruner.prune()
    for thread in threads:
        thread.join(30)
    assert failures == []
    pruner.prune()
    assert pruner.usage().blobs == 2  # both ended with the same contents
    assert pruner.load("g")[1]["y"].tolist() == pruner.load("h")[1]["y"].tolist() == [-7] * 50


def test_a_lease_that_ran_out_is_no_commit(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a manifest committed after its blobs were pruned."""
    one, two = make_store(), make_store()
    write = blobs.BlobStore.write

    def slow(self: blobs.BlobStore, digest: str, blob: blobs.Blob) -> None:
        write(self, digest, blob)
        assert two.prune().blobs == 1

    monkeypatch.setattr(module, "LEASE_S", -1.0)
    monkeypatch.setattr(blobs.BlobStore, "write", slow)
    with pytest.raises(StateConflict, match="a prune has removed its blobs; checkpoint again"):
        one.save("g", {"x": np.arange(9)}, expected_etag=0)
    assert two.latest("g") is None


def test_the_limit_counts_and_leaves_the_last_checkpoint(make_store: MakeStore) -> None:
    small = make_store(limit_bytes=2000)
    small.save("g", {"x": np.zeros(100)}, expected_etag=0)
    with pytest.raises(
        StateConflict, match=r"would need [\d,]+ bytes.*limit is 2,000.*--remove KEY"
    ):
        small.save("g", {"x": np.zeros(1000)}, expected_etag=1)
    assert small.load("g")[0].etag == 1
    small.save("h", {"x": np.zeros(100)}, expected_etag=0)  # equal contents cost nothing


def test_a_locked_database_says_who_can_help(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a wait without end, or SQLite's own words."""
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.05)
    one, two = make_store(), make_store()
    with (
        one._database.write(),
        pytest.raises(StateConflict, match="stayed locked by another process.*try again"),
    ):
        two.save("g", {"x": np.zeros(3)}, expected_etag=0)
    two.save("g", {"x": np.zeros(3)}, expected_etag=0)


def test_a_newer_schema_is_refused_with_both_numbers(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: an old version writing into tables that it does not understand."""
    with make_store() as old:
        old.save("g", {"x": np.arange(3)}, expected_etag=0)
    steps: list[int] = []
    with monkeypatch.context() as newer:
        newer.setattr(
            database, "MIGRATIONS", [*database.MIGRATIONS, lambda connection: steps.append(2)]
        )
        np.testing.assert_array_equal(make_store().load("g")[1]["x"], np.arange(3))
        make_store()
        assert steps == [2]  # once, and the checkpoints are still there
    with pytest.raises(
        InvalidOption, match="schema version 2; this gpures_lab knows versions up to 1"
    ):
        make_store()
