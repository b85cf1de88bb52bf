"""The same for a C++ body: whole identifiers that are handles or numbers. Pure; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpures_lab._core._native import ResidentArray
from gpures_lab.kernels.cpp.subscripts import check_subscripts
from gpures_lab.kernels.cpp.tokens import Token, tokenize
from gpures_lab.kernels.source import Source
from gpures_lab.magics.inference import (
    FIRST_LINE,
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
_TYPES = {
    *("auto", "bool", "char", "short", "int", "long", "unsigned", "signed", "float", "double"),
    *(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *("size_t", "ptrdiff_t", "complex"),
}
_TEMPLATES = {"complex", "array", "pair", "tuple"}
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
        An indexed name is no resident array, it has several subscripts, or nothing is stored.
    """
    tokens = tokenize(body)
    local = _declared(tokens)
    named = {token.text for token in tokens} - local
    arrays = frozenset(each for each in named if isinstance(visible.get(each), ResidentArray))
    # Before what is stored is looked for: `z[i][j] = 1` and `z(i, j) = 1` mean to store.
    check_subscripts(Source(name, "<cell>", FIRST_LINE, body), arrays)
    used: dict[str, None] = {}
    indexed: dict[str, None] = {}
    stored: dict[str, None] = {}
    for at, token in enumerate(tokens):
        before = tokens[at - 1].text if at else ""
        if token.kind != "name" or before in {".", "->", "::"}:
            continue
        used[token.text] = None
        after = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if token.text in local or token.text in _TYPES:
            continue
        if (after in _STORES or before in {"++", "--"}) and after != "[":
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


def _declared(tokens: Sequence[Token]) -> set[str]:
    """Names that the body declares: ``float t, *p = &x[i], rows[4];``, ``auto [low, high] = …``."""
    found: set[str] = set()
    for at, token in enumerate(tokens):
        if token.kind == "name" and at and _ends_type(tokens, at):
            found.add(token.text)
            found.update(_further_declarators(tokens, at + 1))
        elif token.text == "auto":
            bracket = at + 1
            while bracket < len(tokens) and tokens[bracket].text in {"&", "&&"}:
                bracket += 1
            if bracket < len(tokens) and tokens[bracket].text == "[":
                for name in tokens[bracket + 1 :]:
                    if name.text == "]":
                        break
                    found.add(name.text)
    return found - {","}


def _ends_type(tokens: Sequence[Token], at: int) -> bool:
    """Whether what stands before a name is a type, so that the name is declared."""
    before = at - 1
    pointed = False
    while before > 0 and tokens[before].text in {"*", "&", "&&", "const"}:
        pointed = pointed or tokens[before].text != "const"
        before -= 1
    last = tokens[before]
    if last.text == ">":  # a template's arguments, if it is a name that they follow
        depth = 0
        while before > 0:
            depth += {">": 1, "<": -1}.get(tokens[before].text, 0)
            before -= 1
            if depth == 0:
                break
        return depth == 0 and tokens[before].text in _TEMPLATES
    if last.kind != "name" or last.text in _NO_TYPE:
        return False
    # `a * b` multiplies unless `a` is a type that the language or the body's header names.
    return not pointed or last.text in _TYPES


def _further_declarators(tokens: Sequence[Token], at: int) -> list[str]:
    found = []
    depth = 0
    while at < len(tokens):
        text = tokens[at].text
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text, 0)
        if depth < 0 or (depth == 0 and text in {";", ":"}):
            break
        if depth == 0 and text == ",":
            at += 1
            while at < len(tokens) and tokens[at].text in {"*", "&", "const"}:
                at += 1
            if at < len(tokens) and tokens[at].kind == "name":
                found.append(tokens[at].text)
        at += 1
    return found


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
