"""A magic's options: ``-h``, help that ends in an example, errors of one line."""

from __future__ import annotations

import argparse
import functools
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments

from gpures_lab.errors import GpuResError
from gpures_lab.magics.names import Names, unquoted

if TYPE_CHECKING:
    from IPython.core.magic import Magics

__all__ = ["example_of", "option", "parsed"]

EXAMPLE = "Example::"

_Method = TypeVar("_Method", bound=Callable[..., Any])


class _HelpAsked(Exception):
    """``-h`` was on the line: no error, a way out of argparse."""


class _Help(argparse.Action):
    def __call__(self, *_args: Any, **_options: Any) -> NoReturn:
        raise _HelpAsked


def option(*names: str, **keywords: Any) -> Callable[[_Method], _Method]:
    """Declare an argument of a magic, as `argparse.ArgumentParser.add_argument` takes it."""
    decorate: Callable[[_Method], _Method] = argument(*names, **keywords)  # type: ignore[no-untyped-call]
    return decorate


def parsed(*, cell: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a magic of a method that takes the parsed arguments and the names of the caller.

    The docstring's ``Example::`` moves behind the options, so that the help ends with it.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        text, _, example = inspect.cleandoc(method.__doc__ or "").partition(EXAMPLE)
        shown = textwrap.indent(inspect.cleandoc(example), "    ")
        method.argcmd_kwds = {  # type: ignore[attr-defined]
            "description": text.strip(),
            "epilog": f"{EXAMPLE}\n\n{shown}",
        }
        option("-h", "--help", action=_Help, nargs=0, help="print this and do nothing")(method)
        method = magic_arguments()(method)  # type: ignore[no-untyped-call]
        parser = method.parser  # type: ignore[attr-defined]
        sign = "%%" if cell else "%"

        @functools.wraps(method)
        def magic(self: Magics, line: str, body: str | None = None, local_ns: Any = None) -> object:
            assert self.shell is not None
            names = Names(self.shell.user_ns, local_ns)
            try:
                try:
                    found = _strip_quotes(parser.parse_argstring(line))
                except UsageError as error:
                    # Of this line alone: a magic inside a recorded cell has signed its own.
                    raise UsageError(f"{error}; see {sign}{parser.prog} --help") from None
                given = (found, names) if body is None else (found, names, body)
                return method(self, *given)
            except _HelpAsked:
                # The formatter writes reStructuredText, for `%magic?`.
                print(parser.format_help().replace("::\n\n  %", f"usage: {sign}", 1))  # noqa: T201
                return None
            except GpuResError as error:
                if self.short_errors:  # type: ignore[attr-defined]
                    _show_one_line(error)
                raise

        return magic

    return decorate


def example_of(magic: Callable[..., Any]) -> str:
    """Return the example at the end of a magic's help, as a cell."""
    return inspect.cleandoc((magic.__doc__ or "").partition(EXAMPLE)[2])


def _strip_quotes(found: argparse.Namespace) -> argparse.Namespace:
    for name, value in vars(found).items():
        if isinstance(value, str):
            setattr(found, name, unquoted(value))
        elif isinstance(value, list):
            setattr(found, name, [unquoted(v) if isinstance(v, str) else v for v in value])
    return found


def _show_one_line(error: GpuResError) -> None:
    # IPython asks the exception how to show itself; its type stays, so `except` still works.
    show = functools.partial(_line, f"{type(error).__name__}: {error}")
    error._render_traceback_ = show  # type: ignore[attr-defined]


def _line(text: str) -> Sequence[str]:
    return [text]
