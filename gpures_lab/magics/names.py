"""What the words of a magic's line mean in the notebook."""

from __future__ import annotations

import builtins
import keyword
import operator
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab._core._native import ResidentArray
from gpures_lab.errors import InvalidOption

if TYPE_CHECKING:
    from gpures_lab.grain import Grain

__all__ = ["Names", "unquoted"]


_OF_IPYTHON = frozenset({"In", "Out", "exit", "get_ipython", "quit"})


class Names:
    """Names of the cell: a function's own first, where the magic stands in one."""

    def __init__(self, user: MutableMapping[str, Any], local: Any = None) -> None:
        self._user = user
        # One dict: a comprehension inside an expression sees only its globals.
        self.visible: dict[str, Any] = {**user, **(local or {})}

    def evaluate(self, text: str, what: str) -> Any:
        """Value of an expression.

        Raises
        ------
        InvalidOption
            It does not parse, or raised; ``what`` says where on the line it stands.
        """
        try:
            return eval(text, self.visible)  # noqa: S307 - the user's own line
        except Exception as reason:
            raise InvalidOption(
                f"{what} {text}: {type(reason).__name__}: {reason}", text=text
            ) from reason

    def whole(self, text: str, what: str, least: int = 1) -> int:
        """Value of an expression that counts something.

        Raises
        ------
        InvalidOption
            It is no whole number, or below ``least``; True counts nothing.
        """
        value = self.evaluate(text, what)
        counts = hasattr(value, "__index__") and not isinstance(value, bool | np.bool_)
        if not counts or operator.index(value) < least:
            raise InvalidOption(f"{what} {text}: give a whole number, {least} or more", value=value)
        return operator.index(value)

    def handle(self, name: str, grain: Grain | None) -> ResidentArray:
        """Resident array of that name, in the notebook or else in the grain.

        Raises
        ------
        InvalidOption
            The name means nothing, or something else.
        """
        found = self.visible.get(name)
        if isinstance(found, ResidentArray):
            return found
        if name not in self.visible:
            owned = grain.handles.get(name) if grain is not None else None
            if owned is not None:
                return owned
            raise InvalidOption(f"{name} is not defined: %grain_alloc {name} 1024", name=name)
        raise InvalidOption(on_the_host(name, found), name=name)

    def owned(self, name: str, grain: Grain) -> ResidentArray:
        """Resident array of that name, though the notebook may call something else so.

        Raises
        ------
        InvalidOption
            Neither the notebook nor the grain has one.
        """
        if not isinstance(self.visible.get(name), ResidentArray):
            found = grain.handles.get(name)
            if found is not None:
                return found
        return self.handle(name, grain)

    def on_the_host(self, name: str) -> str | None:
        """What a name means that is about to mean a resident array; None if that is no loss."""
        found = self.visible.get(name)
        if found is None or isinstance(found, ResidentArray):
            return None
        shape = getattr(found, "shape", None)
        return (
            f"{type(found).__name__} {shape}" if isinstance(shape, tuple) else type(found).__name__
        )

    def bind(self, name: str, value: object) -> None:
        """Give a value a name in the notebook."""
        self._user[name] = value
        self.visible[name] = value

    def check_new(self, name: str) -> None:
        """Raise InvalidOption unless a value can have this name."""
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidOption(f"{name!r} is no name: give an identifier, such as x", name=name)

    def check_free(self, name: str) -> None:
        """Raise InvalidOption for no name, and for one that Python or IPython needs."""
        self.check_new(name)
        if hasattr(builtins, name) or name in _OF_IPYTHON:
            raise InvalidOption(
                f"{name} is Python's own, and what uses it would break: give another name, such as "
                f"{name}_",
                name=name,
            )


def on_the_host(name: str, value: object) -> str:
    """What to say of something that should be a resident array."""
    kind = type(value)
    if (kind.__module__.split(".")[0], kind.__name__) == ("numpy", "ndarray"):
        return f"{name} is a NumPy array on the host: %grain_alloc x --from {name}"
    if kind.__module__.split(".")[0] in {"numpy", "pandas", "polars"} or kind in {list, tuple}:
        return f"{name} is a {kind.__name__} on the host: %grain_alloc x --from {name}"
    # Not under that name: what it means now would be gone.
    return (
        f"{name} is a {kind.__name__}, no resident array: give a handle; "
        "%grain_alloc x 1024 makes one"
    )


def unquoted(text: str) -> str:
    """Text without the quotes that held its spaces together on the line."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" and text[0] not in text[1:-1]:
        return text[1:-1]
    return text
