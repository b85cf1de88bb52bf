"""Damaged files, and places that cannot be used."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import event

from gpures_lab.errors import CheckpointCorrupt, InvalidOption, StateConflict
from gpures_lab.grain.store import StateStore, blobs
from tests.grain.engines import run_python

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def saved(store: StateStore) -> StateStore:
    store.save("g", {"x": np.arange(100.0)}, {"n": 1}, expected_etag=0)
    return store


def the_blob(folder: Path) -> Path:
    (path,) = folder.rglob("*.safetensors")
    return path


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:-8],
        lambda data: data[:20],
        lambda data: b"",
        lambda data: data + b"\0",
        lambda data: b"\xff" * 8 + data[8:],
    ],
    ids=["one bit", "shorter", "half a header", "empty", "longer", "header length"],
)
def test_a_damaged_blob_is_named_with_both_digests(
    saved: StateStore, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Would catch: wrong numbers handed back, or a parser run on bytes that nobody checked."""
    path = the_blob(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointCorrupt, match="blob of 'x' has digest.*expected.*backup") as got:
        saved.load("g")
    assert got.value.expected in path.name
    assert got.value.found != got.value.expected


def test_a_lost_blob_is_named(saved: StateStore, tmp_path: Path) -> None:
    the_blob(tmp_path).unlink()
    with pytest.raises(CheckpointCorrupt, match="blob of 'x' in checkpoint 1 of 'g' is missing"):
        saved.load("g")


@pytest.mark.parametrize("cut", [True, False], ids=["shorter", "one bit"])
def test_a_damaged_blob_is_written_again(saved: StateStore, tmp_path: Path, cut: bool) -> None:
    """Would catch: a broken file reused because its name is right: the cure would not cure."""
    path = the_blob(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:-8] if cut else data[:-1] + bytes([data[-1] ^ 1]))
    saved.save("g", {"x": np.arange(100.0)}, expected_etag=1)
    np.testing.assert_array_equal(saved.load("g")[1]["x"], np.arange(100.0))


def test_a_truncated_manifest_is_refused(saved: StateStore, tmp_path: Path) -> None:
    """Would catch: half a manifest believed."""
    with sqlite3.connect(tmp_path / "state" / "state.sqlite") as connection:
        connection.execute("UPDATE gpures_grains SET manifest = substr(manifest, 1, 40)")
    connection.close()
    with pytest.raises(CheckpointCorrupt, match="manifest of 40 characters has digest.*expected"):
        saved.load("g")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a database " * 100)
    with pytest.raises(CheckpointCorrupt, match="no intact database.*move it away"):
        StateStore(f"sqlite:///{tmp_path / 'notes'}", str(tmp_path / "blobs"))


def test_a_database_that_was_deleted_is_no_empty_store(saved: StateStore, tmp_path: Path) -> None:
    """Would catch: a lost database read as "no checkpoint"."""
    for path in (tmp_path / "state").glob("state.sqlite*"):
        path.unlink()
    with pytest.raises(InvalidOption, match="no such table|unable to open"):
        saved.latest("g")


@pytest.mark.parametrize("where", ["blob", "database"])
def test_a_full_disk_keeps_the_last_checkpoint(
    saved: StateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Would catch: a half-written file left behind, or a full disk told as a traceback."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def no_more_pages(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1").close()  # no less than there are

    if where == "blob":
        monkeypatch.setattr(blobs.os, "fsync", full)
    else:
        event.listen(saved._database._engine, "connect", no_more_pages)
    with pytest.raises(StateConflict, match="no room.*last checkpoint is untouched.*--remove KEY"):
        saved.save("g", {"x": np.zeros(100)}, "long" * 100_000, expected_etag=1)
    monkeypatch.undo()
    assert not [*tmp_path.rglob("*.tmp")]
    with StateStore(
        f"sqlite:///{tmp_path}/state/state.sqlite", str(tmp_path / "state/blobs")
    ) as now:
        assert now.load("g")[0].etag == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_says_what_to_set(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(InvalidOption, match="Permission denied.*GPURES_STATE_DIR"):
        StateStore(f"sqlite:///{folder}/state.sqlite", str(folder / "blobs"))


def test_a_folder_below_a_file_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidOption, match="GPURES_STATE_DIR"):
        StateStore(f"sqlite:///{tmp_path}/file/state.sqlite", str(tmp_path / "blobs"))
    with pytest.raises(InvalidOption, match="GPURES_STATE_DIR"):
        StateStore(f"sqlite:///{tmp_path}/state.sqlite", str(tmp_path / "file" / "blobs"))


@pytest.mark.parametrize("url", ["nonsense", "nosuchdatabase://host/x", "sqlite://"])
def test_a_url_that_names_no_database(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidOption, match=r"correct the URL|names no file"):
        StateStore(url, str(tmp_path / "blobs"))


def test_blobs_behind_any_url(tmp_path: Path) -> None:
    """Would catch: a local path assumed somewhere."""
    with StateStore(f"sqlite:///{tmp_path}/s.sqlite", "memory://gpures-test") as store:
        store.save("g", {"x": np.arange(4)}, expected_etag=0)
        np.testing.assert_array_equal(store.load("g")[1]["x"], np.arange(4))
        store.save("g", {}, expected_etag=1)
        assert store.usage().blobs == 0
        assert store.usage().blobs == 0


def test_the_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPURES_STATE_DIR", str(tmp_path / "spaced name?#%"))
    with StateStore() as store:
        store.save("g", {"x": np.arange(4)}, expected_etag=0)
    assert (tmp_path / "spaced name?#%" / "state.sqlite").exists()
    with StateStore() as again:
        assert [manifest.key for manifest in again.list().manifests] == ["g"]


def test_blobs_behind_an_unknown_protocol(tmp_path: Path) -> None:
    """Would catch: a bare ValueError of a library below, which names no option of ours."""
    with pytest.raises(InvalidOption, match="blobs_url='nope://x' cannot be opened.*fsspec"):
        StateStore(f"sqlite:///{tmp_path / 'notes.db'}", "nope://x")


def test_nothing_is_looked_up_where_nothing_is(tmp_path: Path) -> None:
    """Would catch: SQLAlchemy imported by the first repr, for a database that was never made."""
    done = run_python(f"""
        import os, sys
        os.environ["GPURES_STATE_DIR"] = {str(tmp_path / "none")!r}
        sys.modules["sqlalchemy"] = None
        import gpures_lab as gl
        with gl.GrainManager(device="host") as lab:
            print(lab.grain("g"), lab.checkpoints())
    """)
    assert "<Grain 'g' on host" in done.stdout, done.stdout + done.stderr
    assert "{}" in done.stdout
    assert not (tmp_path / "none").exists()
