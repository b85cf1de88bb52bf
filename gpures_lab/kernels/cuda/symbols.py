"""Names and sizes of a user's kernel version on devices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpures_lab.kernels.identity import digest
from gpures_lab.kernels.signature import Signature
from gpures_lab.kernels.typed.kernel import compiled_arrays, param_words

if TYPE_CHECKING:
    from gpures_lab.kernels.definition import Kernel

__all__ = ["symbol_of", "word_counts"]


def symbol_of(kernel: Kernel, signature: Signature) -> str:
    """The same for equal kernels and signatures in every process; readable in a profiler."""
    plain = re.sub(r"\W", "_", kernel.name, flags=re.ASCII)[:32]
    return f"gpures_{plain}_{digest(kernel.identity, repr(signature))[:16]}"


def word_counts(signature: Signature) -> tuple[int, int, int]:
    """Distinct arrays, words of their shapes, words of the params: what ``WideCall`` holds."""
    positions, _ = compiled_arrays(signature)
    shapes = sum(max(signature.arrays[position].ndim, 1) for position in positions)
    words = param_words(signature.params)
    last = words[-1] if words else None
    ends = 0 if last is None else last[1] + (2 if last[0] == "complex128" else 1)
    return len(positions), shapes, ends
