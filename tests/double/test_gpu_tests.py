"""The GPU's own tests, as far as library kernels go: they must work when they first meet a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.gpu.test_first_light import (
    test_a_message_is_answered,
    test_a_program_of_many_steps,
    test_a_stale_handle_is_refused_and_the_ring_goes_on,
    test_park_and_relaunch,
    test_traffic_survives_launches,
    test_what_was_written_is_read,
)
from tests.gpu.test_sharing import test_several_posters
from tests.gpu.test_streams import (
    test_a_block_is_zeroed_by_the_stream,
    test_both_ways_move_and_compute_the_same,
    test_ring_and_streams_take_turns,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import gpures_lab as gl

__all__ = [
    "test_a_block_is_zeroed_by_the_stream",
    "test_a_message_is_answered",
    "test_a_program_of_many_steps",
    "test_a_stale_handle_is_refused_and_the_ring_goes_on",
    "test_both_ways_move_and_compute_the_same",
    "test_park_and_relaunch",
    "test_ring_and_streams_take_turns",
    "test_several_posters",
    "test_traffic_survives_launches",
    "test_what_was_written_is_read",
]


@pytest.fixture
def make_gpu(make_lab: Callable[..., gl.GrainManager]) -> Callable[..., gl.GrainManager]:
    """Return the maker that the tests of a GPU ask for."""

    def make(**options: Any) -> gl.GrainManager:
        return make_lab(options.pop("ring", "default"), **options)

    return make


@pytest.fixture
def gpu(make_gpu: Callable[..., gl.GrainManager]) -> gl.GrainManager:
    """Return a manager with the default rings."""
    return make_gpu()
