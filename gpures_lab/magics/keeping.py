"""The line magics that keep state: checkpoint and restore."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from IPython.core.magic import line_magic, magics_class, needs_local_scope

from gpures_lab.errors import InvalidOption
from gpures_lab.magics.arguments import option, parsed
from gpures_lab.magics.beside import MagicsBeside
from gpures_lab.magics.display import Line
from gpures_lab.magics.progress import waited
from gpures_lab.metrics.units import bytes_text, plural

if TYPE_CHECKING:
    from gpures_lab.grain import Grain
    from gpures_lab.magics.names import Names

__all__ = ["KeepingMagics"]

AUTOMATIC = re.compile(r"a\d+")  # what an allocation without a name is called


@magics_class
class KeepingMagics(MagicsBeside):
    """Checkpoints of the current grain."""

    @line_magic
    @parsed()
    @option("--replace", action="store_true", help="even over a checkpoint that is another's")
    def grain_checkpoint(self, args: argparse.Namespace, _names: Names) -> Line:
        """Keep memory and state of the current grain, past a restart of the kernel.

        Example::

            %grain_alloc x 4 --fill 2
            %grain_checkpoint --replace
        """
        grain = self._lines.grain_of_cell()
        held = _held(grain)
        etag = waited(grain.checkpoint(replace=args.replace), f"checkpoint of {grain.key}")
        return Line(
            f"checkpoint {etag} of {grain.key!r}: {held}; "
            f"after a restart: %grain_restore{_argument(grain.key)}"
        )

    @line_magic
    @needs_local_scope
    @parsed()
    @option("key", nargs="?", help="name of the grain; left out, the current one")
    def grain_restore(self, args: argparse.Namespace, names: Names) -> Line:
        """Bring a grain back from its last checkpoint, and choose it.

        Its handles get their names in the notebook again, but for those that mean something else
        there by now.

        Example::

            %grain kept
            %grain_alloc x 4 --fill 2
            %grain_checkpoint --replace
            get_ipython().run_line_magic("grain", "").discard()
            %grain_restore kept
        """
        grain = self._lines.restore(args.key)
        named = {each: h for each, h in grain.handles.items() if not AUTOMATIC.fullmatch(each)}
        taken = {each: why for each in named if (why := _why_not(each, names)) is not None}
        bound = [each for each in named if each not in taken]
        for name in bound:
            names.bind(name, named[name])
        back = f": {', '.join(bound)}" if bound else ""
        said = f"grain {grain.key!r} is back with {_held(grain)}{back}"
        if taken:
            first = next(iter(taken))
            kept = ", ".join(each + why for each, why in taken.items())
            said += (
                f"\nnot given to the notebook, where these mean something else: {kept}; "
                f"x = gl.manager().grain({grain.key!r}).handles[{first!r}] gives one a name"
            )
        return Line(said)


def _why_not(name: str, names: Names) -> str | None:
    """What a name of a checkpoint means already; None if its handle can have it."""
    try:
        names.check_free(name)
    except InvalidOption:
        return ""  # a word of Python's, or no name at all
    found = names.on_the_host(name)
    return None if found is None else f" ({found})"


def _held(grain: Grain) -> str:
    handles = grain.handles.values()
    return (
        f"{plural(len(handles), 'allocation')}, {bytes_text(sum(each.nbytes for each in handles))}"
    )


def _argument(key: str) -> str:
    if key == "notebook":
        return ""
    return f" {key!r}" if " " in key else f" {key}"
