"""The message trace: when each message was posted, taken and done. Opt-in, and bounded.

The engine keeps the last rows while anybody traces; a message costs it one store under a lock,
and Python nothing. `Recorder` shares that one ring among all who trace, `Trace` is one of them.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

import numpy as np

from gpures_lab.errors import InvalidOption
from gpures_lab.metrics.chrome import write_chrome_trace

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["MOST_ROWS", "Recorder", "Trace", "TraceSource", "TracedMessage"]

# TraceRow of _core/host/request.hpp; times in ns since the engine was made.
ROW: Final = np.dtype(
    [
        ("posted_ns", np.int64),
        ("taken_ns", np.int64),
        ("done_ns", np.int64),
        ("request", np.uint64),
        ("grain", np.uint32),
        ("kernel", np.uint32),
        ("opcode", np.uint16),
        ("status", np.uint16),
        ("ring", np.uint32),
    ]
)
MOST_ROWS: Final = 2_000_000  # 96 MB, and a file of some hundred


class TracedMessage(NamedTuple):
    """One message. A transfer above 64 KiB has several of one request, one a part.

    Attributes
    ----------
    request
        Its number, as errors show it.
    operation
        ``"Write"``, ``"Compute"`` and so on.
    grain
        Key of the grain.
    kernel
        Name of what a Compute ran, else ``""``.
    status
        ``"ok"``, or why it failed.
    ring
        Number of the ring that served it.
    posted_ns, taken_ns, done_ns
        Since the engine was made.
    """

    request: int
    operation: str
    grain: str
    kernel: str
    status: str
    ring: int
    posted_ns: int
    taken_ns: int
    done_ns: int


class TraceSource(Protocol):
    """What a recorder is handed: the engine's ring of rows, and words for its numbers."""

    def keep_trace(self, rows: int, /) -> None:
        """Keep the last ``rows`` rows from here on; 0 stops."""
        ...

    def read_trace(self, since: int, /) -> tuple[int, bytes]:
        """Give the number after the last row, and the rows from number ``since`` on."""
        ...

    def words(self) -> TraceWords:
        """Give the words of now."""
        ...


class TraceWords(NamedTuple):
    """Words for the numbers of a row."""

    grains: dict[int, str]
    kernels: dict[int, str]
    operations: dict[int, str]
    statuses: dict[int, str]


class Recorder:
    """Has the engine keep as many rows as the most demanding open trace wants, or none."""

    def __init__(self, source: TraceSource, label: str) -> None:
        self.source = source
        self.label = label
        self._open: list[Trace] = []
        self._lock = threading.Lock()

    def start(self, rows: int, *, earlier: bool = False) -> Trace:
        """Return a new trace of what is done from now on, or of what is still kept as well.

        Raises
        ------
        InvalidOption
        """
        if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= MOST_ROWS:
            raise InvalidOption(f"rows={rows!r} is out of range; keep 1 to {MOST_ROWS:,} messages")
        trace = Trace(self, rows, earlier=earlier)
        with self._lock:
            self._open.append(trace)
            self._keep()
        return trace

    def end(self, trace: Trace) -> None:
        """Forget a trace; with the last one the engine keeps no more."""
        with self._lock:
            if trace in self._open:
                self._open.remove(trace)
                self._keep()

    def close(self) -> None:
        """End every trace; each keeps what it has seen."""
        for trace in list(self._open):
            trace.close()

    def _keep(self) -> None:
        self.source.keep_trace(max((trace.rows for trace in self._open), default=0))


class Trace:
    """The messages done since it was started; made by `GrainManager.trace`.

    Close it, or use it with ``with``: tracing costs each message some ten nanoseconds. What was
    seen stays readable afterwards.

    Attributes
    ----------
    rows
        Messages kept; the oldest go first.
    """

    def __init__(self, recorder: Recorder, rows: int, *, earlier: bool) -> None:
        self.rows = rows
        self._recorder = recorder
        self._source = recorder.source
        self._begin = 0 if earlier else self._source.read_trace(2**63)[0]
        self._seen: tuple[int, NDArray[np.void], TraceWords] | None = None

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._seen is not None

    @property
    def dropped(self) -> int:
        """Messages that were done since the start and are no longer kept."""
        count, rows, _ = self._read()
        return count - len(rows)

    def __len__(self) -> int:
        return len(self._read()[1])

    def messages(self, last: int | None = None) -> list[TracedMessage]:
        """Return the messages kept, in the order in which they were answered.

        Parameters
        ----------
        last
            Only so many, the newest.
        """
        _, rows, words = self._read()
        if last is not None:
            rows = rows[max(0, len(rows) - last) :]
        columns = (rows[name].tolist() for name in ROW.names or ())
        return [
            TracedMessage(
                request,
                words.operations.get(opcode, f"operation {opcode}"),
                words.grains.get(grain, f"grain {grain}"),
                words.kernels.get(kernel, f"kernel {kernel}") if kernel else "",
                words.statuses.get(status, f"status {status}"),
                ring,
                posted,
                max(posted, taken),  # two threads' clocks
                max(posted, taken, done),
            )
            for posted, taken, done, request, grain, kernel, opcode, status, ring in zip(
                *columns, strict=True
            )
        ]

    def frame(self) -> pd.DataFrame:
        """Return the messages as a pandas DataFrame, one row a message. Needs pandas."""
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "Trace.frame() needs pandas: pip install 'gpures_lab[jupyter]'", name="pandas"
            ) from error
        return pd.DataFrame(self.messages(), columns=list(TracedMessage._fields))

    def save(self, path: str | PathLike[str]) -> Path:
        """Write what is kept as Chrome trace JSON, which ui.perfetto.dev opens.

        Returns the path. A file that exists is replaced, once the new one is whole.
        """
        return write_chrome_trace(Path(path), self.messages(), self._recorder.label, self.dropped)

    def close(self) -> None:
        """Stop; what was seen until here stays. Harmless when repeated."""
        if self._seen is None:
            self._seen = self._read()
            self._recorder.end(self)

    def _read(self) -> tuple[int, NDArray[np.void], TraceWords]:
        if self._seen is not None:
            return self._seen
        next_row, raw = self._source.read_trace(self._begin)
        rows = np.frombuffer(raw, ROW)[-self.rows :]
        return next_row - self._begin, rows, self._source.words()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        count, rows, _ = self._read()
        lost = f", {count - len(rows):,} older ones dropped" if count > len(rows) else ""
        state = "ended" if self.closed else "running"
        return f"<Trace {state}: {len(rows):,} messages{lost}; .save('trace.json') writes them>"
