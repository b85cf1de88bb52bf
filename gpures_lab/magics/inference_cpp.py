"""The same for a C++ body: whole identifiers that are handles or numbers. Pure; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpures_lab._core._native import ResidentArray
from gpures_lab.kernels.cpp.tokens import Token, tokenize
from gpures_lab.magics.inference import (
    RESERVED,
    Uses,
    check_arrays,
    highest_index,
    is_number,
    others,
)

__all__ = ["declaration", "infer_cpp"]

_STORES = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "++", "--"}
_NO_TYPE = {"return", "else", "case", "do", "goto", "throw", "new", "delete", "sizeof"}
_SPELLED = {
    "bool": "bool",
    "float32": "float",
    "float64": "double",
    "complex64": "complex<float>",
    "complex128": "complex<double>",
}


def infer_cpp(name: str, body: str, visible: Mapping[str, Any], given: Sequence[str]) -> Uses:
    """Read a body against the names it can see; unknown ones are left to the compiler.

    Raises
    ------
    CompileError, InvalidOption
        An indexed name is no resident array, or nothing is stored.
    """
    tokens = tokenize(body)
    local: set[str] = set()
    used: dict[str, None] = {}
    indexed: dict[str, None] = {}
    stored: dict[str, None] = {}
    for at, token in enumerate(tokens):
        before = tokens[at - 1].text if at else ""
        if token.kind != "name" or before in {".", "->", "::"}:
            continue
        used[token.text] = None
        after = tokens[at + 1].text if at + 1 < len(tokens) else ""
        declared = at > 0 and tokens[at - 1].kind == "name" and before not in _NO_TYPE
        if declared or ((after in _STORES or before in {"++", "--"}) and after != "["):
            local.add(token.text)
        elif after == "[":
            indexed[token.text] = None
            if before in {"++", "--"} or _after_bracket(tokens, at + 1) in _STORES:
                stored[token.text] = None
    free = [each for each in used if each not in local]
    outputs = tuple(each for each in free if each in stored)
    inputs = tuple(
        each
        for each in free
        if each not in stored
        and (each in indexed or isinstance(visible.get(each), ResidentArray))
        and each not in RESERVED
    )
    params = tuple(
        each
        for each in free
        if each in given
        or (is_number(visible.get(each)) and each not in (*RESERVED, *inputs, *outputs))
    )
    check_arrays(name, inputs, outputs, visible)
    left = others(free, inputs, outputs, params)
    return Uses(inputs, outputs, params, highest_index(free), left)


def declaration(uses: Uses, arrays: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Parameters of the kernel as C++: pointers by dtype, a Python float as the first output."""
    parts = [f"const {_spelled(arrays[name].dtype)}* {name}" for name in uses.inputs]
    parts += [f"{_spelled(arrays[name].dtype)}* {name}" for name in uses.outputs]
    first = arrays[uses.outputs[0]].dtype
    return ", ".join([*parts, *(f"{_number(values[name], first)} {name}" for name in uses.params)])


def _number(value: Any, first: np.dtype[Any]) -> str:
    if isinstance(value, np.generic):
        return _spelled(value.dtype)
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "long long"
    return _spelled(first if isinstance(value, float) else np.dtype(type(value)))


def _spelled(dtype: np.dtype[Any]) -> str:
    return _SPELLED.get(dtype.name, f"{dtype.name}_t")


def _after_bracket(tokens: Sequence[Token], at: int) -> str:
    depth = 0
    for position in range(at, len(tokens) - 1):
        depth += {"[": 1, "]": -1}.get(tokens[position].text, 0)
        if depth == 0:
            return tokens[position + 1].text
    return ""
