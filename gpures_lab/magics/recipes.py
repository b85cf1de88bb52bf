"""What a cell's body came to, kept: reading it again costs more than running it."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gpures_lab._core._native import ResidentArray
from gpures_lab.magics.inference import Uses, is_number

if TYPE_CHECKING:
    from gpures_lab.kernels import Kernel

__all__ = ["Recipe", "Recipes"]

MOST = 256  # as many kernels as the cache of compiled ones keeps

_Types = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The names of a body, and its kernel."""

    uses: Uses
    kernel: Kernel


class Recipes:
    """Recipes by line and body, and kernels by identity: an equal cell is the same kernel.

    A recipe is used again only if every name means what it meant: arrays are arrays, numbers are
    numbers (their values may differ), and the rest are builtins or modules. A body that calls a
    function of the notebook is read anew each time, because what it calls may have changed.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], tuple[_Types, Recipe]] = OrderedDict()
        self._kernels: OrderedDict[str, Kernel] = OrderedDict()

    def find(
        self,
        args: argparse.Namespace,
        body: str,
        visible: Mapping[str, Any],
        told: Mapping[str, Any],
    ) -> Recipe | None:
        """Return what an earlier run of an equal cell came to, if it still holds."""
        key = _key(args, body, told)
        found = self._kept.get(key)
        if found is None or found[0] != _types(found[1].uses, args, visible, told):
            return None
        self._kept.move_to_end(key)
        return found[1]

    def keep(
        self,
        args: argparse.Namespace,
        body: str,
        visible: Mapping[str, Any],
        told: Mapping[str, Any],
        made: Recipe,
    ) -> Recipe:
        """Keep a recipe; the one returned has the kernel of an equal one, with what it compiled."""
        kernel = self._kernels.setdefault(made.kernel.identity, made.kernel)
        self._kernels.move_to_end(made.kernel.identity)
        recipe = Recipe(made.uses, kernel)
        if all(
            isinstance(visible.get(each), ModuleType | None.__class__) for each in made.uses.others
        ):
            types = _types(recipe.uses, args, visible, told)
            self._kept[_key(args, body, told)] = (types, recipe)
        for kept in (self._kept, self._kernels):
            while len(kept) > MOST:
                kept.popitem(last=False)
        return recipe


def _key(args: argparse.Namespace, body: str, told: Mapping[str, Any]) -> tuple[object, ...]:
    inputs, outputs = tuple(args.inputs or ()), tuple(args.outputs or ())
    return (args.name, args.lang, args.fast, inputs, outputs, tuple(told), body)


def _types(
    uses: Uses, args: argparse.Namespace, visible: Mapping[str, Any], told: Mapping[str, Any]
) -> _Types:
    found: list[object] = []
    for name in (*uses.inputs, *uses.outputs):
        value = visible.get(name)
        # The dtype is part of a C++ declaration.
        found.append(value.dtype if isinstance(value, ResidentArray) else None)
    for name in uses.params:
        value = told[name] if name in told else visible.get(name)
        found.append((type(value) if args.lang == "cpp" else True) if is_number(value) else None)
    found += [visible.get(name) for name in uses.others]
    return tuple(found)
