"""Run the benchmarks and print what they found."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from tests.benchmarks import rivals
from tests.benchmarks.build import NotBuilt, build
from tests.benchmarks.row import Row
from tests.benchmarks.suites import SUITES, modules
from tests.benchmarks.surroundings import surroundings
from tests.benchmarks.table import markdown


def main() -> int:
    """Exit 0 when every promise was kept, 1 when one was missed, 2 when nothing could run."""
    options = parser().parse_args()
    unknown = set(options.suite) - set(SUITES)
    if unknown:
        parser().error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    # Before minutes of measuring, not behind them.
    if options.html and (why := why_not_written(options.html)):
        parser().error(f"--html {options.html} cannot be written: {why}")
    if shutil.which(options.rivals) is None:
        parser().error(f"--rivals {options.rivals}: there is no such program")
    rivals.choose(options.rivals)
    try:
        build()
    except NotBuilt as error:
        print(f"gpures-lab bench: {error}", file=sys.stderr)
        return 2
    results: dict[str, list[Row]] = {}
    for suite, module in modules(options.suite or SUITES):
        print(f"running {suite}: {module.__name__.rpartition('.')[2]} …", file=sys.stderr)
        results.setdefault(suite, []).extend(module.run())
    found = surroundings()
    rows = [row for each in results.values() for row in each]
    if options.json:
        suites = {suite: [row.as_dict() for row in each] for suite, each in results.items()}
        print(json.dumps({**found, "suites": suites}, indent=2, default=str))
    elif options.markdown or not options.html:
        print(markdown(results, found))
    if options.html:
        from tests.benchmarks.plots import write_html

        write_html(options.html, results, found)
        print(f"wrote {options.html}", file=sys.stderr)
    return 1 if any(row.met is False for row in rows) else 0


def why_not_written(path: Path) -> str | None:
    """Why nothing can be written there, asked by opening it; nothing is left behind."""
    new = not path.exists()
    try:
        with path.open("a"):
            pass
    except OSError as reason:
        return reason.strerror
    if new:
        path.unlink()
    return None


def parser() -> argparse.ArgumentParser:
    """The options, which `gpures-lab bench` hands on."""
    made = argparse.ArgumentParser(
        prog="gpures-lab bench",
        description="Measure gpures_lab beside its floors and rivals, in one run.",
        epilog="exit codes: 0 every promise kept; 1 one was missed; 2 nothing could run",
    )
    made.add_argument("suite", nargs="*", help=f"of {', '.join(SUITES)}; left out: all")
    made.add_argument("--json", action="store_true", help="print everything measured")
    made.add_argument("--markdown", action="store_true", help="print README's tables (the default)")
    made.add_argument("--html", type=Path, metavar="FILE", help="write one page with plots")
    made.add_argument(
        "--rivals",
        metavar="PYTHON",
        default=sys.executable,
        help="Python that has pydotcompute or ray; left out: this one",
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
