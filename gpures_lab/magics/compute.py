"""``%%grain_compute``: the cell is the kernel."""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.magic import cell_magic, magics_class, needs_local_scope

from gpures_lab import kernels  # its names come in when asked for
from gpures_lab.errors import InvalidOption
from gpures_lab.magics.arguments import option, parsed
from gpures_lab.magics.beside import MagicsBeside
from gpures_lab.magics.display import TimedCompute
from gpures_lab.magics.inference import FIRST_LINE, Uses, infer_python
from gpures_lab.magics.inference_cpp import declaration, infer_cpp
from gpures_lab.magics.progress import repeated, waited
from gpures_lab.magics.recipes import Recipe, Recipes

if TYPE_CHECKING:
    from gpures_lab.grain import Completion, ComputeResult
    from gpures_lab.magics.memory import GrainMagics
    from gpures_lab.magics.names import Names

__all__ = ["ComputeMagics"]


@magics_class
class ComputeMagics(MagicsBeside):
    """The cell magic; the current grain is that of the line magics."""

    def __init__(self, shell: Any, lines: GrainMagics) -> None:
        super().__init__(shell, lines)
        self._recipes = Recipes()

    @cell_magic
    @needs_local_scope
    @parsed(cell=True)
    @option("--name", default="cell", help="what errors and metrics call the kernel")
    @option("--lang", choices=("python", "cpp"), default="python")
    @option("--in", dest="inputs", nargs="+", help="handles; found in the body when left out")
    @option("--out", dest="outputs", nargs="+", help="handles; found in the body when left out")
    @option(
        "--param",
        action="append",
        default=[],
        metavar="a=2.0",
        help='a number of the body; quoted if it has spaces: --param "a=np.pi / 2"',
    )
    @option("--n", help="count of indices; the first output's when left out")
    @option("--repeat", default="1", help="how often to run it")
    @option("--noblock", action="store_true", help="do not wait; the value is the completion")
    @option("--into", help="name that the completion of --noblock gets")
    @option("--time", action="store_true", help="the value of the cell is the ComputeResult")
    @option("--fast", action="store_true", help="without checks of the range of subscripts")
    def grain_compute(self, args: argparse.Namespace, names: Names, body: str) -> Any:
        """Run the cell as a kernel, once for every index i (j, k).

        Names that are stored to with an index are outputs, other indexed names inputs, other free
        names numbers of the notebook. With --repeat, --noblock gives the last completion.

        Example::

            %%grain_compute --param a=0.5
            z[i] = a * x[i]
        """
        grain = self._lines.grain_of_cell()
        if args.into is not None:
            names.check_free(args.into)
            if not args.noblock:
                raise InvalidOption("--into names the completion of --noblock; give both")
        count = None if args.n is None else names.whole(args.n, "--n", 0)
        repeat = names.whole(args.repeat, "--repeat")
        told = dict(_param(text, names) for text in args.param)
        # Handles that only the grain has by name count as well.
        visible = {**grain.handles, **names.visible}
        recipe = self._recipes.find(args, body, visible, told)
        if recipe is None:
            recipe = self._new_recipe(args, body, visible, told, names)
        uses, kernel = recipe.uses, recipe.kernel
        arrays = {each: names.handle(each, grain) for each in (*uses.inputs, *uses.outputs)}
        values = {each: told.get(each, visible.get(each)) for each in uses.params}
        inputs = [arrays[each] for each in uses.inputs]
        outputs = [arrays[each] for each in uses.outputs]

        def post() -> Completion[ComputeResult]:
            return grain.compute(kernel, inputs=inputs, outputs=outputs, params=values, n=count)

        first: Completion[ComputeResult] | None = post()
        if first is None:  # a program records it: `%%grain_program` around this cell
            return self._recorded(args, post, repeat)
        if args.noblock:
            last = first
            for _ in range(repeat - 1):
                last = post()
            if args.into is None:
                return last
            names.bind(args.into, last)
            return None
        # Of many, each result is taken as soon as there are others to wait for.
        if repeat == 1:
            result = waited(first, args.name)
        else:
            posted = itertools.chain((first,), (post() for _ in range(repeat - 1)))
            result = repeated(functools.partial(next, posted), repeat, args.name)
        if not args.time:
            return None
        given = (*uses.inputs, *uses.params)
        return TimedCompute.of(result, uses.outputs, given, kernel.versions)

    @staticmethod
    def _recorded(args: argparse.Namespace, post: Callable[[], object], repeat: int) -> None:
        for word, given in (("--noblock", args.noblock), ("--time", args.time)):
            if given:
                raise InvalidOption(
                    f"{word} has no completion to show while a program is recorded: leave it out"
                )
        for _ in range(repeat - 1):
            post()

    def _new_recipe(
        self,
        args: argparse.Namespace,
        body: str,
        visible: dict[str, Any],
        told: dict[str, Any],
        names: Names,
    ) -> Recipe:
        infer = infer_python if args.lang == "python" else infer_cpp
        uses = _as_told(infer(args.name, body, visible, tuple(told)), args)
        unused = [each for each in told if each not in uses.params]
        if unused:
            raise InvalidOption(
                f"--param {unused[0]}: the body has no number of that name; "
                f"it has {', '.join(uses.params) or 'none'}",
                param=unused[0],
            )
        arrays = {each: names.handle(each, None) for each in (*uses.inputs, *uses.outputs)}
        values = {each: told.get(each, visible.get(each)) for each in uses.params}
        if args.lang == "cpp":
            found = kernels.cpp_kernel(
                args.name,
                declaration(uses, arrays, values),
                body,
                indices=uses.indices,
                checked=not args.fast,
            )
        else:
            found = kernels.kernel_from_source(
                args.name,
                body,
                inputs=uses.inputs,
                outputs=uses.outputs,
                params=uses.params,
                namespace=visible,
                indices=uses.indices,
                first_line=FIRST_LINE,
                checked=not args.fast,
            )
        return self._recipes.keep(args, body, visible, told, Recipe(uses, found))


def _as_told(uses: Uses, args: argparse.Namespace) -> Uses:
    """The line's --in and --out in place of what the body says."""
    outputs = uses.outputs if args.outputs is None else tuple(args.outputs)
    inputs = uses.inputs if args.inputs is None else tuple(args.inputs)
    inputs = tuple(each for each in inputs if each not in outputs)
    return replace(uses, inputs=inputs, outputs=outputs)


def _param(text: str, names: Names) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    if not mark:
        raise InvalidOption(f"--param {text}: give name=number, as in a=2.0", param=text)
    names.check_new(name)
    return name, names.evaluate(value, f"--param {name}=")
