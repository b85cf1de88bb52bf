"""Completion on a magic's line: its options, and handles, grains and kernels by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

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
        if context.token.startswith("-"):
            offered: Iterable[str] = [
                each
                for action in magic.parser._actions  # noqa: SLF001 - argparse lists them nowhere
                for each in action.option_strings
            ]
        else:
            before = words[-2] if context.token else words[-1]
            offered = _values(lines, name, before)
        fitting = sorted(each for each in offered if each.startswith(context.token))
        # Nothing fits: an expression, which IPython completes.
        return SimpleMatcherResult(
            completions=[SimpleCompletion(each) for each in fitting],
            matched_fragment=context.token,
            suppress=bool(fitting),
        )

    checked: Matcher = match
    return checked


def _values(lines: GrainMagics, name: str, before: str) -> Iterable[str]:
    lab = lines.lab
    running = lab is not None and not lab.closed
    if before == "--lang":
        return ("cpp", "python")
    if before == "--name":
        return {use.name for use in lab.kernels()} if lab is not None and running else ()
    if name == "grain":
        return tuple(lab.grains) if lab is not None and running else ()
    shell: Any = lines.shell
    if before == "--from" or name == "grain_write":  # any data will do
        return {each for each in shell.user_ns if not each.startswith("_")}
    return {each for each, value in shell.user_ns.items() if isinstance(value, ResidentArray)}
