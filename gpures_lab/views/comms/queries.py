"""Questions of the front end, answered from the last look: nothing here waits for a worker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gpures_lab.errors import InvalidOption
from gpures_lab.views.comms.documents import bokehjs, figure_document
from gpures_lab.views.comms.grain_rows import ROW_FIELDS, SORTS, GrainRow
from gpures_lab.views.comms.protocol import plain
from gpures_lab.views.readings import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpures_lab.views.comms.sampling import Sampling

__all__ = ["QUERIES", "answer"]

PAGE: Final = 1_000
"""Rows of a page at most: a front end scrolls through that many, and filters to see others."""

LONGEST_FILTER: Final = 512
MOST_HANDLES: Final = 500

Wanted = Mapping[str, object]


def answer(sampling: Sampling, what: str, wanted: Wanted) -> object:
    """Return what ``what`` asks for, as JSON can hold it.

    Raises
    ------
    InvalidOption
        The question makes no sense; the message says what does.
    """
    if what not in QUERIES:
        raise InvalidOption(f"query {what!r} is unknown; use one of {', '.join(QUERIES)}")
    return QUERIES[what](sampling, wanted)


def _grains(sampling: Sampling, wanted: Wanted) -> object:
    look = sampling.latest
    offset = _integer(wanted, "offset", 0, 0, 2**31)
    count = _integer(wanted, "count", 50, 1, PAGE)
    sort = wanted.get("sort", "rate")
    needle = wanted.get("filter", "")
    if not isinstance(sort, str) or sort not in SORTS:
        raise InvalidOption(f"sort={sort!r} is unknown; use one of {', '.join(sorted(SORTS))}")
    if not isinstance(needle, str) or len(needle) > LONGEST_FILTER:
        raise InvalidOption(f"filter: give a text of at most {LONGEST_FILTER} characters")
    rows = list(look.grains) if look is not None else []
    if needle:
        folded = needle.casefold()
        rows = [row for row in rows if folded in row.key.casefold()]
    rows.sort(key=lambda row: row.key)
    rows.sort(key=lambda row: _rank(row, sort), reverse=wanted.get("descending", True) is True)
    return {
        "offset": offset,
        "matching": len(rows),
        "total": 0 if look is None else len(look.grains),
        "rows": [_json(row) for row in rows[offset : offset + count]],
    }


def _handles(sampling: Sampling, wanted: Wanted) -> object:
    look, key = sampling.latest, wanted.get("grain")
    grain = look.lab.grains.get(key) if look is not None and isinstance(key, str) else None
    if grain is None:
        raise InvalidOption(f"grain {key!r} is not in this kernel's manager", key=key)
    handles = list(grain.handles.values())
    return {
        "grain": key,
        "total": len(handles),
        "handles": [
            [each.name, str(each.dtype), list(each.shape), each.nbytes, each.memory_type]
            for each in handles[:MOST_HANDLES]
        ],
    }


def _history(sampling: Sampling, _wanted: Wanted) -> object:
    rows = sampling.history()
    return {"columns": {name: [row.get(name) for row in rows] for name in COLUMNS}}


def _timeline(sampling: Sampling, _wanted: Wanted) -> object:
    look = sampling.latest
    if look is None:
        return {"lanes": [], "columns": {}}
    return sampling.tracing.ask(look.lab)


def _figure(sampling: Sampling, wanted: Wanted) -> object:
    look = sampling.latest
    return figure_document(
        str(wanted.get("name", "")),
        theme=str(wanted.get("theme", "auto")),
        driver="no driver yet" if look is None else look.driver,
    )


def _bokehjs(_sampling: Sampling, _wanted: Wanted) -> object:
    return bokehjs()


QUERIES: Final[dict[str, Callable[[Sampling, Wanted], object]]] = {
    "grains": _grains,
    "handles": _handles,
    "history": _history,
    "timeline": _timeline,
    "figure": _figure,
    "bokehjs": _bokehjs,
}


def _rank(row: GrainRow, sort: str) -> tuple[bool, str] | tuple[bool, float]:
    value = getattr(row, sort)
    if isinstance(value, str):
        return (True, value.casefold())
    return (value is not None, -math.inf if value is None else value)


def _json(row: GrainRow) -> list[object]:
    values = (getattr(row, name) for name in ROW_FIELDS)
    return [plain(value) if isinstance(value, float) else value for value in values]


def _integer(wanted: Wanted, name: str, default: int, least: int, most: int) -> int:
    value = wanted.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidOption(f"{name}={value!r} is out of range; give {least} to {most}")
    return value
