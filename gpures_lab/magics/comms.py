"""Offers the kernel's two comm targets to a JupyterLab extension; loads nothing until it asks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gpures_lab.views.comms.targets import Targets

__all__ = ["offer_comms", "withdraw_comms"]

# As in gpures_lab.views.comms.protocol, whose package %load_ext need not import.
_TELEMETRY: Final = "gpures_lab.telemetry"
_CONTROL: Final = "gpures_lab.control"
_BEACON: Final = "gpures_lab.beacon"


class _Offer:
    """Makes what serves the comms when the first one is opened.

    Under a lock: the two are opened at the same moment, each on the thread of its own subshell.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: Targets | None = None

    def telemetry(self, comm: Any, message: Any) -> None:
        self._targets().open_telemetry(comm, message)

    def control(self, comm: Any, message: Any) -> None:
        self._targets().open_control(comm, message)

    def close(self) -> None:
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def _targets(self) -> Targets:
        with self._lock:
            if self._made is None:
                from gpures_lab.views.comms.targets import Targets

                self._made = Targets()
            return self._made


_offer = _Offer()


def offer_comms(shell: Any) -> None:
    """Register the targets, and a comm that is never opened: comm_info lists it.

    By it the extension knows that there is something to open; asking by opening would leave an
    error in the log of every kernel that never heard of us.
    """
    manager = _comm_manager(shell)
    if manager is None:
        return
    from comm import create_comm

    manager.register_target(_TELEMETRY, _offer.telemetry)
    manager.register_target(_CONTROL, _offer.control)
    if manager.comms.get(_BEACON) is None:
        manager.register_comm(create_comm(target_name=_BEACON, comm_id=_BEACON, primary=False))


def withdraw_comms(shell: Any) -> None:
    """Close what is open and unregister the targets."""
    manager = _comm_manager(shell)
    if manager is None:
        return
    _offer.close()
    manager.targets.pop(_TELEMETRY, None)
    manager.targets.pop(_CONTROL, None)
    beacon = manager.comms.pop(_BEACON, None)
    if beacon is not None:
        beacon._closed = True  # noqa: SLF001 - it was never open: no page need hear of its end


def _comm_manager(shell: Any) -> Any:
    """Return the kernel's comm manager; None in a terminal."""
    return getattr(getattr(shell, "kernel", None), "comm_manager", None)
