"""The figures by name, with a budget where the usual one is too small, the most wanted first.

Apart from figures.py, which needs the native module: this is read before that is built.
"""

from __future__ import annotations

__all__ = ["FIGURES"]

FIGURES: dict[str, float | None] = {
    "floors": None,
    "first_message": 40,  # the compilers' first work on this machine
    "noop_native": None,
    "noop_python": None,
    "saxpy": None,
    "eight_rings": None,
    "service_time": None,
    "execution": None,
    "transfers": None,
    "classic_loop_on_four": None,
    "classic_loop": None,
    "wide_against_cupy": None,
    "idle_exit": 35,  # its waits are what is measured
    "rival_chain": 40,  # each compiles for itself
    "rival_classic": 40,
    "rival_heat": 40,
    "rival_zscore": 40,
    "cost_to_others": 45,
    "wide": 40,
    "dma": 40,
    "poll_variants": 80,  # processes of their own
    "lease_and_synchronize": 30,
    "pages": None,
}
