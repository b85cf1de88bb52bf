"""Options: valid ones can be made, others say the value and the range."""

from __future__ import annotations

import dataclasses
import math

import pytest

from gpures_lab.errors import InvalidOption
from gpures_lab.options import SMALLEST_POOL_BYTES, ManagerOptions, RingOptions

RANGES = {
    "linger_us": (0, 1_000_000),
    "lease_ms": (1, 1000),
    "max_rings": (1, 64),
    "spin_us": (0, 10_000),
}


@pytest.mark.parametrize("name", RANGES)
def test_both_ends_of_a_range_are_in_it(name: str) -> None:
    """Would catch: an off-by-one at either end."""
    low, high = RANGES[name]
    for value in (low, high):
        assert getattr(RingOptions(**{name: value}), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidOption) as caught:
            RingOptions(**{name: value})
        message = str(caught.value)
        assert f"{value:,}" in message
        assert f"from {low:,} to {high:,}" in message
        assert caught.value.fields["value"] == value


@pytest.mark.parametrize("slots", [4 << shift for shift in range(15)])
def test_slots_is_a_power_of_two_from_4_to_65536(slots: int) -> None:
    """Would catch: a ring whose mask is not slots - 1, which overwrites live messages."""
    assert RingOptions(slots=slots).slots == slots
    if slots > 4:
        with pytest.raises(InvalidOption, match=f"slots={slots - 1} is not a power of two"):
            RingOptions(slots=slots - 1)


@pytest.mark.parametrize("slots", [-4, 0, 1, 2, 3, 131072])
def test_slots_out_of_range(slots: int) -> None:
    with pytest.raises(InvalidOption, match="from 4 to 65,536"):
        RingOptions(slots=slots)


def test_slots_names_its_neighbours() -> None:
    with pytest.raises(InvalidOption, match="the nearest are 512 and 1024"):
        RingOptions(slots=1000)


@pytest.mark.parametrize("value", [True, 8.0, "8", None])
@pytest.mark.parametrize("name", ["slots", *RANGES])
def test_an_option_that_counts_takes_an_int_alone(name: str, value: object) -> None:
    """Would catch: `spin_us=True` read as 1."""
    with pytest.raises(InvalidOption, match=rf"{name}=.* is a {type(value).__name__}"):
        RingOptions(**{name: value})  # type: ignore[arg-type]


def test_options_cannot_be_changed_or_given_by_position() -> None:
    """Would catch: an option checked once and changed afterwards."""
    options = RingOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.slots = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        RingOptions(1024)  # type: ignore[call-arg]


@pytest.mark.parametrize("device", ["auto", "host", "cuda", "cuda:0", "cuda:12"])
def test_devices_by_name(device: str) -> None:
    assert ManagerOptions(device=device).device == device


@pytest.mark.parametrize("device", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "host ", 0])
def test_other_devices_are_refused(device: object) -> None:
    with pytest.raises(InvalidOption, match="'auto', 'host', 'cuda' or 'cuda:N'"):
        ManagerOptions(device=device)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"pool_limit_bytes": SMALLEST_POOL_BYTES - 1},
        {"pool_limit_bytes": 1e9},
        {"pool_limit_bytes": 2**63},
        {"full_wait_s": -0.1},
        {"full_wait_s": math.nan},
        {"full_wait_s": True},
        {"stall_s": 0},
        {"stall_s": math.inf},
        {"stall_s": 1e300},
        {"idle_after_s": 1_000_000_001},
        {"idle_after_s": 0.0},
        {"idle_after_s": "5"},
        {"state_url": ""},
        {"blobs_url": " "},
        {"state_url": 3},
        {"ring": {"slots": 4}},
    ],
    ids=str,
)
def test_a_manager_refuses(options: dict[str, object]) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(InvalidOption, match=name) as caught:
        ManagerOptions(**options)  # type: ignore[arg-type]
    assert caught.value.fields["name"] == name
    assert repr(caught.value.fields["value"]) == repr(value)


@pytest.mark.parametrize(
    "options",
    [
        {"pool_limit_bytes": SMALLEST_POOL_BYTES},
        {"full_wait_s": 0},
        {"stall_s": 0.001},
        {"idle_after_s": 1},
        {"state_url": "sqlite:///x.db", "blobs_url": "file:///blobs"},
        {"ring": RingOptions(slots=4)},
    ],
    ids=str,
)
def test_a_manager_takes(options: dict[str, object]) -> None:
    made = ManagerOptions(**options)  # type: ignore[arg-type]
    assert {name: getattr(made, name) for name in options} == options


def test_defaults_are_the_documented_ones() -> None:
    """Would catch: a default that changed without the documentation."""
    assert dataclasses.asdict(ManagerOptions()) == {
        "device": "auto",
        "pool_limit_bytes": None,
        "full_wait_s": 5.0,
        "stall_s": 5.0,
        "idle_after_s": None,
        "state_url": None,
        "blobs_url": None,
        "ring": {
            "slots": 1024,
            "linger_us": 500,
            "lease_ms": 20,
            "max_rings": 16,
            "spin_us": 20,
            "dma_above_bytes": None,
            "wide_above_bytes": None,
        },
    }
