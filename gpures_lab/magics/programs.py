"""``%%grain_program`` records the grain calls of a cell, ``%grain_run`` replays them."""

from __future__ import annotations

import argparse
import dis
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
)

from gpures_lab import grain as grains  # its names come in when asked for
from gpures_lab.errors import InvalidOption
from gpures_lab.magics.arguments import option, parsed
from gpures_lab.magics.beside import MagicsBeside
from gpures_lab.magics.display import Line
from gpures_lab.magics.progress import waited

if TYPE_CHECKING:
    from gpures_lab.magics.names import Names

__all__ = ["ProgramMagics"]


@magics_class
class ProgramMagics(MagicsBeside):
    """Programs of one shell; the current grain is that of the line magics."""

    @cell_magic
    @needs_local_scope
    @parsed(cell=True)
    @option("name", help="name that the program gets in the notebook")
    def grain_program(self, args: argparse.Namespace, names: Names, body: str) -> Line:
        """Record the grain calls of the cell instead of sending them.

        The cell is ordinary Python; `grain` is the current grain, unless the notebook has another
        thing of that name. A program that was recorded under the name before is replaced once the
        new one is whole.

        Example::

            %%grain_program step
            for _ in range(10):
                grain.compute("kernels/Saxpy", inputs=[x, z], outputs=[z], params={"a": 0.5})
        """
        names.check_free(args.name)
        shell = self.shell
        assert shell is not None
        grain = self._lines.grain_of_cell()
        source: str = shell.transform_cell(body)  # type: ignore[no-untyped-call]
        # Cached under a file name, so that kernels defined in the cell find their source.
        code = compile(source, shell.compile.cache(source), "exec")
        scope = shell.user_ns
        lent = "grain" not in scope
        own = any(  # the cell's own `grain` stays
            step.opname in ("STORE_NAME", "STORE_GLOBAL") and step.argval == "grain"
            for step in dis.get_instructions(code)
        )
        if lent:
            scope["grain"] = grain
        try:
            with grain.record(name=args.name) as program:
                exec(code, scope)  # noqa: S102 - the user's own cell
        finally:
            if lent and not own:
                scope.pop("grain", None)
        names.bind(args.name, program)
        return Line(f"{args.name}  {program!r}")

    @line_magic
    @needs_local_scope
    @parsed()
    @option("name", help="program of %%%%grain_program or grain.record()")
    @option("--repeat", default="1", help="most iterations")
    @option("--until", help="handle of one element: the run ends when it is not zero")
    @option("--every", default="1", help="iterations between two looks at --until")
    @option("--param", action="append", default=[], metavar="a=2.0", help="scalar of this run")
    def grain_run(self, args: argparse.Namespace, names: Names) -> Any:
        """Replay a program and wait for it; the value says how often it ran and how long.

        Example::

            %grain_run step --repeat 1000
        """
        program = names.visible.get(args.name)
        if not isinstance(program, grains.Program):
            raise InvalidOption(
                f"{args.name} is no program: record one with %%grain_program {args.name}",
                name=args.name,
            )
        until = None if args.until is None else names.handle(args.until, program.grain)
        params = {}
        for text in args.param:
            name, mark, value = text.partition("=")
            if not mark:
                raise InvalidOption(f"--param {text}: give name=number, as in a=2.0", param=text)
            params[name] = names.evaluate(value, f"--param {name}=")
        repeat = names.evaluate(args.repeat, "--repeat")
        every = names.evaluate(args.every, "--every")
        run = program.run(repeat=repeat, until=until, every=every, params=params)
        return waited(run, args.name, repeat)
