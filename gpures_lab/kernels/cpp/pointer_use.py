"""How a C++ body uses its pointers, seen in its tokens.

In a checked body a pointer is a view that can be subscripted and asked for its size. Anything else
that can make an address is refused here, before a compiler runs, with the body's own line.
"""

from __future__ import annotations

from itertools import pairwise

from gpures_lab.errors import CompileError
from gpures_lab.kernels.cpp.tokens import Token, tokenize
from gpures_lab.kernels.source import Source

__all__ = ["check_pointer_use", "check_stores", "only_subscripts_by_index", "written_first"]

_TYPE_WORDS = frozenset(
    {"auto", "bool", "char", "const", "double", "float", "int", "long", "short", "signed"}
    | {"unsigned", "void", "size_t", "ptrdiff_t"}
    | {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
_ADDRESS_WORDS = frozenset(
    {"addressof", "asm", "__asm__", "__asm", "const_cast", "delete", "free", "malloc", "new"}
    | {"reinterpret_cast", "this", "alloca", "calloc", "realloc", "memcpy", "memset", "memmove"}
)
# What ends the process instead of the index: SIGABRT and an exit cannot be survived.
_ENDING_WORDS = frozenset(
    {"abort", "__builtin_abort", "assert", "exit", "_exit", "_Exit", "quick_exit", "at_quick_exit"}
    | {"terminate", "unexpected", "raise", "kill", "longjmp", "siglongjmp"}
)
_VALUE_WORDS_BEFORE = frozenset({"return", "case", "else", "do", "throw", "sizeof"})
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


def check_pointer_use(source: Source, arrays: frozenset[str]) -> None:
    """Refuse every use of a pointer but ``x[...]``, ``x.size()`` and ``x.shape(d)``.

    Raises
    ------
    CompileError
        Names the use, its line, and ``checked=False``.
    """
    tokens = tokenize(source.text)
    _check_balance(source, tokens)
    for position, token in enumerate(tokens):
        before = tokens[position - 1] if position else None
        after = tokens[position + 1] if position + 1 < len(tokens) else None
        if token.kind == "name":
            _check_name(source, tokens, position, arrays)
        elif token.text == "->":
            raise _refuse(source, token, "-> follows a pointer")
        elif token.text in ("*", "&", "&&"):
            _check_sign(source, token, before, after)
        elif token.text == "#" and not (after and after.text == "pragma"):
            raise _refuse(source, token, "a preprocessor directive can hide a pointer")


def _refuse(source: Source, token: Token, what: str) -> CompileError:
    return source.error(
        f"{what}; in a checked body arrays are only subscripted (x[...]) or asked for x.size() "
        "and x.shape(d). checked=False gives plain pointers, and no protection",
        token.line,
    )


def _check_balance(source: Source, tokens: list[Token]) -> None:
    """A body that closes more than it opens would go on outside its function."""
    depth = 0
    for token in tokens:
        if token.kind != "sign":
            continue
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if depth < 0:
            raise source.error(f"{token.text} closes nothing", token.line)
    if depth:
        raise source.error("a bracket is never closed", tokens[-1].line)


def _check_name(source: Source, tokens: list[Token], position: int, arrays: frozenset[str]) -> None:
    token = tokens[position]
    before = tokens[position - 1].text if position else ""
    following = [each.text for each in tokens[position + 1 : position + 3]]
    if token.text in _ADDRESS_WORDS:
        raise _refuse(source, token, f"{token.text} makes or uses an address")
    if token.text in _ENDING_WORDS and before != ".":
        raise source.error(
            f"{token.text} would end the process with every grain in it; return ends one index (a "
            "variable of that name needs another one)",
            token.line,
        )
    lasting = token.text == "thread_local" or (
        token.text == "static" and following[:1] not in (["const"], ["constexpr"])
    )
    if lasting:
        raise source.error(
            f"a {token.text} variable outlives its index and is shared with others; use a local, "
            "or an element of an array",
            token.line,
        )
    if token.text == "at" and before == "." and following[:1] == ["("]:
        raise source.error(
            ".at() ends the process when it is out of range; use a subscript", token.line
        )
    if token.text not in arrays or before in (".", "::"):
        return
    subscripted = following[:1] == ["["]
    asked = following[:1] == ["."] and following[1:] in (["size"], ["shape"])
    if not (subscripted or asked):
        raise _refuse(source, token, f"{token.text} is used as a pointer")


def _check_sign(source: Source, token: Token, before: Token | None, after: Token | None) -> None:
    """``*`` and ``&`` between two values are arithmetic; elsewhere they make or use an address."""
    # After > too: complex<float>* p declares one, and a > *p reads through one.
    if token.text == "*" and before is not None and before.text in {*_TYPE_WORDS, ">"}:
        raise _refuse(source, token, "a pointer is declared")
    if before is not None and before.text == "[" and token.text == "&":
        return  # a lambda that captures by reference
    if before is not None and before.text == "operator":
        return
    between_values = before is not None and (
        before.kind in ("number", "char")
        or (before.kind == "name" and before.text not in _VALUE_WORDS_BEFORE)
        or before.text in (")", "]", ">", "}")
    )
    if between_values and after is not None:
        return
    what = {"*": "* reads through a pointer", "&": "& takes an address"}
    raise _refuse(source, token, what.get(token.text, "&& takes an address"))


def check_stores(source: Source, outputs: frozenset[str]) -> None:
    """Refuse a checked body that cannot store: no element of an output is ever named.

    Raises
    ------
    CompileError
        Names the outputs.
    """
    texts = [token.text for token in tokenize(source.text)]
    if not any(name in outputs and after == "[" for name, after in pairwise(texts)):
        names = ", ".join(sorted(outputs))
        raise source.error(f"the body stores nothing in {names}; assign to an element, as in z[i]")


def only_subscripts_by_index(source: Source, arrays: frozenset[str]) -> bool:
    """Whether every array is used, always as ``x[i]``, and ``i`` never means anything else."""
    tokens = tokenize(source.text)
    texts = [token.text for token in tokens]
    if "#" in texts:
        return False
    used = set()
    for position, token in enumerate(tokens):
        if token.kind != "name":
            continue
        if token.text in arrays:
            used.add(token.text)
            if texts[position + 1 : position + 4] != ["[", "i", "]"]:
                return False
        elif token.text == "i" and _may_declare(tokens, position):
            return False
    return used == arrays


def written_first(source: Source, arrays: frozenset[str]) -> frozenset[str]:
    """Of a map's arrays those whose old element is never needed.

    Their first use is a statement of the body itself, under no condition, that begins
    ``x[i] =``, and nothing before it can end the body.
    """
    texts = [token.text for token in tokenize(source.text)]
    found: set[str] = set()
    seen: set[str] = set()
    depth = 0
    for position, text in enumerate(texts):
        if text in ("return", "goto", "throw"):
            break
        depth += (text in _OPEN) - (text in _CLOSE)
        if text not in arrays or text in seen:
            continue
        seen.add(text)
        starts = position == 0 or texts[position - 1] in (";", "}")
        end = next((k for k in range(position, len(texts)) if texts[k] == ";"), len(texts))
        alone = text not in texts[position + 5 : end]
        if depth == 0 and starts and texts[position + 4 : position + 5] == ["="] and alone:
            found.add(text)
    return frozenset(found)


def _may_declare(tokens: list[Token], position: int) -> bool:
    """Whether this ``i`` might be another variable's declaration."""
    before = tokens[position - 1] if position else None
    after = tokens[position + 1].text if position + 1 < len(tokens) else ""
    if before is not None:
        if before.kind == "name" and before.text not in _VALUE_WORDS_BEFORE:
            return True
        if before.text in ("*", "&", ">") and after in ("=", ";", ":", "{", "("):
            return True
        if before.text == "[" and position > 1 and tokens[position - 2].text in ("auto", "&", "&&"):
            return True
        if before.text == "," and after in ("]", ";", "=", "{", "("):
            return True
    return after == "="
