"""C++ kernels for devices: generated file → NVRTC → LTO-IR."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gpures_lab.errors import CompileError
from gpures_lab.kernels.cpp.backend import check_dtypes
from gpures_lab.kernels.cpp.declaration import CppBody
from gpures_lab.kernels.cpp.pointer_use import check_pointer_use
from gpures_lab.kernels.cpp.source_text import BODY_FILE
from gpures_lab.kernels.cpp.tokens import tokenize
from gpures_lab.kernels.cuda.cpp_source import write_device_source
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.ltoir_cache import cached, device_key
from gpures_lab.kernels.cuda.read_only import read_only_loads
from gpures_lab.kernels.cuda.symbols import symbol_of, word_counts
from gpures_lab.kernels.cuda.toolchain import compile_ltoir
from gpures_lab.kernels.signature import Signature

if TYPE_CHECKING:
    from gpures_lab.kernels.definition import Kernel

__all__ = ["compile_cpp_kernel"]

_OF_MANY_THREADS = re.compile(
    r"__shared__|__(sync|barrier_|shfl|ballot|match_|reduce_|activemask)\w*|__(any|all)(_sync)?"
)
_FOR_GOOD = frozenset({"__trap", "__brkpt", "__assertfail", "assert", "printf", "vprintf"})
_IN_BODY = re.compile(rf"^{BODY_FILE}\((\d+)\): (?:catastrophic )?error: (.*)$", re.MULTILINE)


def compile_cpp_kernel(
    kernel: Kernel, names: tuple[str, ...], signature: Signature
) -> DeviceKernel:
    """Compile, or find; ``names`` are the arrays' parameters in binding order.

    Raises
    ------
    DtypeMismatch
        An array or param of the call has another dtype than declared.
    CompileError
        The body is refused, by us or by NVRTC.
    """
    body = kernel.definition
    assert isinstance(body, CppBody)
    check_dtypes(kernel, body, names, signature)
    _check_words(body)
    if signature.checked:
        check_pointer_use(body.source, body.array_names)
    symbol, counts = symbol_of(kernel, signature), word_counts(signature)
    text = write_device_source(body, names, signature, symbol, counts)

    def build() -> tuple[bytes, dict[str, Any]]:
        try:
            code = compile_ltoir(text, kernel.name)
        except CompileError as error:
            raise _in_body(body, error, checked=signature.checked) from error
        found = read_only_loads([(symbol, code)])
        if found:
            raise body.source.error(
                f"it reads memory through the read-only cache ({found[0]}); the ring kernel never "
                "ends, so such a read sees stale data: load it plainly"
            )
        return code, {}

    artifact, _ = cached(device_key("cpp", text), ".ltoir", build)
    return DeviceKernel(
        name=kernel.name,
        symbol=symbol,
        parts=((symbol, artifact.payload),),
        arrays=counts[0],
        shape_words=counts[1],
        param_words=counts[2],
        any_blocks=True,
        user=True,
    )


def _check_words(body: CppBody) -> None:
    """Refuse what would hang a ring or end its context, checked or not: a body is one index's."""
    for token in tokenize(body.source.text):
        if token.kind != "name":
            continue
        if _OF_MANY_THREADS.fullmatch(token.text):
            raise body.source.error(
                f"{token.text} is for threads that work together; a body is one index's, and the "
                "thread beside it may have none: it would wait for ever",
                token.line,
            )
        if token.text in _FOR_GOOD:
            raise body.source.error(
                f"{token.text} would end, or hold up, the GPU's whole context and every grain in "
                "it; return ends one index",
                token.line,
            )


def _in_body(body: CppBody, error: CompileError, *, checked: bool) -> CompileError:
    """The compiler's error as one of the user's own line."""
    said = str(error.fields["compiler"])
    first = _IN_BODY.search(said)
    if first is None:
        return error
    hint = ""
    if checked and "View<" in said:
        hint = (
            "; in a checked body arrays are only subscripted (x[...]) or asked for x.size() and "
            "x.shape(d). checked=False gives plain pointers, and no protection"
        )
    found = body.source.error(f"{first[2]}{hint}", int(first[1]))
    found.fields["compiler"] = said
    found.__dict__["compiler"] = said
    return found
