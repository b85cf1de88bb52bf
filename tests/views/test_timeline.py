"""The latest messages as lanes: only the last busy stretch, in the order of their times."""

from __future__ import annotations

from gpures_lab.metrics import TracedMessage
from gpures_lab.views.timeline import MOST_LANES, MOST_MESSAGES, PAUSE_NS, timeline_columns


def message(posted: int, *, grain: str = "a", waited: int = 10, served: int = 5) -> TracedMessage:
    taken = posted + waited
    return TracedMessage(1, "Compute", grain, "saxpy", "ok", 0, posted, taken, taken + served)


def test_a_pause_begins_a_new_stretch() -> None:
    """Would catch: minutes between two cells that make every message a dot."""
    old, first, second = message(0), message(PAUSE_NS + 100), message(PAUSE_NS + 200)
    lanes, columns = timeline_columns([old, first, second])
    assert lanes == ["a"]
    assert columns["posted"] == [-115, -15]
    assert columns["done"] == [-100, 0]
    assert columns["waited"] == ["10 ns", "10 ns"]


def test_messages_and_lanes_are_bounded() -> None:
    """Would catch: a timeline that grows with the traffic, or a lane a grain for 500 grains."""
    many = [message(n * 20, grain=f"grain {n % 30}") for n in range(1000)]
    lanes, columns = timeline_columns(many)
    assert len(lanes) == MOST_LANES
    assert lanes[0] == "grain 9"  # of the newest message
    assert len(columns["lane"]) <= MOST_MESSAGES
    assert set(columns["lane"]) == set(lanes)


def test_nothing_yet() -> None:
    lanes, columns = timeline_columns([])
    assert (lanes, columns["posted"]) == ([], [])
