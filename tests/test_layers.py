"""The import law: a package imports only what stands below it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "gpures_lab"

NUMBERED = ("magics", "views", "grain", "kernels", "ring", "memory", "metrics", "drivers")
FREE = {"errors", "options", "environment"}  # may be imported by all
TOP = {"diagnosis", "cli"}  # may import anything
ENTRY = {"__init__", "__main__"}  # the doors: names are resolved inside functions
JUPYTER = {"magics", "views", "labserver"}
HEAVY = {
    "IPython",
    "bokeh",
    "comm",
    "cupy",
    "ipykernel",
    "ipywidgets",
    "jupyter_bokeh",
    "traitlets",
}


def part_of(module: str) -> str:
    """Top-level part of the package a dotted name belongs to: ``gpures_lab.ring.x`` is ring."""
    words = module.split(".")
    return words[1] if len(words) > 1 else "__init__"


def allowed(part: str) -> set[str]:
    """Parts that ``part`` may import at module level."""
    if part in FREE:
        return {"errors"} - {part}
    if part == "_core":
        return set()
    if part in NUMBERED:
        return set(NUMBERED[NUMBERED.index(part) :]) | FREE | {"_core"}
    if part == "labserver":
        return FREE | {"labserver"}
    if part in TOP:
        return {*NUMBERED, *FREE, *TOP, "_core", "__init__"}
    if part in ENTRY:
        return FREE | TOP
    raise AssertionError(f"gpures_lab.{part} is not in the layout; give it a place in this test")


def allowed_inside_functions(part: str) -> set[str]:
    """Parts that ``part`` may import late; only the doors and the magics reach the top."""
    late = allowed(part)
    if part == "magics" or part in ENTRY:
        late = late | TOP | set(NUMBERED)
    return late


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        if relative.parts[0] != "tutorials":
            yield relative.parts[0].removesuffix(".py"), path


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every imported module with its statement; ``from gpures_lab import x`` names ``x``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the layer"
            assert node.module is not None
            if node.module == "gpures_lab":
                for alias in node.names:
                    yield node, f"gpures_lab.{alias.name}"
            else:
                yield node, node.module


def statements_at(tree: ast.Module, kind: str) -> set[ast.stmt]:
    """Import statements inside functions (``"late"``) or under TYPE_CHECKING (``"typing"``)."""
    found: set[ast.stmt] = set()
    for node in ast.walk(tree):
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if (kind == "late" and late) or (kind == "typing" and typing):
            found.update(
                inner for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom)
            )
    return found


def violations(part: str, source: str) -> list[str]:
    """Imports of ours in ``source`` that the law forbids to ``part``."""
    tree = ast.parse(source)
    late = statements_at(tree, "late")
    typing_only = statements_at(tree, "typing")
    found = []
    for statement, module in imports(tree):
        if module.split(".")[0] != "gpures_lab":
            continue
        if part == "__init__" and statement in typing_only:
            continue  # the public names, for type checkers
        target = part_of(module)
        law = allowed_inside_functions(part) if statement in late else allowed(part)
        if target not in law:
            found.append(f"line {statement.lineno}: gpures_lab.{part} imports {module}")
    return found


@pytest.mark.parametrize(
    ("part", "path"),
    [pytest.param(part, path, id=str(path.relative_to(PACKAGE))) for part, path in modules()],
)
def test_a_module_imports_only_what_stands_below_it(part: str, path: Path) -> None:
    """Would catch: the ring importing a grain, a driver reading metrics, a cycle."""
    assert violations(part, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("ring", "from gpures_lab.grain import Grain"),
        ("ring", "import gpures_lab.kernels.signature"),
        ("ring", "def f():\n    from gpures_lab.grain import Grain"),
        ("memory", "import gpures_lab"),
        ("metrics", "from gpures_lab import ring"),
        ("grain", "def f():\n    from gpures_lab.diagnosis import status"),
        ("errors", "import gpures_lab.options"),
        ("options", "import gpures_lab.drivers"),
        ("_core", "import gpures_lab.errors"),
        ("__init__", "import gpures_lab.grain"),
    ],
)
def test_the_law_itself_sees_each_kind_of_breach(part: str, source: str) -> None:
    """Would catch: a checker that passes because it looks at nothing."""
    assert len(violations(part, source)) == 1


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("grain", "from gpures_lab.ring import messages"),
        ("ring", "from gpures_lab._core import _native"),
        ("drivers", "from gpures_lab.errors import DriverUnavailable"),
        ("magics", "def f():\n    from gpures_lab.diagnosis import status"),
        ("__init__", "if TYPE_CHECKING:\n    from gpures_lab.grain import Grain"),
        ("cli", "import gpures_lab"),
    ],
)
def test_the_law_allows_what_the_layout_means(part: str, source: str) -> None:
    assert violations(part, source) == []


def test_only_environment_reads_our_variables() -> None:
    """Would catch: a variable that the documentation of `environment` does not list."""
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for part, path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call | ast.Subscript)
        and any(word in ast.unparse(node) for word in ("environ", "getenv"))
        and "GPURES_" in ast.unparse(node)
    }
    # The demo sets the folder of the kernel that it starts.
    assert readers - {"cli.py"} == {"environment.py"}


def test_jupyter_is_imported_only_where_it_is_shown() -> None:
    """Would catch: the engine failing to import in a script on a server without Jupyter."""
    offenders = []
    for part, path in modules():
        if part in JUPYTER:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        ignored = statements_at(tree, "late") | statements_at(tree, "typing")
        offenders += [
            f"{path.relative_to(PACKAGE)}: {module}"
            for statement, module in imports(tree)
            if statement not in ignored and module.split(".")[0] in HEAVY
        ]
    assert offenders == []


def test_import_loads_nothing_heavy() -> None:
    """Would catch: `import gpures_lab` taking the second that Numba or pandas takes."""
    code = (
        "import sys, gpures_lab\n"
        "heavy = ('numba', 'numpy', 'pandas', 'bokeh', 'cupy', 'IPython', 'sqlalchemy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "[]"
