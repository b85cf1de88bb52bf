"""One kernel version compiled for devices, before it is linked."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DeviceKernel"]


@dataclass(frozen=True, slots=True)
class DeviceKernel:
    """LTO-IR with the function and the entry point of ``_core/shared/device/kernel.hpp``.

    Attributes
    ----------
    name
        What people call the kernel.
    symbol
        Its function; ``"wide_" + symbol`` is its entry point. The same code has the same symbol
        in every process.
    parts
        Names and LTO-IR to link.
    arrays, shape_words, param_words
        Of its launch parameter ``WideCall``.
    any_blocks
        Whether a launch may have any number of blocks; otherwise one.
    plan
        Address of its ``WidePlanner`` (``_core/shared/wide_plan.hpp``) if a plain launch of it is
        several in a row, else 0.
    user
        Not of the library: linked into the ring only if it is light.
    """

    name: str
    symbol: str
    parts: tuple[tuple[str, bytes], ...]
    arrays: int
    shape_words: int
    param_words: int
    any_blocks: bool
    user: bool
    plan: int = 0

    @property
    def wide_entry(self) -> str:
        """Name of the entry point of a plain launch."""
        return f"wide_{self.symbol}"
