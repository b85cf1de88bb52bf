"""What a report says of an engine that hangs: read from the rings' own memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.gpu import dump
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    import gpures_lab as gl


def test_the_engines_state_is_told(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Would catch: offsets that are no longer the layout's, in the only report of a hang."""
    assert "no open manager" in dump.engines()
    lab = make_lab("slots4")
    assert "never started" in dump.engines()
    grain, other = lab.grain("a"), lab.grain("b", placement="dedicated")
    x = grain.allocate(16)
    x.write(2).result(LIMIT_S)
    grain.read(x).result(LIMIT_S)
    other.ping().result(LIMIT_S)
    lab.park()
    told = dump.engines()
    launches = lab.metrics().relaunches + 1
    assert f"started_epoch {launches}, exited_epoch {launches}" in told
    assert "ring 0: posted 3, newest completion 3, done 3, current 3" in told
    assert "ring 1: posted 1, newest completion 1, done 1" in told
    assert re.findall(r"position (\d+): sequence (\d+), (\w+), status 0", told) == [
        ("0", "1", "Allocate"),
        ("1", "2", "Write"),
        ("2", "3", "Read"),
        ("0", "1", "Noop"),
    ]


def test_a_hang_is_told_before_the_process_ends() -> None:
    """Would catch: a report of a hang without the stack that hangs."""
    assert "in test_a_hang_is_told" in dump.stacks()
