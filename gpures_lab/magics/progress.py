"""Waiting for long work behind a bar; what is quick shows none."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from gpures_lab._core._native import Completion

__all__ = ["repeated", "waited"]

DELAY_S = 0.5  # before a bar appears; tqdm is imported only then
LOOK_S = 0.1
AHEAD = 512  # messages of a repeated call under way; the ring holds a thousand

_T = TypeVar("_T")


def waited(completion: Completion[_T], what: str, total: int | None = None) -> _T:
    """Return the result of one completion; Ctrl-C ends the wait, as in `result`.

    Parameters
    ----------
    what
        Stands before the bar.
    total
        What `progress()` counts up to; None where it cannot say.
    """
    try:
        return completion.result(DELAY_S)
    except TimeoutError:
        pass
    with _bar(what, total) as bar:
        while True:
            try:
                result = completion.result(LOOK_S)
            except TimeoutError:
                bar.update((completion.progress() or 0) - bar.n)
                continue
            if total is not None:
                bar.update((completion.progress() or total) - bar.n)
            return result


def repeated(post: Callable[[], Completion[_T]], times: int, what: str) -> _T:
    """Post a message several times and wait for all; return the last result.

    Only some are under way at a time, so that a million calls need no million completions. The
    first error ends it, once the others that were under way are done.
    """
    bar: Any = None
    show_at = time.monotonic() + DELAY_S
    pending: deque[Completion[_T]] = deque()
    try:
        for number in range(times):
            if len(pending) == AHEAD:
                pending.popleft().result()
            pending.append(post())
            # The clock costs more than the look that it saves, were it asked each time.
            if number % 64 == 63 and time.monotonic() >= show_at:
                if bar is None:
                    bar = _bar(what, times)
                bar.update(number + 1 - len(pending) - bar.n)
                show_at = time.monotonic() + LOOK_S
        while len(pending) > 1:
            pending.popleft().result()
        return pending.popleft().result()
    finally:
        for each in pending:
            each.exception()  # the first one is raised; the rest is looked at
        if bar is not None:
            bar.close()


def _bar(what: str, total: int | None) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=what, leave=False, mininterval=LOOK_S)
