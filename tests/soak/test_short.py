"""The short form of the soak: what `make soak` does at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.soak.cycles import cycles
from tests.soak.kills import kill_rounds
from tests.soak.swaps import swaps
from tests.soak.traffic import traffic

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MESSAGES = 1_000_000
KILLS = 40
CYCLES = 1_000
MIB = 1 << 20


def test_a_million_messages_of_four_threads() -> None:
    """A message lost, run twice, out of order, or answered with another's data."""
    seen = traffic(MESSAGES, seed=1)
    assert seen.messages >= MESSAGES
    assert (seen.wrong, seen.lost_or_doubled, seen.unanswered) == (0, 0, 0)


def test_killed_while_checkpointing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that is half of one, or older than what was acknowledged."""
    monkeypatch.setenv("GPURES_CACHE_DIR", str(tmp_path / "cache"))
    seen = kill_rounds(tmp_path, KILLS, seed=1)
    assert (seen.rounds, seen.wrong) == (KILLS, 0)
    assert seen.checkpoints > KILLS / 2  # the killed ones got somewhere


def test_ten_times_the_pool_limit() -> None:
    """A value of another grain, or of another time."""
    seen = swaps(times_limit=10, uses=150, seed=1)
    assert seen.wrong == 0
    assert seen.swaps > 100  # and it was oversubscribed


def test_nothing_stays_behind_of_a_thousand_managers(tmp_path: Path) -> None:
    """A thread, a descriptor or memory for every manager."""
    seen = cycles(CYCLES, tmp_path)
    assert (seen.threads, seen.descriptors) == (0, 0)
    assert seen.resident_bytes < 4 * MIB
