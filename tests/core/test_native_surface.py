"""The stub of the native module against the module itself."""

from __future__ import annotations

import ast
from pathlib import Path

from gpures_lab._core import _native

STUB = Path(__file__).parents[2] / "gpures_lab" / "_core" / "_native.pyi"
PRIVATE_TO_CPYTHON = {"__doc__", "__module__", "__weakref__", "__dict__"}


def stub_names() -> dict[str, set[str]]:
    """Names of the module (key ``""``) and of each class."""
    names: dict[str, set[str]] = {"": set()}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names[""].add(node.name)
            names[node.name] = {_name(each) for each in node.body} - {""}
        else:
            names[""].add(_name(node))
    return {key: {name for name in found if name} for key, found in names.items()}


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef):
        return node.name
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return ""


def test_the_stub_names_what_the_module_has() -> None:
    """Would catch: a function added to the binding, or renamed, without its types."""
    public = {name for name in vars(_native) if not name.startswith("_")}
    assert stub_names()[""] - {"_T_co"} == public


def test_the_stub_names_what_each_class_has() -> None:
    """Would catch: a method that type checkers believe in and the class lacks, or the reverse."""
    for name, declared in stub_names().items():
        if not name:
            continue
        real = set(vars(getattr(_native, name)))
        assert declared - real <= {"__init__", "__new__"}, name
        hidden = {each for each in real - declared if not each.startswith("__")}
        assert hidden == set(), name
