"""`with grain.borrow(handle) as array:` the one door to the memory itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gpures_lab._core import _native
from gpures_lab.grain.arguments import foreign, not_a_handle, released

if TYPE_CHECKING:
    from gpures_lab.grain.grain import Grain

__all__ = ["Borrow"]


class Borrow:
    """Holds a grain's later messages back while a view of one allocation is in use."""

    def __init__(self, grain: Grain, handle: object) -> None:
        self._grain = grain
        self._handle = handle
        self._driver: Any = None

    def __enter__(self) -> Any:
        grain, handle = self._grain, self._handle
        if not isinstance(handle, _native.ResidentArray):
            raise not_a_handle(handle)
        if handle.grain is not grain:
            raise foreign(handle, grain.key)
        grain._hold()
        self._outer, grain._task = grain._task, _running_task()
        # Looked at after earlier messages, a Release among them, have run.
        if handle.released:
            self.__exit__()
            raise released(handle)
        view = _native.view_of(handle)
        if not isinstance(view, tuple):
            return view
        self._driver = grain.manager.driver
        return self._driver.array(view, handle.shape, handle.dtype)

    def __exit__(self, *exc_info: object) -> None:
        self._grain._task = self._outer
        try:
            if self._driver is not None:
                # What was queued on the present stream comes before the grain's later messages.
                self._driver.finish_stream()
        finally:
            self._grain._unhold()


def _running_task() -> object:
    asyncio = sys.modules.get("asyncio")  # whoever runs in a task has imported it
    try:
        return asyncio.current_task() if asyncio is not None else None
    except RuntimeError:  # no loop runs here
        return None
