"""Completion on a magic's line: its options, and handles, grains and kernels by name."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from gpures_lab import grain as grains  # its names come in when asked for
from gpures_lab import kernels
from gpures_lab._core import _native
from gpures_lab._core._native import ResidentArray

if TYPE_CHECKING:
    from gpures_lab.magics.memory import GrainMagics

__all__ = ["IDENTIFIER", "matcher"]

IDENTIFIER = "gpures_lab.magics"

Matcher = Callable[[CompletionContext], SimpleMatcherResult]


def matcher(lines: GrainMagics) -> Matcher:
    """Return the matcher for a shell's list of custom ones. It starts no manager."""

    @context_matcher(identifier=IDENTIFIER)  # type: ignore[untyped-decorator]
    def match(context: CompletionContext) -> SimpleMatcherResult:
        words = context.text_until_cursor.split()
        name = words[0].lstrip("%") if words and words[0].startswith("%") else ""
        shell: Any = lines.shell
        found = shell.magics_manager.magics
        magic = found["line"].get(name) or found["cell"].get(name)
        # Still typing the magic's own name: IPython completes that.
        if getattr(magic, "__self__", None) is None or context.text_until_cursor.endswith(name):
            return SimpleMatcherResult(completions=[])
        if type(magic.__self__).__module__.split(".")[0] != "gpures_lab":
            return SimpleMatcherResult(completions=[])
        actions = magic.parser._actions  # noqa: SLF001 - argparse lists them nowhere
        if context.token.startswith("-"):
            offered: Iterable[str] = [each for action in actions for each in action.option_strings]
        else:
            place = _place(actions, words[1 : -1 if context.token else None])
            offered = _values(lines, name, place) if place is not None else ()
        fitting = sorted(each for each in offered if each.startswith(context.token))
        # Nothing fits: an expression, which IPython completes.
        return SimpleMatcherResult(
            completions=[SimpleCompletion(each) for each in fitting],
            matched_fragment=context.token,
            suppress=bool(fitting),
        )

    checked: Matcher = match
    return checked


def _place(actions: Sequence[argparse.Action], words: Sequence[str]) -> argparse.Action | None:
    """Return the argument that the next word belongs to, behind these."""
    by_name = {name: action for action in actions for name in action.option_strings}
    positional = [action for action in actions if not action.option_strings]
    option: argparse.Action | None = None
    left, stood = 0.0, 0
    for word in words:
        if word in by_name:
            option = by_name[word]
            left = _most(option)
        elif left > 0:
            left -= 1
        else:
            stood += 1
    if left > 0:
        return option
    for action in positional:
        stood -= int(min(_most(action), stood + 1))
        if stood < 0:
            return action
    return None


def _most(action: argparse.Action) -> float:
    """How many words an argument takes at most."""
    if isinstance(action.nargs, int):
        return action.nargs
    return 1 if action.nargs in (None, "?") else math.inf


def _values(lines: GrainMagics, magic: str, place: argparse.Action) -> Iterable[str]:
    if place.choices is not None:
        return [str(each) for each in place.choices]
    if place.dest == "dtype":
        return _native.dtype_names
    if place.dest == "device":
        return ("auto", "cuda:0", "host")
    offer = _OFFERS.get((magic, place.dest))
    return offer(lines) if offer is not None else ()


def _handles(lines: GrainMagics) -> Iterable[str]:
    """Names of the notebook, and those that only the current grain has."""
    grain = lines.known_grain()
    return {
        *(
            name
            for name, value in _data(lines)
            if isinstance(value, ResidentArray) and not value.released
        ),
        *(() if grain is None else grain.handles),
    }


def _programs(lines: GrainMagics) -> Iterable[str]:
    return [name for name, value in _data(lines) if isinstance(value, grains.Program)]


def _names(lines: GrainMagics) -> Iterable[str]:
    return [name for name, _ in _data(lines)]


def _data(lines: GrainMagics) -> Iterable[tuple[str, Any]]:
    shell: Any = lines.shell
    # Not IPython's own: _ and _3 are outputs of before.
    return [(name, value) for name, value in shell.user_ns.items() if not name.startswith("_")]


def _grains(lines: GrainMagics) -> Iterable[str]:
    lab = lines.lab
    return () if lab is None or lab.closed else tuple(lab.grains)


def _kernels(lines: GrainMagics) -> Iterable[str]:
    lab = lines.lab
    return () if lab is None or lab.closed else {use.name for use in lab.kernels()}


def _library(_lines: GrainMagics) -> Iterable[str]:
    return [name for each in kernels.library_kernels() for name in (each.name, *each.aliases)]


_OFFERS: Mapping[tuple[str, str], Callable[[GrainMagics], Iterable[str]]] = {
    ("grain", "key"): _grains,
    ("grain_restore", "key"): _grains,
    ("grain_alloc", "like"): _handles,
    ("grain_alloc", "source"): _names,
    ("grain_write", "name"): _handles,
    ("grain_write", "expression"): _names,
    ("grain_read", "name"): _handles,
    ("grain_release", "names"): _handles,
    ("grain_compute", "name"): _kernels,
    ("grain_compute", "inputs"): _handles,
    ("grain_compute", "outputs"): _handles,
    ("grain_kernels", "about"): _library,
    ("grain_run", "name"): _programs,
    ("grain_run", "until"): _handles,
}
