"""The trace as Chrome trace JSON: what ui.perfetto.dev and chrome://tracing open.

Each ring is a thread whose slices are what its worker did; the wait of a message before that is an
asynchronous slice of its grain, because waits overlap; a counter shows how many wait.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gpures_lab.metrics.trace import TracedMessage

__all__ = ["chrome_events", "write_chrome_trace"]

PROCESS: Final = 1  # the format wants numbers; the names stand in metadata events
_NS_PER_US: Final = 1e3


def chrome_events(messages: Sequence[TracedMessage], label: str) -> Iterator[dict[str, Any]]:
    """Yield the events of some messages.

    Parameters
    ----------
    messages
        In any order.
    label
        What the process is called: the driver that the messages ran on.
    """
    yield _name("process_name", f"gpures_lab on {label}", tid=0)
    for ring in sorted({message.ring for message in messages}):
        yield _name("thread_name", f"ring {ring}", tid=ring + 1)
    for number, message in enumerate(messages):
        yield {
            "ph": "X",
            "name": message.kernel or message.operation,
            "cat": message.operation,
            "pid": PROCESS,
            "tid": message.ring + 1,
            "ts": message.taken_ns / _NS_PER_US,
            "dur": (message.done_ns - message.taken_ns) / _NS_PER_US,
            "args": {
                "grain": message.grain,
                "request": message.request,
                "status": message.status,
                "queue_ns": message.taken_ns - message.posted_ns,
                "service_ns": message.done_ns - message.taken_ns,
            },
        }
        wait = {
            "name": f"waiting, {message.grain}",
            "cat": "queue",
            "id": number + 1,  # not the request's: a large transfer waits in several parts
            "pid": PROCESS,
            "tid": message.ring + 1,
        }
        yield {"ph": "b", "ts": message.posted_ns / _NS_PER_US, **wait}
        yield {"ph": "e", "ts": message.taken_ns / _NS_PER_US, **wait}
    yield from _pending(messages)


def _pending(messages: Sequence[TracedMessage]) -> Iterator[dict[str, Any]]:
    changes = [(message.posted_ns, 1) for message in messages]
    changes += [(message.done_ns, -1) for message in messages]
    count = 0
    for at_ns, change in sorted(changes):
        count += change
        yield {
            "ph": "C",
            "name": "messages pending",
            "pid": PROCESS,
            "ts": at_ns / _NS_PER_US,
            "args": {"pending": count},
        }


def _name(what: str, name: str, *, tid: int) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": PROCESS, "tid": tid, "args": {"name": name}}


def write_chrome_trace(
    path: Path, messages: Sequence[TracedMessage], label: str, dropped: int
) -> Path:
    """Write a trace file; the one that was there stays until the new one is whole."""
    found = {
        "displayTimeUnit": "ns",
        "otherData": {"driver": label, "messages": len(messages), "dropped": dropped},
        "traceEvents": list(chrome_events(messages, label)),
    }
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(found, file, separators=(",", ":"))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
