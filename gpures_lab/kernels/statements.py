"""What a body cannot contain, said before its names are looked up.

The names of a lambda's parameters or of an import would otherwise be taken for names that nobody
has defined.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence

import numpy as np

from gpures_lab.kernels.source import Source

__all__ = ["check_statements", "cure_of_undefined"]

_DEFINITIONS = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_IMPORTS = {"math": "import math", "np": "import numpy as np", "gl": "import gpures_lab as gl"}


def check_statements(source: Source, body: Sequence[ast.stmt]) -> None:
    """Refuse definitions, imports and comprehensions, with what to do instead.

    Raises
    ------
    CompileError
        Shows the line.
    """
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, _DEFINITIONS):
            raise source.error(
                "a kernel's body defines no function: define it before, with def, and call it here",
                node,
            )
        if isinstance(node, ast.Import | ast.ImportFrom):
            raise source.error("a kernel's body imports nothing: import it before", node)
        if isinstance(node, _COMPREHENSIONS):
            raise source.error(
                "a kernel's body has no comprehension: loop with for … in range(…)", node
            )


def cure_of_undefined(name: str, body: Sequence[ast.stmt]) -> str | None:
    """What to do about a name that nobody has defined; None if a number is all it can be."""
    nodes = [node for statement in body for node in ast.walk(statement)]
    if any(isinstance(node, ast.Attribute) and _is(node.value, name) for node in nodes):
        return f"{_IMPORTS.get(name, f'import or assign {name}')} before"
    if not any(isinstance(node, ast.Call) and _is(node.func, name) for node in nodes):
        return None
    if hasattr(math, name):
        return f"import math before, and write math.{name}"
    if isinstance(getattr(np, name, None), np.ufunc):
        return f"import numpy as np before, and write np.{name}"
    return f"define that function before: def {name}(…)"


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
