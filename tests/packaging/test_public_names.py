"""The public face: what ``import gpures_lab as gl`` offers."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

import gpures_lab
from gpures_lab import errors

SOURCE = Path(gpures_lab.__file__)
ERRORS = list(errors.__all__)


def test_the_names_are_held() -> None:
    """Would catch: a public name that vanished, or one that became public by accident."""
    assert set(gpures_lab.__all__) == {
        *errors.__all__,
        "Completion",
        "ComputeResult",
        "Grain",
        "GrainManager",
        "Kernel",
        "MetricsServer",
        "Program",
        "ResidentArray",
        "ResidentMemoryMetrics",
        "RingOptions",
        "RunResult",
        "Trace",
        "TracedMessage",
        "cpp_kernel",
        "dashboard",
        "fma",
        "kernel",
        "library_kernels",
        "manager",
        "messages",
        "prometheus_text",
        "reduction",
        "serve_metrics",
        "status",
    }
    assert list(gpures_lab.__all__) == sorted(gpures_lab.__all__)
    assert len(set(gpures_lab.__all__)) == len(gpures_lab.__all__)


def test_type_checkers_see_the_same_names_at_the_same_places() -> None:
    """Would catch: a name that works and has no type, or has a type and does not work."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    typed = {
        alias.name: statement.module
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    resolved = {
        name: f"gpures_lab.{gpures_lab._HOME_OF.get(name, 'errors')}" for name in gpures_lab.__all__
    }
    assert typed == resolved


@pytest.mark.parametrize(
    "name", [*ERRORS, "RingOptions", "ResidentMemoryMetrics", "prometheus_text", "status"]
)
def test_a_name_is_found_and_is_the_same_object_again(name: str) -> None:
    first = getattr(gpures_lab, name)
    assert getattr(gpures_lab, name) is first
    assert first.__name__ == name
    assert name in dir(gpures_lab)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Would catch: `hasattr` and `from gpures_lab import typo` raising something else."""
    assert not hasattr(gpures_lab, "no_such_name")
    with pytest.raises(ImportError):
        exec("from gpures_lab import no_such_name")  # noqa: S102 - the statement is the test


def test_no_package_has_the_name_of_a_public_function() -> None:
    """Would catch: `gl.kernel` being the function or the module, by order of imports."""
    modules = {path.stem for path in SOURCE.parent.iterdir() if path.suffix in {"", ".py"}}
    assert modules & set(gpures_lab.__all__) == set()


def test_an_error_keeps_its_fields() -> None:
    error = gpures_lab.RingFull("ring 0 full: 4/4 slots", slots=4, used=4)
    assert (error.fields, str(error)) == ({"slots": 4, "used": 4}, "ring 0 full: 4/4 slots")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.fields, str(again)) == (error.fields, str(error))
