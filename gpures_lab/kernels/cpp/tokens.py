"""C++ text as tokens: enough to see how a body uses its pointers, not a parser."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Token", "tokenize"]

_PATTERN = re.compile(
    r"""
    (?P<skip>\s+ | //[^\n]* | /\*.*?\*/)
  | (?P<text>(?:u8|[uUL])?R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)" | "(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])+')
  | (?P<number>\.?\d(?:[eEpP][+-]|[\w.'])*)
  | (?P<name>[^\W\d]\w*)
  | (?P<sign><<=|>>=|<=>|->\*|->|::|\+\+|--|&&|\|\||<<|>>|[-+*/%&|^!=<>]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is ``"name"``, ``"number"``, ``"text"``, ``"char"`` or ``"sign"``."""

    kind: str
    text: str
    line: int


def tokenize(text: str) -> list[Token]:
    """Tokens of ``text`` without comments; lines count from 1."""
    found = []
    line = 1
    for match in _PATTERN.finditer(text):
        kind = match.lastgroup or "sign"
        if kind == "mark":
            kind = "text"
        if kind != "skip":
            found.append(Token(kind, match.group(), line))
        line += match.group().count("\n")
    return found
