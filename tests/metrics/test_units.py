"""Figures as text: the unit changes at the right place, and no digit is invented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpures_lab.metrics import units

if TYPE_CHECKING:
    from collections.abc import Callable

    Format = Callable[[float | None], str]


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (units.bytes_text, 0, "0 B"),
        (units.bytes_text, 1023, "1023 B"),
        (units.bytes_text, 1024, "1.00 KiB"),
        (units.bytes_text, 459_976, "449.2 KiB"),
        (units.bytes_text, 2**31, "2.00 GiB"),
        (units.bytes_text, 2**50 * 3, "3072.0 TiB"),
        (units.count_text, 1234567, "1,234,567"),
        (units.percent_text, 0.0, "0.0 %"),
        (units.percent_text, 1.0, "100.0 %"),
        (units.percent_text, None, "–"),
        (units.rate_text, 0.25, "0.2 messages/s"),
        (units.rate_text, 1_234_567.8, "1,234,568 messages/s"),
        (units.rate_text, None, "–"),
        (units.latency_text, 0, "0 ns"),
        (units.latency_text, 85.4, "85 ns"),
        (units.latency_text, 1200, "1.20 µs"),
        (units.latency_text, 35_000_000, "35.0 ms"),
        (units.latency_text, 2e12, "2000.0 s"),
        (units.latency_text, None, "–"),
        (units.duration_text, 0.04, "0.0 s"),
        (units.duration_text, 307.4, "5 min 07 s"),
        (units.duration_text, 3 * 3600 + 5 * 60, "3 h 05 min"),
    ],
)
def test_text(function: Format, value: float | None, text: str) -> None:
    assert function(value) == text


@pytest.mark.parametrize(
    ("function", "below", "text"),
    [
        (units.bytes_text, 1024**2 - 1, "1.00 MiB"),
        (units.latency_text, 999.9, "1.00 µs"),
        (units.latency_text, 999_999, "1.00 ms"),
        (units.duration_text, 59.99, "1 min 00 s"),
    ],
)
def test_rounding_up_to_the_next_unit_changes_the_unit(
    function: Format, below: float, text: str
) -> None:
    """Would catch: `1024.0 KiB`, `1000 ns` and `60.0 s`."""
    assert function(below) == text
