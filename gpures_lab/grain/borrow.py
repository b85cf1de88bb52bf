"""`with grain.borrow(handle) as array:` the one door to the memory itself."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

from gpures_lab._core import _native
from gpures_lab.errors import DeviceLost, GpuResError, InvalidOption
from gpures_lab.grain.arguments import foreign, not_a_handle, released

if TYPE_CHECKING:
    from gpures_lab.grain.grain import Grain

__all__ = ["Borrow", "running_task"]

# Invalid value or handle, and those of captures: the rest sticks to the context, or is its end.
_OF_THE_STREAM: Final = frozenset({1, 400, *range(900, 909)})


class Borrow:
    """Holds a grain's later messages back while a view of one allocation is in use."""

    def __init__(self, grain: Grain, handle: object, stream: object = None) -> None:
        self._entered = False
        self._grain = grain
        self._handle = handle
        self._stream = stream
        self._driver: Any = None

    def __enter__(self) -> Any:
        grain, handle = self._grain, self._handle
        if self._entered:
            raise InvalidOption("this borrow is entered already: call grain.borrow() once more")
        if not isinstance(handle, _native.ResidentArray):
            raise not_a_handle(handle)
        if handle.grain is not grain:
            raise foreign(handle, grain.key)
        task = running_task()
        grain._hold()
        self._entered = True
        self._outer, grain._task = grain._task, task
        # Looked at after earlier messages, a Release among them, have run.
        if handle.released:
            self.__exit__()
            raise released(handle)
        try:
            view = _native.view_of(handle)
            if not isinstance(view, tuple):
                return view
            driver = grain.manager.driver
            driver.stream_address(self._stream)  # what cannot be waited for is refused here
            array = driver.array(view, handle.shape, handle.dtype)
            self._driver = driver
        except BaseException:  # no block is entered, so none is left
            self.__exit__()
            raise
        return array

    def __exit__(self, *exc_info: object) -> None:
        if not self._entered:
            raise InvalidOption("this borrow was not entered: write `with grain.borrow(x) as a:`")
        self._entered = False
        self._grain._task = self._outer
        try:
            if self._driver is not None:
                # What was queued on the stream comes before the grain's later messages.
                address = self._driver.stream_address(self._stream)
                why = self._grain._join_stream(address)
                if why:
                    raise _cannot_wait(address, why, self._grain.key)
        finally:
            self._grain._unhold()

    def __del__(self) -> None:
        if not self._entered:
            return
        key = self._grain.key
        try:
            self._entered = False
            self._grain._task = self._outer
            self._grain._unhold()
        finally:
            warnings.warn(
                f"a borrow of grain {key!r} was entered and dropped: what it held back runs now, "
                "and the view is no longer ordered with the grain; write "
                "`with grain.borrow(x) as a:`",
                RuntimeWarning,
                stacklevel=2,
            )


def _cannot_wait(address: int, why: int, key: str) -> GpuResError:
    if why not in _OF_THE_STREAM:
        return DeviceLost(
            f"CUDA error {why} at the end of a borrow of grain {key!r}: a kernel has broken this "
            "process's CUDA context: restart the Jupyter kernel (or process)"
        )
    return InvalidOption(
        f"the stream of this borrow, {address:#x}, cannot be waited for (CUDA error {why}), so "
        f"grain {key!r} goes on at once: give a stream of the grain's device that lives until the "
        "block ends"
    )


def running_task() -> object:
    """Return the asyncio task that this is, None outside of any."""
    asyncio = sys.modules.get("asyncio")  # whoever runs in a task has imported it
    try:
        return asyncio.current_task() if asyncio is not None else None
    except RuntimeError:  # no loop runs here
        return None
