"""Declared parameters of a C++ kernel, and what is known of its body without a compiler."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpures_lab.errors import CompileError, InvalidOption
from gpures_lab.kernels.cpp.pointer_use import (
    check_pointer_use,
    check_stores,
    only_subscripts_by_index,
)
from gpures_lab.kernels.cpp.subscripts import check_subscripts
from gpures_lab.kernels.identity import digest
from gpures_lab.kernels.source import Source

__all__ = ["CppBody", "CppParameter", "read_cpp_body"]

_TYPES = {
    "bool": "bool",
    "signed char": "int8",
    "unsigned char": "uint8",
    "short": "int16",
    "unsigned short": "uint16",
    "int": "int32",
    "unsigned": "uint32",
    "unsigned int": "uint32",
    "long": "int64",
    "unsigned long": "uint64",
    "long long": "int64",
    "unsigned long long": "uint64",
    "int8_t": "int8",
    "int16_t": "int16",
    "int32_t": "int32",
    "int64_t": "int64",
    "uint8_t": "uint8",
    "uint16_t": "uint16",
    "uint32_t": "uint32",
    "uint64_t": "uint64",
    "size_t": "uint64",
    "ptrdiff_t": "int64",
    "float": "float32",
    "double": "float64",
    "complex<float>": "complex64",
    "complex<double>": "complex128",
}
_HINTS = {
    "char": "write int8_t or uint8_t, char is signed on some machines only",
    "half": "float16 can be held and moved, not computed with",
    "__half": "float16 can be held and moved, not computed with",
    "_Float16": "float16 can be held and moved, not computed with",
}
_GIVEN = frozenset({"i", "j", "k", "n"})
_DECLARATION = re.compile(
    r"(?P<type>.+?)(?P<stars>[\s*&]*)(?<![\w:])(?P<name>[A-Za-z_]\w*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class CppParameter:
    """One declared parameter.

    Attributes
    ----------
    spelled
        Its element type as written, without const and pointer.
    dtype
        The NumPy dtype of that type.
    """

    name: str
    spelled: str
    dtype: str
    is_array: bool
    is_input: bool

    @property
    def is_output(self) -> bool:
        """A pointer to non-const."""
        return self.is_array and not self.is_input


@dataclass(frozen=True, slots=True)
class CppBody:
    """A C++ kernel's declarations and statements."""

    source: Source
    parameters: tuple[CppParameter, ...]
    indices: int
    is_map: bool
    identity: str

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names in declared order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def array_names(self) -> frozenset[str]:
        """Names of the pointers."""
        return frozenset(p.name for p in self.parameters if p.is_array)


def read_cpp_body(name: str, parameters: str, body: str, indices: int, checked: bool) -> CppBody:
    """Read declarations and look at how the body uses its pointers.

    Raises
    ------
    InvalidOption
        ``indices`` is not 1, 2 or 3.
    CompileError
        A parameter or a use of a pointer that kernels do not have.
    """
    if not name.isidentifier():
        raise InvalidOption(f"a kernel's name is an identifier, such as blur; {name!r} is none")
    if indices not in (1, 2, 3):
        raise InvalidOption(f"indices = {indices}: a kernel has 1, 2 or 3", indices=indices)
    declared = tuple(_parameter(name, text) for text in _split(parameters))
    names = [parameter.name for parameter in declared]
    for each in names:
        if names.count(each) > 1:
            raise CompileError(
                f"kernel {name}: the parameter {each} is declared twice", kernel=name
            )
    if not any(parameter.is_output for parameter in declared):
        raise CompileError(
            f"kernel {name}: no output is declared; a pointer to non-const, as in float* z, is one",
            kernel=name,
        )
    source = Source(name, "its body", 1, body)
    arrays = frozenset(p.name for p in declared if p.is_array)
    check_subscripts(source, arrays)
    if checked:
        check_pointer_use(source, arrays)
        check_stores(source, frozenset(p.name for p in declared if p.is_output))
    return CppBody(
        source=source,
        parameters=declared,
        indices=indices,
        is_map=indices == 1 and only_subscripts_by_index(source, arrays),
        identity=digest(name, parameters, body, str(indices)),
    )


def _split(parameters: str) -> list[str]:
    """At commas outside template arguments."""
    parts = re.split(r",(?![^<]*>)", parameters)
    return [part.strip() for part in parts if part.strip()]


def _parameter(kernel: str, text: str) -> CppParameter:
    def refuse(reason: str) -> CompileError:
        return CompileError(f"kernel {kernel}: parameter `{text}`: {reason}", kernel=kernel)

    match = _DECLARATION.fullmatch(text)
    if match is None:
        raise refuse("write a type and a name, as in const float* x or float w")
    marks = re.sub(r"\s", "", match["stars"])
    words = match["type"].replace("*", " * ").replace("&", " & ").split()
    words = [word for word in words if word not in ("__restrict__", "__restrict", "restrict")]
    # In `float* const x` the pointer is const, not what it points to.
    is_const = "const" in (words[: words.index("*")] if "*" in words else words)
    plain = " ".join(word for word in words if word not in ("const", "*", "&"))
    plain = plain.replace("std::", "").replace(" <", "<").replace("< ", "<").replace(" >", ">")
    stars = marks.count("*") + words.count("*")
    if "&" in marks or "&" in words or "[" in text:
        raise refuse("arrays are declared as pointers, params by value")
    if stars > 1:
        raise refuse("a pointer to a pointer is no array")
    name = match["name"]
    if name in _GIVEN:
        raise refuse(f"{name} is given (i, j, k are the indices, n their count); use another name")
    if name.startswith("gpures_"):
        raise refuse("names that begin with gpures_ are taken")
    dtype = _TYPES.get(_canonical(plain))
    if dtype is None:
        hint = _HINTS.get(plain, f"known types: {', '.join(sorted(_TYPES))}")
        raise refuse(f"unknown type {plain or '(none)'}; {hint}")
    return CppParameter(name, plain, dtype, stars == 1, stars == 1 and is_const)


def _canonical(spelled: str) -> str:
    """``long int`` is ``long``, ``unsigned long long int`` is ``unsigned long long``."""
    words = spelled.split()
    if len(words) > 1 and words[-1] == "int" and words[0] != "unsigned":
        words = words[:-1]
    if len(words) > 2 and words[-1] == "int":
        words = words[:-1]
    if words[:1] == ["signed"] and words[1:] != ["char"]:
        words = words[1:] or ["int"]
    return " ".join(words)
