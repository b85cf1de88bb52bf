"""The line magics that act: choose a grain, move data."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
from IPython.core.magic import Magics, line_magic, magics_class, needs_local_scope
from traitlets import Bool, Int, Unicode, observe

from gpures_lab import grain as grains  # its names come in when asked for
from gpures_lab._core._native import ResidentArray
from gpures_lab.errors import DtypeMismatch, InvalidOption
from gpures_lab.magics.arguments import option, parsed
from gpures_lab.magics.display import Line, allocated
from gpures_lab.metrics.trace import MOST_ROWS

if TYPE_CHECKING:
    from gpures_lab.grain import Grain, GrainManager
    from gpures_lab.magics.names import Names
    from gpures_lab.metrics import Trace

__all__ = ["GrainMagics"]


@magics_class
class GrainMagics(Magics):
    """Magics of one shell and its current grain."""

    device = Unicode("auto", help="Device that grains must be on: auto, host or cuda:0.").tag(
        config=True
    )
    short_errors = Bool(True, help="Show our errors as one line; False shows the traceback.").tag(
        config=True
    )

    history = Int(600, min=1, max=20_000, help="Updates that a dashboard keeps.").tag(config=True)
    trace_rows = Int(
        4096, min=0, max=MOST_ROWS, help="Latest messages kept for %grain_trace; 0 keeps none."
    ).tag(config=True)

    _key = "notebook"
    _recent: Trace | None = None
    lab: GrainManager | None = None
    """The manager once a magic has asked for it; completion looks, and starts none."""

    def grain_of_cell(self) -> Grain:
        """Return the current grain, of this process's manager."""
        self._meet(grains.manager())
        assert self.lab is not None
        return self.lab.grain(self._key, device=None if self.device == "auto" else self.device)

    def known_grain(self) -> Grain | None:
        """Return the current grain if there is one by now; starts nothing."""
        if self.lab is None or self.lab.closed:
            return None
        return self.lab.grains.get(self._key)

    def restore(self, key: str | None) -> Grain:
        """Return a grain as its last checkpoint has it; it is the current one from here on."""
        lab = grains.manager()
        self._meet(lab)
        found = lab.restore(self._key if key is None else key)
        self._key = found.key
        return found

    def recent_trace(self) -> Trace:
        """Return the trace of the latest messages.

        Raises
        ------
        InvalidOption
            None are kept.
        """
        if self._recent is None:
            raise InvalidOption(
                "no messages are kept (GrainMagics.trace_rows is 0): "
                "%config GrainMagics.trace_rows = 4096, or trace one cell with %%grain_trace"
            )
        return self._recent

    def close(self) -> None:
        """Keep no messages any more."""
        if self._recent is not None:
            self._recent.close()
            self._recent = None

    def _meet(self, lab: GrainManager) -> None:
        if lab is not self.lab:
            self.close()
            self.lab = lab
        if self._recent is None and self.trace_rows:
            self._recent = lab.trace(self.trace_rows)

    @observe("trace_rows")
    def _trace_rows_changed(self, _change: object) -> None:
        self.close()
        if self.lab is not None and not self.lab.closed:
            self._meet(self.lab)

    @line_magic
    @needs_local_scope
    @parsed()
    @option("key", nargs="?", help="name of the grain; left out, the current one is shown")
    @option("--device", help="auto, host or cuda:0")
    @option("--dtype", help="what allocations have by default")
    @option("--durable", action="store_true", help="saved when put away, at close() and at exit")
    def grain(self, args: argparse.Namespace, _names: Names) -> Grain:
        """Choose or show the current grain.

        Example::

            %grain scores --dtype float64
        """
        key = self._key if args.key is None else args.key
        device = args.device or (None if self.device == "auto" else self.device)
        lab = grains.manager()
        self._meet(lab)
        found = lab.grain(
            key, dtype=args.dtype, device=device, durable=True if args.durable else None
        )
        self._key = key
        return found

    @line_magic
    @needs_local_scope
    @parsed()
    @option("name", help="name of the handle, in the notebook and in the grain")
    @option("shape", nargs="*", default=[], help="extents: numbers or expressions")
    @option("--dtype", help="the grain's own when left out")
    @option("--from", dest="source", help="anything np.asarray takes: shape, dtype and data")
    @option("--like", help="handle whose shape and dtype it gets")
    @option("--fill", help="number that every element gets")
    @option("--pinned", action="store_true", help="page-locked host memory")
    def grain_alloc(self, args: argparse.Namespace, names: Names) -> Line:
        """Allocate resident memory and give the handle a name.

        Memory that had the name is given back. A refused call changes nothing.

        Example::

            %grain_alloc x 1024 --dtype float32 --fill 1.5
        """
        names.check_free(args.name)
        if bool(args.shape) + bool(args.source) + bool(args.like) != 1:
            raise InvalidOption("give one of: a shape, --from or --like")
        grain = self.grain_of_cell()
        from gpures_lab.grain.arguments import check_dtype, refuse_masked  # not at %load_ext

        dtype = grain.dtype if args.dtype is None else check_dtype(args.dtype)
        data: Any = None
        if args.source:
            if args.fill is not None:
                raise InvalidOption("give --from or --fill, not both")
            given = names.evaluate(args.source, "--from")
            refuse_masked(given, f"--from {args.source}")
            found = _array(given, args.source)
            shape: Any = found.shape
            dtype = check_dtype(found.dtype) if args.dtype is None else dtype
            data = _cast(found, shape, dtype, f"--from {args.source}")
        elif args.like:
            model = names.handle(args.like, grain)
            shape, dtype = model.shape, model.dtype if args.dtype is None else dtype
        else:
            extents = [names.evaluate(extent, "shape") for extent in args.shape]
            shape = extents[0] if len(extents) == 1 else tuple(extents)
        if args.fill is not None:
            data = _cast(names.evaluate(args.fill, "--fill"), (), dtype, f"--fill {args.fill}")
        # Named last and cast first: the old memory of this name is gone only if all is well.
        handle = grain.allocate(
            shape,
            dtype=dtype,
            name=args.name,
            zero=data is None,
            memory_type="pinned" if args.pinned else "device",
        )
        replaced = names.on_the_host(args.name)
        names.bind(args.name, handle)
        if data is not None:
            handle.write(data).result()
        return allocated(handle, replaced)

    @line_magic
    @needs_local_scope
    @parsed()
    @option("name", help="handle to overwrite")
    @option("expression", nargs=argparse.REMAINDER, help="anything np.asarray takes")
    def grain_write(self, args: argparse.Namespace, names: Names) -> None:
        """Copy host data into resident memory; a number fills it.

        Example::

            %grain_alloc x 4
            %grain_write x [1, 2, 3, 4]
        """
        handle = names.handle(args.name, self.grain_of_cell())
        if not args.expression:
            raise InvalidOption(f"nothing to write: %grain_write {args.name} expression")
        handle.write(names.evaluate(" ".join(args.expression), "expression")).result()

    @line_magic
    @needs_local_scope
    @parsed()
    @option("name", help="handle to read")
    @option("--into", help="name that the data gets; else it is the value of the cell")
    @option("--count", help="how many elements, all when left out")
    @option("--offset", help="first element, 0 when left out")
    def grain_read(self, args: argparse.Namespace, names: Names) -> Any:
        """Copy resident memory to the host.

        Example::

            %grain_alloc x 4 --fill 2
            %grain_read x --count 2
        """
        handle = names.handle(args.name, self.grain_of_cell())
        if args.into is not None:
            names.check_free(args.into)
        count, offset = (
            None if text is None else names.evaluate(text, what)
            for text, what in ((args.count, "--count"), (args.offset, "--offset"))
        )
        data = handle.read(count=count, offset=offset).result()
        if args.into is None:
            return data
        hidden = names.visible.get(args.into)
        names.bind(args.into, data)
        if isinstance(hidden, ResidentArray) and not hidden.released:
            return Line(
                f"{args.into} is the data now; the resident {hidden.name} stays: "
                f"%grain_release {hidden.name} gives it back"
            )
        return None

    @line_magic
    @needs_local_scope
    @parsed()
    @option("names", nargs="+", help="handles")
    def grain_release(self, args: argparse.Namespace, names: Names) -> None:
        """Give resident memory back; the handles are stale from here on.

        Example::

            %grain_alloc x 4
            %grain_release x
        """
        grain = self.grain_of_cell()
        handles = [names.owned(name, grain) for name in args.names]
        for handle in {id(each): each for each in handles}.values():
            handle.release()


def _array(value: Any, text: str) -> np.ndarray[Any, Any]:
    try:
        found = np.asarray(value)
    except (TypeError, ValueError) as reason:
        raise InvalidOption(f"--from {text}: no array can be made of it: {reason}") from None
    if found.dtype.kind in "OSUVMm":
        raise DtypeMismatch(
            f"--from {text} has dtype {found.dtype}; convert it to numbers first, as in "
            f"--from {text}.astype('float32')",
            dtype=found.dtype,
        )
    return found


def _cast(value: Any, shape: Any, dtype: np.dtype[Any], what: str) -> Any:
    """The data as the handle will have it, so that a refusal comes before anything changed."""
    result = np.empty(shape, dtype)
    try:
        np.copyto(result, value, casting="same_kind")
    except (TypeError, ValueError, OverflowError) as reason:
        raise DtypeMismatch(
            f"{what} does not cast to {dtype}: {reason}; give another --dtype", wanted=dtype
        ) from None
    return result
