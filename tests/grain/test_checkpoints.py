"""`lab.checkpoints()` and `lab.remove_checkpoint()`."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def lab(make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]) -> gl.GrainManager:
    return make_lab("slots4", **urls)


def test_what_there_is_can_be_asked_for(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str], tmp_path: Path
) -> None:
    """Would catch: try/except as the only way to restore what may be there."""
    lab, second = make_lab(**urls), make_lab(**urls)
    assert lab.checkpoints() == {}
    assert list(tmp_path.iterdir()) == []  # asking makes no files
    grain = lab.grain("g")
    grain.allocate(10, name="x").write(1)
    grain.checkpoint().result(LIMIT_S)
    (found,) = second.checkpoints().values()
    assert (found.key, found.etag, found.arrays, found.nbytes) == ("g", 1, ("x",), 40)
    assert found.saved_at <= datetime.now(UTC)


@pytest.mark.parametrize("asleep", [False, True])
def test_a_removed_checkpoint_leaves_the_grain_alone(
    lab: gl.GrainManager, tmp_path: Path, asleep: bool
) -> None:
    """Would catch: memory that goes with a checkpoint; a next one that is refused."""
    grain = lab.grain("g")
    x = grain.allocate(10, name="x")
    x.write(1)
    grain.checkpoint().result(LIMIT_S)
    if asleep:
        grain.deactivate().result(LIMIT_S)
    lab.remove_checkpoint("g")
    assert lab.checkpoints() == {}
    assert not [*tmp_path.rglob("*.safetensors")]
    assert not grain.durable
    assert "restore" not in repr(grain)
    assert set(x.read().result(LIMIT_S)) == {1}
    with pytest.raises(gl.StateConflict, match="'g' has no checkpoint"):
        lab.remove_checkpoint("g")
    assert grain.checkpoint().result(LIMIT_S) == 2
    grain.discard()
    assert set(lab.restore("g").handles["x"].read().result(LIMIT_S)) == {1}


def test_a_checkpoint_that_another_manager_removed(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """Would catch: a grain that sleeps as what was removed, and is lost with it."""
    lab, second = make_lab(**urls), make_lab(**urls)
    grain = lab.grain("g", durable=True)
    x = grain.allocate(10, name="x")
    x.write(1)
    grain.deactivate().result(LIMIT_S)
    second.remove_checkpoint("g")
    assert set(x.read().result(LIMIT_S)) == {1}
    with pytest.raises(gl.StateConflict, match=r"removed by somebody else.*replace=True"):
        grain.checkpoint().result(LIMIT_S)
    assert grain.checkpoint(replace=True).result(LIMIT_S) == 2


def test_a_durable_grain_is_saved_again_after_its_checkpoint_was_removed(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """Would catch: a grain that counts as kept by what was removed."""
    lab = make_lab(**urls)
    grain = lab.grain("g", durable=True)
    grain.allocate(10, name="x").write(1)
    grain.deactivate().result(LIMIT_S)
    lab.remove_checkpoint("g")
    lab.close()
    assert make_lab(**urls).checkpoints()["g"].etag == 2


def test_a_damaged_checkpoint_hides_no_other(
    lab: gl.GrainManager, urls: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Would catch: one bad row, and nothing can be listed; a bad row left out in silence."""
    for key in ("bad", "good"):
        grain = lab.grain(key)
        grain.state["says"] = "state"
        grain.checkpoint().result(LIMIT_S)
    with sqlite3.connect(urls["state_url"].removeprefix("sqlite:///")) as connection:
        connection.execute(
            "UPDATE gpures_grains SET manifest = replace(manifest, 'state', 'stale') "
            "WHERE manifest LIKE '%\"bad\"%'"
        )
    connection.close()
    assert set(lab.checkpoints()) == {"good"}
    assert "checkpoint 1 of 'bad' is damaged" in caplog.text
    with pytest.raises(gl.CheckpointCorrupt):
        lab.restore("bad")
    lab.remove_checkpoint("bad")
    caplog.clear()
    assert set(lab.checkpoints()) == {"good"}
    assert not caplog.text
