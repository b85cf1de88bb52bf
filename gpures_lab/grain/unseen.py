"""Failed messages that nobody looked at: said at a cell's end, by a checkpoint, or at the end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from gpures_lab._core import _native
from gpures_lab.metrics.units import plural
from gpures_lab.ring.failures import failure_of
from gpures_lab.ring.wire import Status, word_of

if TYPE_CHECKING:
    from gpures_lab.grain.directory import GrainManager

__all__ = ["report_unseen", "unseen_text"]


def unseen_text(owner: GrainManager) -> str:
    """Return one line on those that have come since the last time; empty if there are none."""
    count, some = owner._engine.take_unseen()
    if not count:
        return ""
    keys = {grain._counts()["index"]: key for key, grain in owner.grains.items()}
    first, *rest = some
    others = [f"request {each['request']}" for each in rest[:3]]
    unnamed = count - 1 - len(others)
    if unnamed:
        others.append(f"{unnamed:,} more")
    also = f" (also {', '.join(others)})" if others else ""
    whose = "its completion" if count == 1 else "their completions"
    return (
        f"{plural(count, 'message')} failed and nobody looked at {whose}: "
        f"{_cause(owner, first, keys)}{also}; call .result() on what may fail"
    )


def _cause(owner: GrainManager, failed: dict[str, Any], keys: dict[int, str]) -> str:
    request, key = failed["request"], keys.get(failed["grain"], "one that is gone")
    if failed["status"] == Status.HOST_FAILED:
        kind, text = owner._saver.failed(request)
        return f"grain {key!r}, {kind}: request {request} ({word_of(failed['opcode'])}): {text}"
    kernel = _native.kernel_names().get(failed["kernel_id"]) if failed["kernel_id"] else None
    error = failure_of(request, key, failed | {"kernel": kernel, "program": None})
    return f"grain {key!r}, {type(error).__name__}: {error}"


def report_unseen(owner: GrainManager) -> None:
    """Warn of those that have come since the last time."""
    text = unseen_text(owner)
    if text:
        warnings.warn(text, RuntimeWarning, stacklevel=3)
