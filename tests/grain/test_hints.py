"""What a grain says of a checkpoint that it does not come from."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import gpures_lab as gl
from gpures_lab.grain import checkpoint, saver
from gpures_lab.grain.store import StateStore
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_hint_is_of_the_last_checkpoint(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """Would catch: a number looked up once and told for ever, while restore brings another."""
    lab = make_lab(**urls)
    grain = lab.grain("g")
    grain.state["n"] = 1
    for etag in (1, 2, 3):
        assert grain.checkpoint().result(LIMIT_S) == etag
        grain.discard()
        assert f"checkpoint {etag} of" in repr(grain)
        lab.restore("g")
        assert "checkpoint" not in repr(grain)
    lab.remove_checkpoint("g")
    assert "checkpoint" not in repr(grain)


def test_a_hint_follows_other_writers(
    make_lab: Callable[..., gl.GrainManager],
    urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Would catch: no word of a checkpoint that came after the first look."""
    monkeypatch.setattr(checkpoint, "HINT_S", 0.0)
    theirs, ours = make_lab(**urls).grain("g"), make_lab(**urls).grain("g")
    assert "checkpoint" not in repr(ours)
    for etag in (1, 2):
        theirs.checkpoint().result(LIMIT_S)
        assert f"checkpoint {etag} of" in repr(ours)


def test_a_look_that_did_not_come_back_is_no_answer(
    make_lab: Callable[..., gl.GrainManager],
    urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Would catch: a hint lost for ever after a second of a locked database; a second each repr."""
    make_lab(**urls).grain("g").checkpoint().result(LIMIT_S)
    lab = make_lab(**urls)
    latest, go, looks = StateStore.latest, threading.Event(), []

    def slowly(self: StateStore, key: str) -> Any:
        looks.append(key)
        go.wait(LIMIT_S)
        return latest(self, key)

    monkeypatch.setattr(StateStore, "latest", slowly)
    monkeypatch.setattr(saver, "PEEK_S", 0.01)
    for _ in range(3):
        assert "restore" not in repr(lab.grain("g"))
        repr(lab.grain("other"))
    assert looks == ["g"]  # the others did not wait
    go.set()
    assert lab._saver._peeking is not None
    lab._saver._peeking.join(LIMIT_S)
    monkeypatch.setattr(saver, "PEEK_S", LIMIT_S)
    assert "lab.restore('g') brings it back" in repr(lab.grain("g"))


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        ({"state_url": "nope"}, "state_url='nope' cannot be opened"),
        ({"state_url": "zzz://x/y"}, "sqlalchemy.dialects:zzz"),
        ({"state_url": "firebird://me:secret@host/x"}, "state_url='firebird://…@host/x'"),
        ({"state_url": "sqlite://"}, "names no file"),
        ({"state_url": "oracle+oracledb://me:secret@host/x"}, "No module named 'oracledb'"),
        ({"blobs_url": "zzz://x"}, "blobs_url='zzz://x' cannot be opened.*zzz"),
        ({"blobs_url": "simplecache::zzz://x"}, "zzz"),
    ],
)
def test_a_url_that_opens_nothing_is_refused_where_it_is_given(
    urls: dict[str, str], words: str
) -> None:
    """Would catch: a durable grain that is lost at exit for a misspelt URL."""
    with pytest.raises(gl.InvalidOption, match=words) as told:
        gl.GrainManager(device="host", **urls)  # type: ignore[arg-type]
    assert "secret" not in str(told.value)


def test_folders_and_chained_urls_are_no_misspelt_ones(tmp_path: Path) -> None:
    """Would catch: a place that fsspec knows, refused."""
    for url in (str(tmp_path), f"file://{tmp_path}", "memory://x", "simplecache::memory://x"):
        gl.GrainManager(device="host", blobs_url=url).close()


def test_a_durable_grain_says_at_once_that_its_place_cannot_be_used(
    make_lab: Callable[..., gl.GrainManager], tmp_path: Path
) -> None:
    """Would catch: a place that is tried for the first time at exit, when all is lost."""
    (tmp_path / "file").write_text("")
    lab = make_lab(state_url=f"sqlite:///{tmp_path / 'file' / 'state.sqlite'}")
    with pytest.warns(RuntimeWarning, match=r"'g' cannot be saved as things are: .*GPURES_STATE"):
        lab.grain("g", durable=True)
