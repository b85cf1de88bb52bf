"""`grain.state`: a few JSON-like values that a checkpoint keeps beside the memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING

from gpures_lab.errors import InvalidOption
from gpures_lab.grain.store.manifest import check_json

if TYPE_CHECKING:
    from gpures_lab.grain.store.manifest import Json

__all__ = ["GrainState"]


class GrainState(MutableMapping[str, "Json"]):
    """A mapping of str to None, bool, int, float, str, list or dict, checked when it is set.

    A list or dict that is changed in place is checked again by the next checkpoint.
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[str, Json] = {}

    def __getitem__(self, name: str) -> Json:
        return self._values[name]

    def __setitem__(self, name: str, value: Json) -> None:
        if type(name) is not str:
            raise InvalidOption(f"state[{name!r}]: names are str, not {type(name).__name__}")
        check_json(f"state[{name!r}]", value)
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"GrainState({self._values!r})"

    def snapshot(self) -> dict[str, Json]:
        """Return a copy of its own, checked all the way down."""
        values = copy.deepcopy(self._values)
        check_json("state", values)
        return values

    def replace(self, values: Mapping[str, Json]) -> None:
        """Hold these values and no others."""
        self._values = dict(values)
