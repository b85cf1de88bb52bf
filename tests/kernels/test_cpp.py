"""C++ bodies: declarations, checked views, raw speed, errors with the body's own line."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpures_lab.errors import CompileError, DtypeMismatch, InvalidOption
from gpures_lab.kernels import Kernel, bind, compile_host, cpp_kernel
from gpures_lab.kernels.cpp import compiler
from gpures_lab.kernels.cpp.declaration import CppBody

from .calling import call, signature_of

_BLUR = "const float* x, float* z, float w"


def _code(kernel: Kernel, inputs: list[Any], outputs: list[Any], params: Any = None) -> Any:
    return compile_host(kernel, signature_of(kernel, inputs, outputs, params or {}))


def test_a_map_runs_without_checks_and_equals_numpy() -> None:
    blur = cpp_kernel("blur", _BLUR, "z[i] = w * x[i];")
    x, z = np.linspace(0, 1, 100, dtype="f4"), np.zeros(100, "f4")
    assert call(blur, [x], [z], {"w": 0.1}) == [0] * 8
    np.testing.assert_array_equal(z, x * np.float32(0.1))
    code = _code(blur, [x], [z], {"w": 0.1})
    assert (code.is_map, code.may_fault, code.indices) == (True, True, 1)
    assert blur.parameters == ("x", "z", "w")


def test_a_product_and_a_sum_are_not_contracted() -> None:
    f = cpp_kernel("f", "const double* x, double* z", "z[i] = x[i] * x[i] - 1.0;")
    x, z = np.full(64, 1 + 2.0**-30), np.zeros(64)
    call(f, [x], [z])
    assert (z == 2.0**-29).all()


def test_out_of_range_reads_give_zero_and_writes_are_dropped() -> None:
    f = cpp_kernel("f", _BLUR, "z[i + 3] = x[i - 1] + w;\nif (i == 0) z[0] = x[1000000] + 5;")
    x, z = np.arange(1, 9, dtype="f4"), np.full(8, -1, "f4")
    assert call(f, [x], [z], {"w": 0.0}) == [1, 0, -1, -1, 8, 0, 0, 0]
    assert z.tolist() == [5, -1, -1, 0, 1, 2, 3, 4]
    assert not _code(f, [x], [z], {"w": 0.0}).is_map


def test_reading_back_a_dropped_write_gives_zero() -> None:
    """Catches a spare element that remembers what was written to it."""
    f = cpp_kernel("f", "float* z", "z[i + 100] = 7; z[i] = z[i + 100] + 1;")
    z = np.zeros(4, "f4")
    call(f, [], [z])
    assert (z == 1).all()


def test_views_have_size_and_shape_and_n_is_the_count() -> None:
    f = cpp_kernel(
        "f", "const int32_t* u, int64_t* z", "z[i] = u.shape(1) * 100 + u.size() + n + u[n - 1];"
    )
    u, z = np.arange(6, dtype="i4").reshape(2, 3), np.zeros(4, "i8")
    call(f, [u], [z])
    assert z.tolist() == [300 + 6 + 4 + 3] * 4


def test_two_and_three_indices() -> None:
    f = cpp_kernel("f", "float* z", "z[(i * 3 + j) * 4 + k] = i * 100 + j * 10 + k + n;", indices=3)
    z = np.zeros((2, 3, 4), "f4")
    call(f, [], [z], slices=[(0, 1), (1, 2)])
    i, j, k = np.indices(z.shape)
    np.testing.assert_array_equal(z, i * 100 + j * 10 + k + 24)


def test_statements_are_a_function_body() -> None:
    """Locals, early return, lambdas, comments at the end, and names like ours."""
    body = """
        if (i == 2) return;
        float data = 0;  // begin
        auto square = [&](float t) { return t * t; };
        for (int k = 0; k < 3; ++k) data += square(x[i]) * k;
        z[i] = std::max(data, w) + fabs(-0.5f) + min(1.0f, 2.0f);  // end"""
    x, z = np.arange(4, dtype="f4"), np.full(4, -1, "f4")
    call(cpp_kernel("f", _BLUR, body), [x], [z], {"w": 1.0})
    assert z.tolist() == [2.5, 4.5, -1.0, 28.5]


def test_equal_handles_are_one_pointer() -> None:
    axpy = cpp_kernel("axpy", "const float* x, const float* y, float* z", "z[i] = 2 * x[i] + y[i];")
    z = np.ones(64, "f4")
    code = _code(axpy, [z, z], [z])
    assert code.arrays == (0,)
    call(axpy, [z, z], [z])
    assert (z == 3).all()
    shift = cpp_kernel(
        "s", "const float* x, float* z", "z[i] += x[i + 32] * 0 + x[i];", checked=False
    )
    half = np.ones(64, "f4")
    call(shift, [half], [half], shape=(32,))
    assert half.tolist() == [2.0] * 32 + [1.0] * 32


@pytest.mark.parametrize(
    ("spelled", "dtype"),
    [
        *(("float", "f4"), ("double", "f8"), ("bool", "?"), ("signed char", "i1")),
        *(("uint8_t", "u1"), ("short", "i2"), ("unsigned short int", "u2"), ("int", "i4")),
        *(("unsigned", "u4"), ("long long", "i8"), ("long", "i8"), ("size_t", "u8")),
        *(("std::int16_t", "i2"), ("std::complex<float>", "c8"), ("complex<double>", "c16")),
    ],
)
def test_declared_types_are_dtypes(spelled: str, dtype: str) -> None:
    f = cpp_kernel("f", f"const {spelled} *x, {spelled}* const z", "z[i] = x[i];")
    assert isinstance(f.definition, CppBody)
    parameter = f.definition.parameters[0]
    assert np.dtype(parameter.dtype) == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float64", "complex64"])
def test_elements_of_other_dtypes_arrive(dtype: str) -> None:
    spelled = {"bool": "bool", "int8": "int8_t", "uint64": "uint64_t", "float64": "double"}
    name = spelled.get(dtype, "complex<float>")
    f = cpp_kernel("f", f"const {name}* x, {name}* z", "z[i] = x[n - 1 - i];")
    x, z = np.array([1, 0, 3], dtype), np.zeros(3, dtype)
    call(f, [x], [z])
    np.testing.assert_array_equal(z, x[::-1])


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        *(
            ("float", 0.5, 0.5),
            ("float", 3, 3.0),
            ("double", np.float32(0.1), float(np.float32(0.1))),
        ),
        *(("int", 7, 7.0), ("uint8_t", np.uint16(300), 44.0), ("bool", True, 1.0)),
        *(("float", np.float64(1.5), 1.5), ("long long", 2**40, float(2**40))),
        *(("bool", 2, 1.0), ("float", False, 0.0)),
    ],
)
def test_params_arrive_in_their_declared_type(declared: str, value: Any, expected: float) -> None:
    f = cpp_kernel("f", f"double* z, {declared} a, double last", "z[i] = a + last;")
    z = np.zeros(1)
    call(f, [], [z], {"a": value, "last": 0.25})
    assert z[0] == expected + 0.25


def test_dtypes_of_the_call_must_be_the_declared_ones() -> None:
    blur = cpp_kernel("blur", _BLUR, "z[i] = w * x[i];")
    x = np.zeros(3)
    with pytest.raises(
        DtypeMismatch, match=r"declares x as float\* \(float32\); this call passes float64"
    ):
        call(blur, [x], [np.zeros(3, "f4")], {"w": 1.0})
    count = cpp_kernel("count", "float* z, int a", "z[i] = a;")
    with pytest.raises(
        DtypeMismatch, match=r"declares a as int \(int32\); this call passes a float"
    ):
        call(count, [], [np.zeros(3, "f4")], {"a": 1.0})


_POINTER_USES = [
    ("z[i] = *x;", "reads through a pointer"),
    ("z[i] = (x + 1)[0];", "x is used as a pointer"),
    ("const float* p = x;", "a pointer is declared"),
    ("complex<float>* p = nullptr;", "a pointer is declared"),
    ("auto p = &x[0]; z[i] = p[1];", "takes an address"),
    ("auto p = &z[i]; p->x = 1;", "takes an address"),
    ("memcpy(z, x, 4);", "memcpy makes or uses an address"),
    ("z[i] = *(float*)(8);", "reads through a pointer"),
    ("z[i] = i; z[i] = reinterpret_cast<long>(x);", "reinterpret_cast makes or uses"),
    ("#define q x\nz[i] = q[i];", "preprocessor directive"),
    ("auto& y = x; z[i] = 1;", "x is used as a pointer"),
]


@pytest.mark.parametrize(("body", "what"), _POINTER_USES, ids=[b for b, _ in _POINTER_USES])
def test_other_pointer_use_in_a_checked_body_names_the_way_out(body: str, what: str) -> None:
    with pytest.raises(CompileError, match=f"{what}.*checked=False gives plain pointers"):
        cpp_kernel("f", _BLUR, body)
    cpp_kernel("f", _BLUR, body, checked=False)


def test_a_call_may_ask_for_checks_that_the_definition_did_not() -> None:
    f = cpp_kernel("f", _BLUR, "z[i] = *(x + i) * w;", checked=False)
    x, z = np.arange(4, dtype="f4"), np.zeros(4, "f4")
    call(f, [x], [z], {"w": 2.0})
    assert z.tolist() == [0, 2, 4, 6]
    with pytest.raises(CompileError, match="checked=False gives plain pointers"):
        call(f, [x], [z], {"w": 2.0}, checked=True)


def test_arithmetic_is_not_mistaken_for_pointer_use() -> None:
    body = "int a = i & 3; bool b = a && x[i] * w > 0; z[i] = (b ? 1 : 0) * (x[i]) * (a * 2) & 7;"
    cpp_kernel("f", "const int* x, int* z, int w", body)


def test_the_compilers_error_comes_with_the_bodys_line() -> None:
    f = cpp_kernel("broken", _BLUR, "float t = x[i];\n\nz[i] = t + nothing;\n")
    with pytest.raises(CompileError) as caught:
        call(f, [np.zeros(2, "f4")], [np.zeros(2, "f4")], {"w": 1.0})
    text = str(caught.value)
    assert "kernel broken, its body, line 3:" in text
    assert "nothing" in text.splitlines()[0]
    assert text.splitlines()[1] == "    z[i] = t + nothing;"
    assert caught.value.__dict__["line"] == 3
    assert "error" in caught.value.__dict__["compiler"]


@pytest.mark.parametrize("checked", [True, False])
def test_a_body_cannot_throw(checked: bool) -> None:
    """Would catch: an exception that ends the process, for nobody could catch it."""
    body = "if (x[i] > 2) throw 1;\nz[i] = x[i];"
    f = cpp_kernel("f", "const float* x, float* z", body, checked=checked)
    with pytest.raises(CompileError, match="line 1: .*exception"):
        call(f, [np.ones(4, "f4")], [np.zeros(4, "f4")])


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("__builtin_abort();", "__builtin_abort would end the process"),
        ("std::abort();", "abort would end the process"),
        ("if (x[i] > 2) exit(1);", "exit would end the process"),
        ("std::terminate();", "terminate would end the process"),
        ("auto f = quick_exit; f(0);", "quick_exit would end the process"),
        ("z[i] = std::array<float, 2>{}.at(int(x[i]));", r"\.at\(\) ends the process"),
    ],
)
def test_a_checked_body_cannot_end_the_process(statement: str, said: str) -> None:
    """Would catch: SIGABRT on a worker's thread, which nobody survives."""
    with pytest.raises(CompileError, match=f"line 2: {said}"):
        cpp_kernel("f", "const float* x, float* z", f"z[i] = x[i];\n{statement}")
    cpp_kernel("f", "const float* x, float* z", f"z[i] = x[i];\n{statement}", checked=False)


def test_a_body_that_stores_nothing_is_refused() -> None:
    """Would catch: a kernel that can change nothing, accepted without a word."""
    with pytest.raises(CompileError, match="the body stores nothing in z"):
        cpp_kernel("f", "const float* x, float* z", "float t = x[i];")


@pytest.mark.parametrize("name", ["1 bad", "", "a-b"])
def test_a_name_is_an_identifier(name: str) -> None:
    with pytest.raises(InvalidOption, match="a kernel's name is an identifier"):
        cpp_kernel(name, "float* z", "z[i] = 1;")


def test_inputs_cannot_be_stored_to() -> None:
    f = cpp_kernel("f", _BLUR, "x[i] = 1; z[i] = w;")
    with pytest.raises(CompileError, match="line 1"):
        call(f, [np.zeros(2, "f4")], [np.zeros(2, "f4")], {"w": 1.0})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("const float* x", "no output is declared"),
        ("float* z, char c", "unknown type char; write int8_t or uint8_t"),
        ("__half* z", "float16 can be held and moved, not computed with"),
        ("float** z", "a pointer to a pointer is no array"),
        ("float& z", "arrays are declared as pointers"),
        ("float* n", "n is given"),
        ("float* z, float z", "z is declared twice"),
        ("float*", "write a type and a name|unknown type"),
        ("string* z", "unknown type string; known types: .*complex<float>"),
    ],
)
def test_declarations_that_are_refused(parameters: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        cpp_kernel("f", parameters, "z[i] = 1;")


@pytest.mark.parametrize("body", ["z[i] = 1; }", "z[i] = (1;", "} void other() {"])
def test_a_body_cannot_leave_its_function(body: str) -> None:
    with pytest.raises(CompileError, match=r"closes nothing|never closed"):
        cpp_kernel("f", "float* z", body)


@pytest.mark.parametrize(
    "body",
    [
        "for (int i = 0; i < 9; ++i) z[i] = 1;",
        "auto f = [](long i) { return i + 5; }; z[i] = f(z[i]);",
        "int a = 1, i = a + 9; z[i] = 1;",
        "z[i] = 1; z[i + 1] = 2;",
        "for (auto& i : {1000L}) z[i] = 1;",
        "{ int64_t i(1000); z[i] = 1; }",
    ],
)
def test_an_i_that_means_something_else_is_no_map(body: str) -> None:
    """Catches a body that would run without checks over another variable called i."""
    definition = cpp_kernel("f", "float* z", body).definition
    assert isinstance(definition, CppBody)
    assert not definition.is_map


def test_bindings_go_by_const() -> None:
    f = cpp_kernel("f", "float* z, float w, const float* x", "z[i] = x[i] * w;")
    assert bind(f, 1, 1, ["w"]).arrays == ("x", "z")
    assert bind(f, 1, 1, ["w"]).params == ("w",)
    with pytest.raises(InvalidOption, match=r"takes 1 inputs \(x\) and 1 outputs \(z\); got 2"):
        bind(f, 2, 1, ["w"])
    with pytest.raises(InvalidOption, match="indices = 4: a kernel has 1, 2 or 3"):
        cpp_kernel("f", "float* z", "z[i] = 1;", indices=4)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    return tmp_path


def test_without_a_compiler_the_error_says_what_to_install(no_compiler: Path) -> None:
    f = cpp_kernel("f", "float* z", "z[i] = 123456;")
    with pytest.raises(CompileError, match=r'no C\+\+ compiler.*pip install "gpures_lab\[cpp\]"'):
        call(f, [], [np.zeros(2, "f4")])


def test_cxx_comes_first_and_ziglang_last(
    no_compiler: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[tuple[str, ...]] = []

    def ask(command: tuple[str, ...]) -> compiler.Compiler:
        asked.append(command)
        return compiler.Compiler(command, "1")

    monkeypatch.setattr(compiler, "_ask", ask)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    compiler._announce_zig.cache_clear()
    with caplog.at_level(logging.WARNING, "gpures_lab"):
        assert compiler.find_compiler("f").command[:4] == (sys.executable, "-m", "ziglang", "c++")
        compiler.find_compiler("f")
    told = [record for record in caplog.records if "two minutes" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"]
    for name in ("g++", "mine"):
        tool = no_compiler / name
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)
    assert compiler.find_compiler("f").command == (str(no_compiler / "g++"),)
    monkeypatch.setenv("CXX", "mine --quick")
    assert compiler.find_compiler("f").command == (str(no_compiler / "mine"), "--quick")


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(
    ("body", "cure"),
    [
        ("z[i, j] = 100 * i + j;", r"z[i, j] means z[j] in C++"),
        ("z[i, j] = 100 * i + j;", r"z[i * z.shape(1) + j]"),
        ("z[i * 4 + j] = x[i - 1, max(j, 1)];", r"x[(i - 1) * x.shape(1) + (max(j, 1))]"),
        ("z[i][j] = 1;", r"z[i * z.shape(1) + j]"),
        ("z(i, j) = x[i];", r"z[i * z.shape(1) + j]"),
        ("float w[2][2]; z[i] = w[0, 1];", r"w[0, 1] means w[1]"),
    ],
)
def test_several_subscripts_are_refused_with_the_flat_one(
    body: str, cure: str, checked: bool
) -> None:
    """Catches the comma operator, which compiles and stores to the first row."""
    with pytest.raises(CompileError) as caught:
        cpp_kernel("f", "const float* x, float* z", body, indices=2, checked=checked)
    assert cure in str(caught.value)


def test_commas_that_are_no_subscripts_stay() -> None:
    body = "auto low = [&, i](float a) { return a + x[max(i, (int64_t)1)]; };\nz[i] = low(1);"
    f = cpp_kernel("f", "const float* x, float* z", body)
    x, z = np.arange(4, dtype="f4"), np.zeros(4, "f4")
    call(f, [x], [z])
    assert z.tolist() == [2, 2, 3, 4]


def test_a_variable_that_outlives_its_index_is_refused() -> None:
    """Catches a counter that is every index's at once, and the next call's too."""
    for body in ("static int q = 0; z[i] = q++;", "thread_local float q; z[i] = q;"):
        with pytest.raises(CompileError, match="outlives its index"):
            cpp_kernel("f", "float* z", body)
    table = cpp_kernel("f", "float* z", "static constexpr float t[2] = {1, 2}; z[i] = t[i % 2];")
    z = np.zeros(4, "f4")
    call(table, [], [z])
    assert z.tolist() == [1, 2, 1, 2]
