"""The text of a kernel body, and errors that show the user's own line of it."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpures_lab.errors import CompileError

__all__ = ["Source", "read_source"]


@dataclass(frozen=True, slots=True)
class Source:
    """Dedented text of one function or cell, and where it came from.

    Attributes
    ----------
    name
        What errors call it: the kernel's or function's name.
    filename
        As the compiler knows it; shown as the cell's number where IPython knows it.
    first_line
        Line of ``filename`` on which ``text`` begins, from 1.
    text
        Dedented.
    """

    name: str
    filename: str
    first_line: int
    text: str

    def error(self, message: str, node: ast.AST | int | None = None) -> CompileError:
        """A ``CompileError`` that quotes the line of ``node`` (or line number in ``text``)."""
        line = node if isinstance(node, int) else getattr(node, "lineno", None)
        column = None if isinstance(node, int) else getattr(node, "col_offset", None)
        where = f"kernel {self.name}, {_display_name(self.filename)}"
        if line is None:
            return CompileError(f"{where}: {message}", kernel=self.name, filename=self.filename)
        number = self.first_line + line - 1
        lines = self.text.splitlines()
        quoted = lines[line - 1] if 0 < line <= len(lines) else ""
        shown = f"{where}, line {number}: {message}\n    {quoted.strip()}"
        if column is not None:
            # col_offset counts UTF-8 bytes; the caret must stand under a character.
            before = quoted.encode()[:column].decode(errors="ignore")
            indent = len(quoted) - len(quoted.lstrip())
            shown += "\n    " + " " * max(len(before) - indent, 0) + "^"
        return CompileError(
            shown,
            kernel=self.name,
            filename=self.filename,
            line=number,
            source_line=quoted.strip(),
        )


def _display_name(filename: str) -> str:
    """``cell In[3]`` where IPython compiled it, else the file name itself."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    naming = getattr(getattr(shell, "compile", None), "format_code_name", None)
    if naming is not None:
        found = naming(filename)
        if found:
            kind, name = found
            return f"{kind.lower()} {name}"
    return filename


def read_source(function: Callable[..., Any]) -> tuple[Source, ast.FunctionDef | ast.Lambda]:
    """Text and syntax tree of a Python function.

    Works for files, notebook cells and any code whose text is in ``linecache``.

    Raises
    ------
    CompileError
        The text cannot be had, or it is not a plain ``def`` or a single lambda.
    """
    code = function.__code__
    name = function.__name__
    linecache.checkcache(code.co_filename)
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError) as reason:
        raise CompileError(
            f"kernel {name}: its source text cannot be read ({reason}); define it with `def` in a "
            "file or a notebook cell",
            kernel=name,
            filename=code.co_filename,
        ) from reason
    source = Source(name, code.co_filename, max(first, 1), textwrap.dedent("".join(lines)))
    return source, _find_function(source, name)


def _find_function(source: Source, name: str) -> ast.FunctionDef | ast.Lambda:
    try:
        tree = ast.parse(source.text)
    except SyntaxError as reason:
        raise source.error(
            "its source text is not a whole statement; define it with `def`", reason.lineno
        ) from reason
    if name == "<lambda>":
        lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
        if len(lambdas) != 1:
            raise source.error("several lambdas stand on one line; use `def`")
        return lambdas[0]
    statement = tree.body[0]
    if isinstance(statement, ast.FunctionDef):
        return statement
    raise source.error("a kernel is written as a plain `def`", statement)
