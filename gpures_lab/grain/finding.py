"""``lab.grain(key)``: the grain of a key, activated by the first who asks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab.errors import InvalidOption
from gpures_lab.grain.arguments import check_dtype
from gpures_lab.grain.checkpoint import hint_of
from gpures_lab.grain.grain import Grain
from gpures_lab.grain.store.manifest import LONGEST_KEY_BYTES
from gpures_lab.options import ManagerOptions

if TYPE_CHECKING:
    from gpures_lab.grain.directory import GrainManager

__all__ = ["find"]


def find(
    owner: GrainManager,
    key: str,
    *,
    dtype: Any,
    device: str | None,
    placement: str | None,
    durable: bool | None,
) -> Grain:
    """Serve `GrainManager.grain`."""
    owner._check_open()
    found = owner._grains.get(key) if isinstance(key, str) else None
    if found is not None and (dtype, placement, device, durable) == (None,) * 4:
        return found
    if not isinstance(key, str) or not 0 < len(_utf8(key)) <= LONGEST_KEY_BYTES:
        raise InvalidOption(
            f"key={key!r}: give a str of 1 to {LONGEST_KEY_BYTES} UTF-8 bytes", key=key
        )
    if placement not in (None, "shared", "dedicated"):
        raise InvalidOption(f"placement={placement!r} is unknown; use 'shared' or 'dedicated'")
    if durable is not None and not isinstance(durable, bool):
        raise InvalidOption(f"durable={durable!r}: give True or False")
    if device is not None and _driver_name(device) not in ("auto", owner.driver.name):
        raise InvalidOption(
            f"device={device!r}: this manager runs on {owner.driver.label}; make a "
            f"GrainManager(device={device!r}) for the other"
        )
    wanted = None if dtype is None else check_dtype(dtype)
    if durable:
        owner._saver.prepare()
    made = False
    with owner._lock:
        found = owner._grains.get(key)
        if found is None:
            found = Grain._activate(
                owner,
                key,
                dtype=np.dtype(np.float32) if wanted is None else wanted,
                dedicated=placement == "dedicated",
                durable=bool(durable),
            )
            owner._grains[key] = found
            made = True
    if made:
        if durable:
            _warn_of_its_store(found)
        return found
    for name, given, has in (
        ("dtype", wanted, found.dtype),
        ("placement", placement, found.placement),
        ("durable", durable, durable if durable == found._durable else found.durable),
    ):
        if given is not None and given != has:
            raise InvalidOption(
                f"grain {key!r} exists with {name}={str(has)!r}, asked for {str(given)!r}; "
                f"leave {name} out, or use another key",
                key=key,
            )
    return found


def _warn_of_its_store(grain: Grain) -> None:
    # At the end, when saving it is refused, nothing can be done any more.
    found = grain.manager._saver.peek(grain.key, make=True)
    if found is not None and found.error is not None:
        warnings.warn(
            f"durable grain {grain.key!r} cannot be saved as things are: {found.error}",
            RuntimeWarning,
            stacklevel=4,
        )
        return
    hint = hint_of(grain)
    if hint:
        warnings.warn(
            f"durable grain {grain.key!r} begins empty over an older one: {hint}. Restore it "
            "first: else deactivation, close() and exit refuse to save over it, and only "
            "checkpoint(replace=True) does",
            RuntimeWarning,
            stacklevel=4,
        )


def _driver_name(device: str) -> str:
    # Looked at as text: whether another device could be used is not asked here.
    return ManagerOptions(device=device).device.partition(":")[0]


def _utf8(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form
        return b""
