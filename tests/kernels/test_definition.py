"""What a kernel is before any call: its parameters, its captures, its identity, its refusals."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import linecache
import math
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpures_lab.kernels as gl
from gpures_lab.errors import CompileError, InvalidOption
from gpures_lab.kernels import bind, cache_counters, kernel, kernel_from_source, reduction

from .calling import call


def _define(text: str, **names: Any) -> Any:
    """Define ``f`` as a notebook cell would: compiled text that ``linecache`` knows."""
    text = textwrap.dedent(text)
    filename = f"<cell {abs(hash(text))}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    exec(compile(text, filename, "exec"), names)  # noqa: S102 - as a notebook does
    return names["f"]


def test_a_kernel_says_what_it_takes() -> None:
    @kernel
    def saxpy(i, x, y, z, a, b=2.0):  # noqa: PLR0917
        z[i] = a * x[i] + y[i] * b

    assert (saxpy.name, saxpy.kind, saxpy.indices, saxpy.checked) == ("saxpy", "index", 1, True)
    assert saxpy.parameters == ("x", "y", "z", "a", "b")
    assert saxpy.defaults == {"b": 2.0}
    assert repr(saxpy) == "<index kernel saxpy(i, x, y, z, a, b)>"
    assert bind(saxpy, 2, 1, ["a"]).params == ("a", "b")
    assert bind(saxpy, 2, 1, ["a"]).arrays == ("x", "y", "z")

    @kernel(checked=False)
    def fast(i, j, k, z):
        z[i, j, k] = 1

    assert (fast.indices, fast.checked) == (3, False)


@pytest.mark.parametrize(
    ("inputs", "outputs", "params", "message"),
    [
        (1, 1, ["a"], r"takes 3 arrays \(x, y, z\).*got 1 inputs and 1 outputs"),
        (3, 1, ["a"], r"takes 3 arrays \(x, y, z\).*got 3 inputs and 1 outputs"),
        (3, 0, ["a"], r"at least 1 of them an output"),
        (2, 1, [], r"needs the param a; its params: a"),
        (2, 1, ["a", "q"], r"has no param q; its params: a"),
        (2, 1, ["a", "x"], r"no param x.*x is an array, pass its handle among inputs or outputs"),
    ],
)
def test_a_call_that_does_not_fit_says_what_would(
    inputs: int, outputs: int, params: list[str], message: str
) -> None:
    @kernel
    def saxpy(i, x, y, z, a):
        z[i] = a * x[i] + y[i]

    with pytest.raises(InvalidOption, match=message):
        bind(saxpy, inputs, outputs, params)


def test_storing_to_an_input_is_refused_with_its_name() -> None:
    @kernel
    def f(i, x, z):
        x[i] = 1.0
        z[i] = 2.0

    with pytest.raises(CompileError, match="stores to x, which this call binds as an input"):
        bind(f, 1, 1, [])
    assert bind(f, 0, 2, []).arrays == ("x", "z")


_REFUSED = [
    ("def f(x, z): z[0] = 1", "first parameter is x; a kernel begins with its indices"),
    ("def f(i, z): pass", "stores nothing"),
    ("def f(i, z): i = 1; z[i] = 1", "index i cannot be assigned"),
    ("def f(i, z):\n    for i in range(3): z[i] = 1", "index i cannot be assigned"),
    ("def f(i, x, z): z = x[i]; x[i] = z; z[i] = 1", "array z cannot be assigned"),
    ("def f(i, x, a, z): z[i] = x[i] * a", "uses a as a number, and it stands before the array z"),
    ("def f(i, x, z): z[i] = x[i] + x", "x is used both as an array and as a number"),
    ("def f(i, z, *rest): z[i] = 1", r"no \*args"),
    ("def f(i, z): z[i] = missing", "missing is not defined; a kernel reads what it captures"),
    ("def f(i, z): z[i] = table[i]", r"table is an array \(ndarray\).*pass it as an argument"),
    ("def f(i, z): z[i] = numbers[0]", "numbers is a list.*pass it as an argument"),
    ("def f(i, z): z[i] = len(word)", "word is a str; kernels capture numbers, plain functions"),
    ("def f(i, z): z[i] = half", "float16, with which kernels cannot compute"),
    ("def f(i, z): z[i] = loop(1)", "calls itself; kernels have no recursion"),
    ("def f(i, z): z[i] = np.nothing(1)", "numpy has no nothing"),
]


@pytest.mark.parametrize(("text", "message"), _REFUSED, ids=[t for t, _ in _REFUSED])
def test_what_is_refused_when_it_is_defined(text: str, message: str) -> None:
    def loop(v):
        return loop(v)

    names = {
        "np": np,
        "table": np.zeros(3),
        "numbers": [1],
        "word": "w",
        "half": np.float16(1),
        "loop": loop,
    }
    with pytest.raises(CompileError, match=message):
        kernel(_define(text, **names))


_REFUSED_AT_COMPILE = [
    ("def f(i, x, z): z[i] = q; q = 1", "q is read before it is assigned"),
    ("def f(i, x, z): z[i] = x[0.5]", r"subscript of x is a float64, not an integer; write int"),
    ("def f(i, x, z): z[i] = x[x[i]]", "subscript of x is a float32, not an integer"),
    ("def f(i, x, z): z[i] = x[1:2]", "slices are not part"),
    ("def f(i, x, z): z[i] = x[i, 0]", r"x has 1 dimensions and takes 1 subscript \(flat\), not 2"),
    ("def f(i, x, z): z[i] = x[i] & 1", "& has no version for float32 and int64"),
    ("def f(i, x, z): z[i] = x.T", "arrays in kernels have shape, size and ndim, not T"),
    ("def f(i, x, z): z[i] = x.shape", r"x.shape needs an axis, as in x.shape\[0\]"),
    ("def f(i, x, z): z[i] = x.shape[1]", "axis 1 is out of range: the array has 1 dimensions"),
    ("def f(i, x, z): z[i] = np.sum(x[i])", "np.sum is not part of kernels"),
    ("def f(i, x, z): z[i] = math.factorial(3)", "math.factorial is not part of kernels"),
    ("def f(i, x, z): z[i] = [x[i]]", "List is not part of the kernel language"),
    ("def f(i, x, z): z[i] = 'a'", "'a' is not a number"),
    ("def f(i, x, z):\n    for k in x: z[i] = k", r"kernels loop over range\(...\) only"),
    ("def f(i, x, z):\n    for k in abs(3): z[i] = k", r"kernels loop over range\(...\) only"),
    ("def f(i, x, z):\n    with x[i]: z[i] = 1", "With is not part of the kernel language"),
    ("def f(i, x, z):\n    abs(i)\n    z[i] = 1", "computes something and drops it"),
    ("def f(i, x, z):\n    z[i] = 1\n    return 3", "an index kernel returns nothing"),
    ("def f(i, x, z): z[i] = x[i] is 3", "`is` and `in` are not part of kernels"),
    ("def f(i, x, z): z[i] = x[i] @ 3", "matrix multiplication is not part"),
    ("def f(i, x, z): z[i] = (1j * i) < 2", "complex numbers have no order"),
    ("def f(i, x, z): z[i] = half_done(x[i])", "returns a number on every path"),
    ("def f(i, x, z): z[i] = scale(x[i], 1, 2)", "scale takes 1 arguments"),
    ("def f(i, x, z): z[i] = scale(w=1)", "scale has no parameter w"),
    ("def f(i, x, z): z[i] = math", "math is a module, not a number"),
    ("def f(i, x, z): z[i] = i(3)", r"i is not a function kernels know"),
    ("def f(i, x, z): z[i] = range(3)", "range stands in a for statement only"),
]


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize(
    ("text", "message"), _REFUSED_AT_COMPILE, ids=[t for t, _ in _REFUSED_AT_COMPILE]
)
def test_what_is_refused_for_these_dtypes(text: str, message: str) -> None:
    def half_done(v):  # noqa: RET503 - the error under test
        if v > 0:
            return v

    def scale(v):
        return v * 2

    names = {"np": np, "math": math, "half_done": half_done, "scale": scale}
    with pytest.raises(CompileError, match=message):
        call(kernel(_define(text, **names)), [np.zeros(2, "f4")], [np.zeros(2, "f4")])


def test_an_error_shows_the_users_line_its_place_and_a_caret() -> None:
    function = _define(
        """
        # a comment first

        def f(i, x, z):
            t = x[i]
            z[i] = t + x[i, 1]  # two subscripts
        """
    )
    with pytest.raises(CompileError) as caught:
        call(kernel(function), [np.zeros(3)], [np.zeros(3)])
    text = str(caught.value)
    assert f"kernel f, {function.__code__.co_filename}, line 6: x has 1 dimensions" in text
    lines = text.splitlines()
    assert lines[1] == "    z[i] = t + x[i, 1]  # two subscripts"
    assert lines[2].index("^") == lines[1].index("x[i, 1]")
    assert caught.value.__dict__["line"] == 6
    assert caught.value.__dict__["kernel"] == "f"


def test_a_notebooks_cell_is_named_as_the_notebook_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches ``/tmp/ipykernel_71/2871.py`` in an error that the user should find in a cell."""
    shell = types.SimpleNamespace(
        compile=types.SimpleNamespace(format_code_name=lambda _name: ("Cell", "In[3]"))
    )
    notebook = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    with pytest.raises(CompileError, match=r"kernel f, cell In\[3\]: the body stores"):
        kernel(_define("def f(i, z): pass"))
    shell.compile.format_code_name = lambda _name: None
    with pytest.raises(CompileError, match=r"kernel f, <cell \d+>: the body stores"):
        kernel(_define("def f(i, z): pass"))


def test_source_that_cannot_be_read_says_where_to_define_it() -> None:
    names: dict[str, Any] = {}
    exec("def f(i, z): z[i] = 1", names)  # noqa: S102 - without a text
    with pytest.raises(CompileError, match=r"source text cannot be read.*file or a notebook cell"):
        kernel(names["f"])


def test_equal_source_and_captures_have_one_identity() -> None:
    """Catches an identity that a comment changes, or that a captured value does not."""
    text = "def f(i, x, z):\n    z[i] = x[i] * scale\n"
    spaced = "# new\ndef f(i, x, z):\n    # why\n    z[i]  =  x[i]*scale\n"
    first = kernel(_define(text, scale=2))
    assert kernel(_define(spaced, scale=2)).identity == first.identity
    for other in (3, 2.0, np.float32(2), True):
        assert kernel(_define(text, scale=other)).identity != first.identity
    assert kernel(_define(text.replace("x[i]", "x[i-1]"), scale=2)).identity != first.identity
    assert kernel(checked=False)(_define(text, scale=2)).identity != first.identity
    assert first.captures == {"scale": "builtins.int 2"}


def test_a_called_functions_source_is_part_of_the_identity() -> None:
    def define(inner: str) -> gl.Kernel:
        helper = _define(inner)
        return kernel(_define("def f(i, z): z[i] = helper(i)", helper=helper))

    first = define("def f(v): return v + 1")
    assert define("def f(v): return v + 1").identity == first.identity
    assert define("def f(v): return v + 2").identity != first.identity


def test_captures_are_read_when_the_kernel_is_defined() -> None:
    names: dict[str, Any] = {"scale": 2.0}
    function = _define("def f(i, x, z): z[i] = x[i] * scale", **names)
    made = kernel(function)
    function.__globals__["scale"] = 5.0
    z = np.zeros(1)
    call(made, [np.ones(1)], [z])
    assert z[0] == 2.0
    call(kernel(function), [np.ones(1)], [z])
    assert z[0] == 5.0


def test_the_modules_math_and_numpy_are_no_captures() -> None:
    @kernel
    def f(i, z):
        z[i] = math.sin(np.float32(i)) + gl.fma(1.0, 2.0, i)

    assert not any("module" in value for value in f.captures.values())
    assert set(f.captures) >= {"math.sin", "np.float32", "gl.fma"}


def test_redefining_with_equal_source_compiles_nothing() -> None:
    def define() -> gl.Kernel:
        return kernel(_define("def f(i, x, z): z[i] = x[i] * 17.25"))

    x, z = np.ones(3), np.zeros(3)
    call(define(), [x], [z])
    before = cache_counters()
    call(define(), [x], [z])
    after = cache_counters()
    assert (after.compiled, after.kernels) == (before.compiled, before.kernels)
    assert after.memory_hits == before.memory_hits + 1


def test_a_cell_body_is_a_kernel_too() -> None:
    body = "t = x[i] * a  # comment\nz[i] = t + n\n"
    made = kernel_from_source(
        "cell", body, inputs=["x"], outputs=["z"], params=["a"], namespace={}, filename="<cell 7>"
    )
    z = np.zeros(5)
    call(made, [np.ones(5)], [z], {"a": 2.0})
    assert z.tolist() == [7.0] * 5
    with pytest.raises(CompileError, match=r"kernel cell, <cell 7>, line 2: .*\n    z\[i\] = nope"):
        kernel_from_source(
            "cell",
            "x[i]\nz[i] = nope",
            inputs=["x"],
            outputs=["z"],
            namespace={},
            filename="<cell 7>",
        )
    with pytest.raises(CompileError, match=r"line 1: .*invalid syntax"):
        kernel_from_source("cell", "z[i] = = 1", inputs=[], outputs=["z"], namespace={})


def test_n_is_the_count_of_indices_unless_it_means_something_else() -> None:
    def run(body: str, outputs: list[Any], **options: Any) -> None:
        names = ["z"]
        made = kernel_from_source("c", body, inputs=[], outputs=names, **options)
        call(made, [], outputs, {"n": 3} if "n" in options.get("params", ()) else {})

    z = np.zeros((2, 5))
    run("z[i, j] = n", [z], indices=2, namespace={})
    assert (z == 10).all()
    flat = np.zeros(4)
    run("n = 7\nz[i] = n", [flat], namespace={})
    assert (flat == 7).all()
    run("z[i] = n", [flat], namespace={}, params=["n"])
    assert (flat == 3).all()


def test_decorators_and_the_python_interpreter_do_not_get_in_the_way() -> None:
    def passing(function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    @kernel
    @passing
    def f(i: int, z: np.ndarray, a: float = 1.5) -> None:
        """Docstring."""
        value: float = a
        z[i] = value

    z = np.zeros(2)
    call(f, [], [z])
    assert z.tolist() == [1.5, 1.5]
    with pytest.raises(CompileError, match="made of a plain function, not of a type"):
        kernel(np.float32)


_BAD_REDUCTIONS = [
    ("def f(acc): return acc", "an accumulator and at least one value"),
    ("def f(acc, v): acc = acc + v", "returns its accumulator on every path"),
    ("def f(acc, v):\n    if v > 0: return acc", "returns its accumulator on every path"),
    ("def f(acc, v): return acc + v[0]", "v is used as an array; a reduction gets one value"),
]


@pytest.mark.parametrize(("text", "message"), _BAD_REDUCTIONS, ids=[t for t, _ in _BAD_REDUCTIONS])
def test_reductions_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        reduction(init=0.0)(_define(text))


def test_a_reductions_start_is_a_number() -> None:
    with pytest.raises(CompileError, match="init is an array"):
        reduction(init=np.zeros(2))(_define("def f(acc, v): return acc + v"))
