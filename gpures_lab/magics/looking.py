"""The line magics that look: lists, figures, dashboard, trace, status."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    line_cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
)

from gpures_lab import kernels  # its names come in when asked for
from gpures_lab.errors import InvalidOption
from gpures_lab.magics.arguments import option, parsed
from gpures_lab.magics.beside import MagicsBeside
from gpures_lab.magics.listing import Listing

if TYPE_CHECKING:
    from gpures_lab.kernels import KernelListing
    from gpures_lab.magics.memory import GrainMagics
    from gpures_lab.magics.names import Names
    from gpures_lab.metrics import Trace
    from gpures_lab.views.watch import Watch

__all__ = ["LookingMagics"]


@magics_class
class LookingMagics(MagicsBeside):
    """What the current grain and its manager have done."""

    def __init__(self, shell: Any, lines: GrainMagics) -> None:
        super().__init__(shell, lines)
        self._watch: Watch | None = None

    @line_magic
    @parsed()
    def grain_list(self, _args: argparse.Namespace, _names: Names) -> Listing:
        """Show what the current grain holds.

        Example::

            %grain_list
        """
        return Listing.of(self._lines.grain_of_cell())

    @line_magic
    @needs_local_scope
    @parsed()
    @option("--all", action="store_true", help="of the whole manager")
    @option("--frame", action="store_true", help="the history as a pandas DataFrame")
    @option("--watch", metavar="s", help="keep it current, every s seconds; 0 ends that")
    def grain_metrics(self, args: argparse.Namespace, names: Names) -> Any:
        """Show what the current grain has done, or all grains.

        With --watch the output stays current while other cells run, until the next --watch.

        Example::

            %grain_metrics --all
        """
        grain = self._lines.grain_of_cell()
        if args.watch is not None:
            if args.frame:
                raise InvalidOption("give --frame or --watch, not both")
            self._keep_current(grain.manager if args.all else grain, names, args.watch)
            return None
        if args.frame:
            return grain.manager.metrics_frame()
        return grain.manager.metrics() if args.all else grain.metrics()

    @line_magic
    @needs_local_scope
    @parsed()
    @option("--rate", help="updates a second, 0.1 to 10")
    @option("--window", help="seconds that rate and percentiles cover, 0.1 to 300")
    @option("--theme", choices=("auto", "light", "dark"), help="colours; auto follows the page")
    @option("--close", action="store_true", help="close the one that is open")
    def grain_dashboard(self, args: argparse.Namespace, names: Names) -> Any:
        """Show live figures of all grains; they move while cells run.

        One dashboard is open at a time: a new one closes the one before. It needs a notebook that
        shows widgets; elsewhere the value says so, and its save('report.html') works everywhere.

        Example::

            %grain_dashboard --rate 4
        """
        from gpures_lab.views import close_dashboard, dashboard

        lab = self._lines.grain_of_cell().manager
        if args.close:
            close_dashboard(lab)
            return None
        given = {
            name: names.evaluate(text, f"--{option}")
            for name, option, text in (
                ("rate_hz", "rate", args.rate),
                ("window_s", "window", args.window),
            )
            if text is not None
        }
        if args.theme is not None:
            given["theme"] = args.theme
        return dashboard(lab, history=self._lines.history, **given)

    @line_cell_magic
    @needs_local_scope
    @parsed()
    @option("file", help="file to write, as trace.json")
    @option("--rows", help="of a cell: messages kept, 65,536 when left out")
    def grain_trace(self, args: argparse.Namespace, names: Names, body: str | None = None) -> Any:
        """Write when each message was posted, taken and done, for ui.perfetto.dev.

        On a line: the latest messages (`%config GrainMagics.trace_rows` says how many are kept).
        On a cell, %%%%grain_trace: the messages of that cell.

        Example::

            %grain_trace trace.json
        """
        path = Path(args.file).expanduser()
        if not path.parent.is_dir():
            raise InvalidOption(f"{path}: there is no folder {path.parent}", path=str(path))
        grain = self._lines.grain_of_cell()
        if body is None:
            if args.rows is not None:
                raise InvalidOption("--rows is for a cell, %%grain_trace; leave it out")
            return TraceFile.write(self._lines.recent_trace(), path)
        rows = 65_536 if args.rows is None else names.evaluate(args.rows, "--rows")
        shell = self.shell
        assert shell is not None
        with grain.manager.trace(rows) as trace:
            shell.run_cell(body, store_history=False)  # type: ignore[no-untyped-call]  # shows errors
        return TraceFile.write(trace, path)

    @line_magic
    @parsed()
    @option("about", nargs="?", default="", help="part of a name, or of what is computed")
    def grain_kernels(self, args: argparse.Namespace, _names: Names) -> KernelListing:
        """Show the kernels of the library: what each computes, and the params it takes.

        Example::

            %grain_kernels random
        """
        return kernels.library_kernels(args.about)

    @line_magic
    @parsed()
    def grain_status(self, _args: argparse.Namespace, _names: Names) -> Any:
        """Show what works on this machine, what is missing, and the cure.

        Example::

            %grain_status
        """
        from gpures_lab.diagnosis import status

        return status()

    def close(self) -> None:
        """Stop what runs in the background."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _keep_current(self, source: Any, names: Names, text: str) -> None:
        from gpures_lab.views.watch import Watch

        period_s = names.evaluate(text, "--watch")
        if period_s == 0:
            self.close()
            return
        made = Watch(source.metrics, period_s=period_s)
        self.close()
        self._watch = made
        made.show()


class TraceFile:
    """What `%grain_trace` wrote."""

    def __init__(self, path: Path, messages: int, dropped: int) -> None:
        self.path = path
        self.messages = messages
        self.dropped = dropped

    @classmethod
    def write(cls, trace: Trace, path: Path) -> TraceFile:
        """Write a trace; a file that cannot be written is an `InvalidOption`."""
        try:
            trace.save(path)
        except OSError as reason:
            raise InvalidOption(f"{path} cannot be written: {reason.strerror}") from reason
        return cls(path, len(trace), trace.dropped)

    def __repr__(self) -> str:
        older = f" ({self.dropped:,} older ones were dropped)" if self.dropped else ""
        return f"{self.path}: {self.messages:,} messages{older}; open it at ui.perfetto.dev"
