"""The subscripts of a C++ body, seen in its tokens: flat, and what they ask of the index space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpures_lab.errors import CompileError
from gpures_lab.kernels.cpp.tokens import Token, tokenize
from gpures_lab.kernels.signature import FLAT, SpaceRule
from gpures_lab.kernels.source import Source

__all__ = ["check_subscripts", "space_rule"]

_OPEN = {"(": ")", "[": "]", "{": "}"}
_CHANGES = frozenset({"+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "++", "--"})
_NO_ARRAY = frozenset({"auto", "case", "const", "delete", "new", "return", "throw", "operator"})
_INDICES = ("i", "j", "k")


@dataclass(frozen=True, slots=True)
class _Subscript:
    """``name[parts]``; ``begin`` is the place of its name, ``end`` that behind its bracket."""

    name: Token
    parts: tuple[tuple[Token, ...], ...]
    begin: int
    end: int

    @property
    def is_fixed(self) -> bool:
        """Whether it is a number as it stands there."""
        return len(self.parts) == 1 and all(each.kind == "number" for each in self.parts[0])


def check_subscripts(source: Source, arrays: frozenset[str]) -> None:
    """Refuse what reads like a subscript of several dimensions: C++ takes ``z[i, j]`` for ``z[j]``.

    Raises
    ------
    CompileError
        Shows the flat subscript.
    """
    tokens = tokenize(source.text)
    for at, token in enumerate(tokens):
        if token.kind != "name" or token.text not in arrays or at + 1 == len(tokens):
            continue
        if tokens[at + 1].text == "(" and (at == 0 or tokens[at - 1].text not in (".", "::")):
            parts, _ = _parts(tokens, at + 1)
            raise _several(source, token, parts, f"{token.text}(…) is a call of {token.text}")
    for each in _subscripts(tokens):
        name = each.name.text
        if len(each.parts) > 1:
            last = _text(each.parts[-1])
            what = f"{name}[{', '.join(map(_text, each.parts))}] means {name}[{last}] in C++"
            raise _several(source, each.name, each.parts, what)
        if name in arrays and each.end < len(tokens) and tokens[each.end].text == "[":
            following, _ = _parts(tokens, each.end)
            what = f"{name}[{_text(each.parts[0])}] is one element, which has no subscript"
            raise _several(source, each.name, (*each.parts, *following), what)


def space_rule(source: Source, names: Sequence[str], inputs: int) -> SpaceRule:
    """Read the rule of a body whose arrays are ``names``, inputs first.

    Only a subscript that is a number is taken to be the same for every index, and only in a body
    that uses its indices for nothing but subscripts; whatever else it does is its own affair.
    """
    tokens = tokenize(source.text)
    found = [each for each in _subscripts(tokens) if each.name.text in names]
    inside = {at for each in found for at in range(each.begin, each.end)}
    chooses = any(token.text in _INDICES and at not in inside for at, token in enumerate(tokens))
    adds_up = -1
    led, follows = False, False
    for each in found:
        if not _is_stored(tokens, each):
            continue
        position = names.index(each.name.text)
        if not chooses and each.is_fixed and _reads_itself(tokens, each):
            adds_up = position
        if position == inputs:
            led = True
            follows = follows or not each.is_fixed
    if not led or follows:
        return SpaceRule(adds_up)
    followed: list[int] = []
    for each in found:
        if len(each.parts[0]) == 1 and each.parts[0][0].text in _INDICES[:1]:
            followed += (names.index(each.name.text), FLAT, 0)
    return SpaceRule(adds_up, tuple(followed))


def _subscripts(tokens: Sequence[Token]) -> Iterator[_Subscript]:
    for at, token in enumerate(tokens[:-1]):
        if token.kind == "name" and token.text not in _NO_ARRAY and tokens[at + 1].text == "[":
            parts, end = _parts(tokens, at + 1)
            yield _Subscript(token, parts, at, end)


def _parts(tokens: Sequence[Token], at: int) -> tuple[tuple[tuple[Token, ...], ...], int]:
    """What stands between this bracket and its other, at its commas; and the place behind."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for position in range(at, len(tokens)):
        text = tokens[position].text
        closes = text in _OPEN.values()
        depth -= closes
        if depth == 0 and closes:
            return tuple(map(tuple, parts)), position + 1
        if depth == 1 and text == ",":
            parts.append([])
        elif depth:
            parts[-1].append(tokens[position])
        depth += text in _OPEN
    return tuple(map(tuple, parts)), len(tokens)


def _several(
    source: Source, name: Token, parts: Sequence[Sequence[Token]], what: str
) -> CompileError:
    """Row by row: ``z[(i * z.shape(1) + j) * z.shape(2) + k]``."""
    flat = ""
    for axis, part in enumerate(parts):
        text = _text(part) if len(part) == 1 else f"({_text(part)})"
        if axis == 0:
            flat = text
        else:
            before = flat if axis == 1 else f"({flat})"
            flat = f"{before} * {name.text}.shape({axis}) + {text}"
    return source.error(f"{what}; a subscript is flat, in C order: {name.text}[{flat}]", name.line)


def _text(tokens: Sequence[Token]) -> str:
    """As close to how it was written as tokens tell."""
    text = " ".join(each.text for each in tokens)
    for loose, close in ((" . ", "."), (" (", "("), ("( ", "("), (" )", ")"), (" ,", ",")):
        text = text.replace(loose, close)
    return text


def _is_stored(tokens: Sequence[Token], found: _Subscript) -> bool:
    after = tokens[found.end].text if found.end < len(tokens) else ""
    before = tokens[found.begin - 1].text if found.begin else ""
    return after == "=" or after in _CHANGES or before in ("++", "--")


def _reads_itself(tokens: Sequence[Token], found: _Subscript) -> bool:
    if found.end == len(tokens) or tokens[found.end].text != "=":
        return True  # += and its kind
    for token in tokens[found.end :]:
        if token.text == ";":
            return False
        if token.text == found.name.text:
            return True
    return False
