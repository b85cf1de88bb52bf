"""``gpures-lab storage``: what is kept, what a prune frees."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpures_lab import cli
from gpures_lab.grain.store import StateStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPURES_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_an_empty_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Would catch: a folder and a database made by looking."""
    assert cli.main(["storage"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("0 checkpoints; 0 blobs, 0 bytes")
    assert "limit 10,737,418,240 bytes" in out
    assert f"database sqlite:///{folder}/state.sqlite\nblobs    {folder}/blobs\n" in out
    assert not folder.exists()  # a listing makes nothing
    assert cli.main(["storage", "--remove", "g"]) == 2
    assert cli.main(["storage", "--prune"]) == 0
    assert not folder.exists()


def test_lists_and_prunes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Would catch: a prune that was not asked for, or one that takes a live checkpoint."""
    with StateStore() as store:
        store.save("old\x1b[31m", {"x": np.zeros(100)}, expected_etag=0)
        store.save("old\x1b[31m", {"x": np.ones(50)}, expected_etag=1)
    left = folder / "blobs" / "ab" / f"{'ab' * 32}.safetensors"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"x")
    assert cli.main(["storage"]) == 0
    text = capsys.readouterr().out
    assert "'old\\x1b[31m'  checkpoint 2 of " in text  # a key cannot steer the terminal
    assert ", 1 array, 400 bytes" in text
    assert "1 checkpoint; 2 blobs" in text
    assert cli.main(["storage", "--prune", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pruned"]["blobs"] == 1
    assert (found["usage"]["blobs"], found["usage"]["free_nbytes"]) == (1, 0)
    assert [(one["key"], one["etag"]) for one in found["checkpoints"]] == [("old\x1b[31m", 2)]
    assert cli.main(["storage", "--prune"]) == 0
    assert "removed 0 blobs, 0 bytes" in capsys.readouterr().out
    with StateStore() as store:
        np.testing.assert_array_equal(store.load("old\x1b[31m")[1]["x"], np.ones(50))


def test_removes_the_checkpoints_of_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would catch: a store that can only grow; one that a URL names and no command reaches."""
    urls = (f"sqlite:///{tmp_path}/other.sqlite", str(tmp_path / "other"))
    with StateStore(*urls) as store:
        for key in ("a", "b", "c"):
            store.save(key, {"x": np.full(9, ord(key))}, expected_etag=0)
    place = ["storage", "--state-url", urls[0], "--blobs-url", urls[1]]
    assert cli.main([*place, "--remove", "a", "--remove", "c", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["key"] for one in found["checkpoints"]] == ["b"]
    assert found["removed"] == [{"key": "a", "etag": 1}, {"key": "c", "etag": 1}]
    assert found["usage"]["blobs"] == 1
    assert cli.main([*place, "--remove", "a"]) == 2
    assert "'a' has no checkpoint" in capsys.readouterr().err
    assert cli.main([*place, "--remove", "b"]) == 0
    assert "removed checkpoint 1 of 'b'" in capsys.readouterr().out


def test_a_place_that_cannot_be_used_exits_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.touch()
    assert cli.main(["storage"]) == 2
    assert "GPURES_STATE_DIR" in capsys.readouterr().err


def test_a_damaged_database_exits_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir(mode=0o700)
    (folder / "state.sqlite").write_text("not a database " * 100)
    assert cli.main(["storage"]) == 1
    assert "no intact database" in capsys.readouterr().err


def test_a_damaged_manifest_hides_no_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would catch: one bad row, and nothing can be listed, not even to find what to remove."""
    with StateStore() as store:
        for key in ("bad", "blob", "gone", "good"):
            store.save(key, {}, {"long": "state" * 9}, expected_etag=0)
    with sqlite3.connect(folder / "state.sqlite") as connection:
        changes = {
            "bad": "replace(manifest, 'state', CAST(x'ff73' AS TEXT))",
            "blob": "CAST(manifest AS BLOB)",
            "gone": "'nothing'",
        }
        for key, change in changes.items():
            connection.execute(
                f"UPDATE gpures_grains SET manifest = {change} WHERE manifest LIKE ?",  # noqa: S608
                (f'%"{key}"%',),
            )
    connection.close()
    assert cli.main(["storage"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("'good'  checkpoint 1 of ")
    assert lines[1].startswith("checkpoint 1 of 'bad' is damaged: a manifest of ")
    unread = "checkpoint 1 of a key that cannot be read is damaged: "
    assert sorted(line.startswith(unread) for line in lines[2:5]) == [False, True, True]
    assert cli.main(["storage", "--remove", "bad", "--json"]) == 1
    assert [one["key"] for one in json.loads(capsys.readouterr().out)["damaged"]] == [None, None]
    assert cli.main(["storage", "--remove", "gone", "--remove", "blob"]) == 0
