"""Object code into this process: linked by LLVM's JIT linker, without Numba."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import Any

__all__ = ["LinkError", "ObjectCode", "link"]

_lock = threading.Lock()
_counter = itertools.count()
_jit: list[Any] = []


class LinkError(Exception):
    """The object code cannot be used in this process; compile again."""


@dataclass(frozen=True, slots=True)
class ObjectCode:
    """Relocatable machine code.

    Attributes
    ----------
    symbol
        Its entry point.
    data
        An object file's bytes.
    imports
        Functions it calls outside itself, by symbol.
    """

    symbol: str
    data: bytes
    imports: tuple[str, ...]


def link(code: ObjectCode) -> tuple[int, object]:
    """Address of the entry point, and what keeps the code alive.

    Raises
    ------
    LinkError
        The bytes are no object file, or a symbol is missing.
    """
    from llvmlite import binding as llvm

    with _lock:
        if not _jit:
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            _jit.append(llvm.create_lljit_compiler(suppress_errors=True))
        builder = llvm.JITLibraryBuilder().add_object_img(code.data).add_current_process()
        for name in code.imports:
            builder.import_symbol(name, _address(llvm, name))
        builder.export_symbol(code.symbol)
        try:
            tracker = builder.link(_jit[0], f"gpures-{next(_counter)}")
        except RuntimeError as reason:
            raise LinkError(str(reason)) from reason
        return int(tracker[code.symbol]), tracker


def _address(llvm: Any, name: str) -> int:
    address = llvm.address_of_symbol(name)
    if not address:
        import numba  # noqa: F401 - registers the symbols of its own runtime with LLVM

        address = llvm.address_of_symbol(name)
    if not address:
        raise LinkError(f"no function {name} in this process")
    return int(address)
