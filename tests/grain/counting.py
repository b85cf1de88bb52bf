"""A program that counts, and the manager that runs it over many launches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["add_to", "brief", "counter"]


@pytest.fixture
def brief() -> Iterator[gl.GrainManager]:
    """Return a manager with four slots and leases of a millisecond."""
    with gl.GrainManager(device="host", ring=gl.RingOptions(slots=4, lease_ms=1)) as lab:
        yield lab


@gl.kernel
def add_to(i, z, a):  # type: ignore[no-untyped-def]
    z[i] = z[i] + a


def counter(grain: gl.Grain, steps: int = 1) -> tuple[gl.ResidentArray, object]:
    """Return an allocation, and a program that adds 1 to it `steps` times."""
    z = grain.allocate(1, dtype=np.int64)
    with grain.record() as program:
        for _ in range(steps):
            assert grain.compute(add_to, outputs=[z], params={"a": 1}) is None
    return z, program
