"""``gpures-lab storage``: what is kept, what a prune frees."""

from __future__ import annotations

import json
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


def test_an_empty_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["storage"]) == 0
    assert capsys.readouterr().out.startswith("0 checkpoints; 0 blobs, 0 of 10,737,418,240")


def test_lists_and_prunes(capsys: pytest.CaptureFixture[str]) -> None:
    """Would catch: a prune that was not asked for, or one that takes a live checkpoint."""
    with StateStore() as store:
        store.save("old\x1b[31m", {"x": np.zeros(100)}, expected_etag=0)
        store.save("old\x1b[31m", {"x": np.ones(50)}, expected_etag=1)
    assert cli.main(["storage"]) == 0
    text = capsys.readouterr().out
    assert "'old\\x1b[31m'  checkpoint 2 of " in text  # a key cannot steer the terminal
    assert ", 1 arrays, 400 bytes" in text
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
