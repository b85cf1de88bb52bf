"""Run the benchmarks and print a table."""

from __future__ import annotations

import argparse
import json
import platform
import sys

import numpy as np

import gpures_lab as gl
from tests.benchmarks import (
    at_rest,
    classic_loop,
    kernel_cache,
    many_grains,
    native_ring,
    pool_mix,
    single_calls,
)
from tests.benchmarks.programs import chain, messages
from tests.benchmarks.workloads import heat, pagerank, zscore

SUITES = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        native_ring,
        single_calls,
        classic_loop,
        many_grains,
        pool_mix,
        kernel_cache,
        at_rest,
        chain,
        messages,
        heat,
        pagerank,
        zscore,
    )
}


def main() -> int:
    """Exit 0 when every promise was kept, 1 when one was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"of {', '.join(SUITES)}; all when left out")
    parser.add_argument("--json", action="store_true", help="print everything measured")
    options = parser.parse_args()
    unknown = set(options.suite) - set(SUITES)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    rows = []
    for name in options.suite or SUITES:
        print(f"running {name} …", file=sys.stderr)
        rows += SUITES[name].run()
    with gl.GrainManager(device="host") as lab:
        driver = f"{lab.driver.label}, {lab.driver.device_name}, {lab.driver.cores} cores"  # type: ignore[attr-defined]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    if options.json:
        found = {"driver": driver, "versions": versions, "rows": [row.as_dict() for row in rows]}
        print(json.dumps(found, indent=2, default=str))
    else:
        print(f"Driver: {driver}; {versions}\n")
        print("| what | measured | winner | wanted | kept |\n|---|---|---|---|---|")
        for row in rows:
            winner = f"{row.winner}, {row.factor:.2f} x" if row.winner else "–"
            kept = {True: "yes", False: "NO", None: "–"}[row.met]
            print(f"| {row.what} | {row.measured} | {winner} | {row.wanted or '–'} | {kept} |")
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
