"""What ``gpures-lab compile-check`` says: rows as they come, then what was run and what it took."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gpures_lab.kernels.cuda.check import compile_check

__all__ = ["tell_check"]

_LINE = "{:34}{:28}{:8}{:>5}{:>10}{:>7}{:>7}{:>8}  {}"
_TITLES = ("kernel", "version", "arch", "path", "registers", "spills", "stack", "shared", "")


def tell_check(
    say: Callable[[str], None],
    archs: Sequence[str],
    files: Sequence[Path],
    *,
    short: bool,
    jobs: int,
    as_json: bool,
) -> int:
    """Run the check and `say` it line by line; the number of problems.

    Raises
    ------
    DriverUnavailable
        As `compile_check`.
    """
    began = time.monotonic()
    rows = []
    for row in compile_check(archs, files, short=short, jobs=jobs):
        rows.append(row)
        if not as_json:
            if len(rows) == 1:  # now that it is known that there are any
                say(_LINE.format(*_TITLES).rstrip())
            fields = ("–" if each is None else each for each in dataclasses.astuple(row))
            say(_LINE.format(*fields).rstrip())
    problems = sum(bool(row.problem) for row in rows)
    if as_json:
        say(json.dumps({"rows": [dataclasses.asdict(row) for row in rows]}, indent=2))
        return problems
    kernels = len({(row.kernel, row.variant) for row in rows})
    which = "one version of each library kernel, as CI runs it" if short else "all"
    processes = 1 if short else max(jobs, 1)
    say(
        f"{kernels} kernels ({which}) for {', '.join(archs)}: {len(rows)} rows, {problems} "
        f"problems; {time.monotonic() - began:.0f} s, {processes} at a time, "
        f"{_largest_mib()} MiB the largest process"
    )
    return problems


def _largest_mib() -> int:
    """Of this process and those that it started, at their largest."""
    import resource  # not on Windows, where there is no CUDA driver of ours either

    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) // 1024
