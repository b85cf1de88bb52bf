"""What was promised of a GPU, beside what the figures say: kept, missed, or not measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ROWS", "verdicts"]

Figures = Mapping[str, Any]  # by step, as the report has them


@dataclass(frozen=True)
class Row:
    """One promise.

    Attributes
    ----------
    value
        The figure of which ``most`` or ``least`` is promised; KeyError where a step is missing.
    unit
        As it is printed after the value.
    beside
        More to print, for the reader.
    """

    what: str
    value: Callable[[Figures], float]
    unit: str
    most: float | None = None
    least: float | None = None
    strict: bool = False
    beside: Callable[[Figures], str] = lambda _found: ""

    @property
    def wanted(self) -> str:
        """As people read it."""
        sign = ("<" if self.most is not None else ">") + ("" if self.strict else "=")
        return f"{sign} {self.bound:,g} {self.unit}"

    @property
    def bound(self) -> float:
        """Whichever is given."""
        return self.most if self.most is not None else float(self.least or 0)

    def keeps(self, value: float) -> bool:
        """Whether it is kept; a value that is no number keeps nothing."""
        if value == self.bound:
            return not self.strict
        return value < self.bound if self.most is not None else value > self.bound


def _p50(*path: str) -> Callable[[Figures], float]:
    def find(found: Figures) -> float:
        at: Any = found[f"figure {path[0]}"]
        for name in path[1:]:
            at = at[name]
        return float(at["p50_ns"] if isinstance(at, Mapping) else at)

    return find


def _scaled(value: Callable[[Figures], float], scale: float) -> Callable[[Figures], float]:
    return lambda found: value(found) * scale


def _over(value: Callable[[Figures], float], floor: str) -> Callable[[Figures], float]:
    return lambda found: value(found) / _p50("floors", floor)(found)


def _spread(*path: str) -> Callable[[Figures], str]:
    def tell(found: Figures) -> str:
        at: Any = found[f"figure {path[0]}"]
        for name in path[1:]:
            at = at[name]
        return f"p50 {at['p50_ns'] / 1e3:.3g} us, p99 {at['p99_ns'] / 1e3:.3g} us"

    return tell


_native, _python = _p50("noop_native"), _p50("noop_python")
_one, _four = "classic_loop", "classic_loop_on_four"

ROWS = (
    Row("bare 8-byte flag; beyond it the run is void", _p50("floors", "flag"), "ns", most=4_000,
        beside=_spread("floors", "flag")),
    Row("Noop post + wait, native, over the slot floor", _over(_native, "slot"), "x", most=1.5,
        beside=_spread("noop_native")),
    Row("the same from Python", _scaled(_python, 1e-3), "us", most=6,
        beside=_spread("noop_python")),
    Row("the same from Python, over the bare flag", _over(_python, "flag"), "x", most=3.5),
    Row("1,024-float saxpy + wait, faster than CuPy's by", _p50("saxpy", "faster"), "x", least=2,
        beside=_spread("saxpy", "ring")),
    Row("Noop throughput, one ring", _scaled(_p50("eight_rings", "one_ring_messages_per_s"), 1e-6),
        "M messages/s", least=10),
    Row("Noop throughput, eight rings with four native posters",
        _scaled(_p50("eight_rings", "eight_rings_messages_per_s"), 1e-6), "M messages/s", least=40),
    Row("service time of Noop, amortized", _p50("service_time", "noop_ns"), "ns", most=100,
        strict=True,
        beside=lambda f: f"VectorAdd {f['figure service_time']['vector_add_ns']:.3g} ns"),
    Row("execution of 1,024-float VectorAdd, worker's clock", _scaled(_p50("execution"), 1e-3),
        "us", most=3, beside=_spread("execution")),
    Row("4 KiB write, pipelined", _scaled(_p50("transfers", "write_ns"), 1e-3), "us", most=1,
        beside=lambda f: "alone " + _spread("transfers", "write_alone")(f)),
    Row("4 KiB read, pipelined", _scaled(_p50("transfers", "read_ns"), 1e-3), "us", most=1,
        beside=lambda f: "alone " + _spread("transfers", "read_alone")(f)),
    Row("allocate + release from Python", _scaled(_p50("transfers", "allocate_release_ns"), 1e-3),
        "us", most=1),
    Row("classic loop, 4 grains on 4 rings", _scaled(_p50(_four, "messages_per_s"), 1e-6),
        "M messages/s", least=1, strict=True,
        beside=lambda f: f"one grain {f[f'figure {_one}']['messages_per_s'] / 1e6:.3g}"),
    Row("its pool hits", _scaled(_p50(_four, "pool_hit_rate"), 100), "%", least=90, strict=True),
    Row("its kernel cache hits", _scaled(_p50(_four, "kernel_cache_hit_rate"), 100), "%", least=95,
        strict=True),
    Row("wide path, 64 MiB arrays, time over CuPy's", _p50("wide_against_cupy", "ratio"), "x",
        most=1.05),
    Row("idle: the ring is out, at the latest", _scaled(_p50("idle_exit", "exit", "max_ns"), 1e-6),
        "ms", most=5),
    Row("idle: launches in the next 10 s", _p50("idle_exit", "launches_in_10_s"), "", most=0),
)  # fmt: skip


def verdicts(found: Figures) -> list[dict[str, str]]:
    """Every row with its verdict."""
    floors = found.get("figure floors", {})
    return [_verdict(row, found, void=bool(floors.get("void"))) for row in ROWS]


def _verdict(row: Row, found: Figures, *, void: bool) -> dict[str, str]:
    try:
        value = row.value(found)
    except (KeyError, TypeError, ZeroDivisionError):
        measured, verdict = "", "not measured"
    else:
        measured = f"{value:,.4g} {row.unit}".strip()
        verdict = "kept" if row.keeps(value) else "missed"
        try:
            more = row.beside(found)
        except (KeyError, TypeError):
            more = ""
        measured += f" ({more})" if more else ""
    if void:
        verdict = f"void ({verdict})"
    return {
        "what": row.what,
        "wanted": row.wanted.strip(),
        "measured": measured,
        "verdict": verdict,
    }
