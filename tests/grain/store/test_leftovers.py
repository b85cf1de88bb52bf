"""What stays on the disk: of replaced, removed and failed checkpoints nothing, of live ones all."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpures_lab.errors import InvalidOption, StateConflict
from gpures_lab.grain.store import blobs, database
from tests.grain.engines import run_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpures_lab.grain.store import StateStore

    MakeStore = Callable[..., StateStore]

LARGE = 1 << 18  # as float64 two of `saving.LARGE_BYTES`: written before its digest is known


def test_a_replaced_checkpoint_leaves_nothing_behind(store: StateStore) -> None:
    """Would catch: a notebook that checkpoints every minute and fills the disk."""
    for n in range(5):
        arrays = {"small": np.full(100, n), "large": np.full(LARGE, n), "same": np.ones(7)}
        store.save("g", arrays, expected_etag=n)
        usage = store.usage()
        assert (usage.blobs, usage.free_nbytes) == (3, 0)
    np.testing.assert_array_equal(store.load("g")[1]["large"], np.full(LARGE, 4))


def test_what_another_checkpoint_needs_stays(make_store: MakeStore) -> None:
    """Would catch: equal contents removed with the first of two grains that hold them."""
    one, two = make_store(), make_store()
    one.save("g", {"x": np.arange(9)}, expected_etag=0)
    two.save("h", {"y": np.arange(9)}, expected_etag=0)
    one.save("g", {"x": np.ones(9)}, expected_etag=1)
    np.testing.assert_array_equal(two.load("h")[1]["y"], np.arange(9))
    two.remove("h")
    assert one.usage().blobs == 1
    np.testing.assert_array_equal(one.load("g")[1]["x"], np.ones(9))


def test_two_writers_of_the_same_contents_and_readers(make_store: MakeStore) -> None:
    """Would catch: any order of lease, look, write, commit and removal that loses a live blob."""
    failures: list[BaseException] = []

    def save(key: str) -> None:
        try:
            mine = make_store()
            for n in range(12):
                arrays = {"x": np.full(50, n % 3), "y": np.full(LARGE // 2, n % 2, "f4")}
                mine.save(key, arrays, expected_etag=n)
                for each in "gh":
                    if mine.latest(each) is not None:
                        mine.load(each)
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=save, args=(key,), daemon=True) for key in "gh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert failures == []
    assert make_store().usage().free_nbytes == 0


def test_a_blob_that_another_save_is_about_to_use_again_stays(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a removal that looks at committed manifests only."""
    one, two = make_store(), make_store()
    one.save("g", {"x": np.arange(9)}, expected_etag=0)
    write = blobs.BlobStore.write

    def replaced_after(self: blobs.BlobStore, digest: str, blob: blobs.Blob) -> None:
        monkeypatch.undo()
        write(self, digest, blob)  # it is there, so nothing is written
        one.save("g", {}, expected_etag=1)

    monkeypatch.setattr(blobs.BlobStore, "write", replaced_after)
    two.save("h", {"x": np.arange(9)}, expected_etag=0)
    np.testing.assert_array_equal(one.load("h")[1]["x"], np.arange(9))


def test_a_prune_before_a_large_blob_has_its_name(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a blob without its name removed between the lease of its digest and that."""
    one, two = make_store(), make_store()
    adopt = blobs.BlobStore.adopt

    def pruned_before(self: blobs.BlobStore, temporary: str, digest: str) -> None:
        assert two.prune().blobs == 0
        adopt(self, temporary, digest)

    monkeypatch.setattr(blobs.BlobStore, "adopt", pruned_before)
    one.save("g", {"x": np.ones(LARGE)}, expected_etag=0)
    np.testing.assert_array_equal(one.load("g")[1]["x"], np.ones(LARGE))


def test_a_save_that_failed_leaves_nothing_behind(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a loop of refused checkpoints that fills the disk."""
    store.save("g", {"x": np.zeros(9)}, expected_etag=0)
    monkeypatch.setattr(type(store._blobs), "_holds", lambda *_: store.remove("g") and False)
    with pytest.raises(StateConflict, match="checkpoint 1 of 'g' was removed by somebody else"):
        store.save("g", {"x": np.ones(9), "y": np.ones(LARGE)}, expected_etag=1)
    assert store.usage().blobs == 0


def test_what_a_killed_process_left_goes_with_the_first_save(
    make_store: MakeStore, tmp_path: Path
) -> None:
    """Would catch: blobs that only a command by hand removes."""
    left = tmp_path / "state" / "blobs" / "ab" / f"{'ab' * 32}.safetensors"
    make_store()
    left.parent.mkdir(mode=0o700)
    left.write_bytes(b"x")
    make_store().save("g", {"x": np.ones(9)}, expected_etag=0)
    assert not left.exists()


def test_a_removal_that_fails_fails_no_checkpoint(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a checkpoint that is kept, and an error that says it is not."""
    store.save("g", {"x": np.zeros(9)}, expected_etag=0)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "not yours")

    monkeypatch.setattr(blobs.BlobStore, "remove", refuse)
    assert store.save("g", {"x": np.ones(9)}, expected_etag=1).etag == 2
    monkeypatch.undo()
    assert store.usage().free_nbytes > 0
    assert store.prune().blobs == 1


def test_a_removed_checkpoint_is_gone_and_its_etag_is_not_given_again(
    make_store: MakeStore,
) -> None:
    """Would catch: a writer that goes by etag 1 and replaces another one of that number."""
    one, two = make_store(), make_store()
    one.save("g", {"x": np.zeros(9)}, {"n": 1}, expected_etag=0)
    assert two.remove("g") == 1
    assert (two.latest("g"), two.list().manifests, two.usage().blobs) == (None, (), 0)
    for again in (two.load, two.remove):
        with pytest.raises(StateConflict, match="'g' has no checkpoint"):
            again("g")
    with pytest.raises(StateConflict, match=r"1 of 'g' was removed.*replace=True"):
        one.save("g", {}, expected_etag=1)
    assert two.save("g", {"x": np.ones(9)}, expected_etag=0).etag == 2
    with pytest.raises(StateConflict, match="etag 2, expected 1"):
        one.save("g", {}, expected_etag=1)


def test_state_counts_towards_the_limit_and_gives_its_room_back(
    make_store: MakeStore, tmp_path: Path
) -> None:
    """Would catch: megabytes of `grain.state` that no figure shows and no call frees."""
    store = make_store(limit_bytes=3_000_000)
    store.save("g", {}, {"log": "x" * 4_000_000}, expected_etag=0)
    assert store.usage().database_nbytes > 4_000_000
    with pytest.raises(StateConflict, match=r"would need 4,000,\d+ bytes"):
        store.save("h", {}, expected_etag=0)
    store.remove("g")
    store.save("h", {}, expected_etag=0)
    assert store.usage().database_nbytes < 1_000_000
    assert (tmp_path / "state" / "state.sqlite").stat().st_size < 1_000_000


def test_the_limit_can_be_set(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: an error whose cure does not exist."""
    monkeypatch.setenv("GPURES_STATE_LIMIT_BYTES", "500")
    with pytest.raises(StateConflict, match="GPURES_STATE_LIMIT_BYTES"):
        make_store().save("g", {"x": np.zeros(100)}, expected_etag=0)
    for wrong in ("0", "10 GiB", "-1"):
        monkeypatch.setenv("GPURES_STATE_LIMIT_BYTES", wrong)
        with pytest.raises(InvalidOption, match=f"GPURES_STATE_LIMIT_BYTES='{wrong}'"):
            make_store()


def test_reading_waits_for_no_writer(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a listing, or a restore, behind another process's long transaction."""
    make_store().save("g", {"x": np.ones(9)}, expected_etag=0)
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.05)
    other = sqlite3.connect(tmp_path / "state" / "state.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    reader = make_store()
    assert [each.key for each in reader.list().manifests] == ["g"]
    np.testing.assert_array_equal(reader.load("g")[1]["x"], np.ones(9))
    assert reader.usage().blobs == 1
    other.close()


def test_ctrl_c_while_the_database_is_locked(tmp_path: Path) -> None:
    """Would catch: half a minute, or here an hour, inside SQLite's own wait."""
    code = """
        import os, signal, sqlite3, sys, threading
        os.environ["GPURES_STATE_DIR"] = FOLDER
        import gpures_lab as gl
        from gpures_lab.grain.store import StateStore, database
        StateStore().close()
        database.LOCK_WAIT_S = 3600.0
        other = sqlite3.connect(FOLDER + "/state.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store, main = StateStore(), threading.main_thread().ident

        def interrupt():
            while True:  # until it waits for its turn
                frame = sys._current_frames()[main]
                while frame is not None:
                    if frame.f_code is database._begin_sqlite.__code__:
                        return os.kill(os.getpid(), signal.SIGINT)
                    frame = frame.f_back

        threading.Thread(target=interrupt, daemon=True).start()
        try:
            store.save("g", {}, expected_etag=0)
        except KeyboardInterrupt:
            print("interrupted", other.in_transaction)
    """
    done = run_python(code.replace("FOLDER", repr(str(tmp_path))))
    assert "interrupted True" in done.stdout, done.stdout + done.stderr
