"""Names that mean something only inside a kernel body."""

from __future__ import annotations

from typing import NoReturn

from gpures_lab.errors import InvalidOption

__all__ = ["fma"]


def fma(x: float, y: float, z: float) -> NoReturn:
    """``x * y + z`` rounded once, inside a kernel.

    Kernels are compiled without contraction, so that their results equal NumPy's; this asks for
    the fused operation by name.

    Raises
    ------
    InvalidOption
        Always, when called outside a kernel.
    """
    raise InvalidOption("gl.fma has a meaning inside a kernel body only; here write x * y + z")
