"""Bad computes: unknown kernels, wrong arguments, arithmetic that traps, code that crashes."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, add, wait_until


@gl.kernel
def saxpy(i, x, y, z, a):  # type: ignore[no-untyped-def]
    z[i] = a * x[i] + y[i]


@pytest.fixture
def grain(tiny: gl.GrainManager) -> Iterator[gl.Grain]:
    """Return a grain; after the test it computes as before."""
    grain = tiny.grain("g")
    yield grain
    x = grain.allocate(8)
    x.write(4)
    grain.compute(add, inputs=[x, x], outputs=[x])
    assert x.read().result(timeout=LIMIT_S).tolist() == [8] * 8


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kernels/VectorAd", "did you mean kernels/VectorAdd"),
        ("vectoradd", "VectorAdd"),
        ("nothing like it at all", r"gl\.library_kernels\(\) lists them"),
        ("", "no kernel ''"),
    ],
)
def test_unknown_kernels_by_name(grain: gl.Grain, name: str, said: str) -> None:
    """A KeyError, or an error that does not say what there is."""
    x = grain.allocate(8)
    with pytest.raises(gl.UnknownKernel, match=said):
        grain.compute(name, inputs=[x, x], outputs=[x])


@pytest.mark.parametrize("kernel", [None, 3, len, str.upper, object()])
def test_things_that_are_no_kernel(grain: gl.Grain, kernel: Any) -> None:
    """A plain function called on the worker thread."""
    with pytest.raises(gl.UnknownKernel, match=r"is no kernel; decorate.*@gl.kernel"):
        grain.compute(kernel, outputs=[grain.allocate(8)])


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 1), (1, 1), (3, 1), (2, 0), (2, 2), (0, 0)])
@pytest.mark.parametrize("kernel", [add, saxpy], ids=["library", "python"])
def test_wrong_number_of_arrays(grain: gl.Grain, kernel: Any, inputs: int, outputs: int) -> None:
    """An array too few: the kernel reads what the last call left."""
    params = {"a": 1.0} if kernel is saxpy else {}
    with pytest.raises(gl.InvalidOption):
        grain.compute(
            kernel,
            inputs=[grain.allocate(8) for _ in range(inputs)],
            outputs=[grain.allocate(8) for _ in range(outputs)],
            params=params,
        )


@pytest.mark.parametrize("params", [None, {}, {"b": 1.0}, {"a": 1.0, "b": 2.0}], ids=str)
def test_wrong_params(grain: gl.Grain, params: Any) -> None:
    """A missing number that is zero, or a misspelt one that is ignored."""
    x = grain.allocate(8)
    with pytest.raises(gl.InvalidOption, match="a"):
        grain.compute(saxpy, inputs=[x, x], outputs=[x], params=params)


@pytest.mark.parametrize(
    "value", ["1", None, [1.0], np.zeros(3), pytest.param(object(), id="object"), {}], ids=repr
)
def test_params_that_are_no_numbers(grain: gl.Grain, value: Any) -> None:
    """A pointer as a number."""
    x = grain.allocate(8)
    with pytest.raises(gl.DtypeMismatch, match=r"param a is .*give a Python or NumPy number"):
        grain.compute(saxpy, inputs=[x, x], outputs=[x], params={"a": value})


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400], ids=["2**63", "low", "huge"])
def test_params_beyond_int64(grain: gl.Grain, value: int) -> None:
    """An OverflowError of Python's own that names neither the kernel nor the parameter."""
    x = grain.allocate(8)
    with pytest.raises(gl.DtypeMismatch, match=r"param a is an int of \d+ bits.*give a float"):
        grain.compute(saxpy, inputs=[x, x], outputs=[x], params={"a": value})


@pytest.mark.parametrize("params", [[1.0], "a", 3, ("a", 1)], ids=repr)
def test_params_that_are_no_dict(grain: gl.Grain, params: Any) -> None:
    """Params by position, in whatever order."""
    x = grain.allocate(8)
    with pytest.raises(gl.InvalidOption, match="pass a dict of name: number"):
        grain.compute(saxpy, inputs=[x, x], outputs=[x], params=params)


def test_an_integer_beyond_64_bits(grain: gl.Grain) -> None:
    """A number cut to its low bits, or Python's bare OverflowError without a hint."""
    x = grain.allocate(8)
    with pytest.raises((gl.DtypeMismatch, OverflowError)):
        grain.compute(saxpy, inputs=[x, x], outputs=[x], params={"a": 1 << 64})


@pytest.mark.parametrize(
    "space",
    [
        {"n": -1},
        {"n": 1.5},
        {"n": "8"},
        {"n": 1 << 61},
        {"shape": (2, 4)},
        {"shape": ()},
        {"n": 4, "shape": (4,)},
        {"shape": (-4,)},
    ],
    ids=str,
)
def test_bad_index_spaces(grain: gl.Grain, space: dict[str, Any]) -> None:
    """A count taken as unsigned, or a space of another dimension."""
    x = grain.allocate(8)
    with pytest.raises(gl.InvalidOption):
        grain.compute(saxpy, inputs=[x, x], outputs=[x], params={"a": 1}, **space)


def test_a_space_beyond_the_arrays(grain: gl.Grain) -> None:
    """A map over more indices than there are elements: the neighbour's memory."""
    x, small = grain.allocate(8), grain.allocate(4)
    small.write(1)
    for arrays in (
        {"inputs": [x, x], "outputs": [x], "n": 9},
        {"inputs": [x, small], "outputs": [x]},
    ):
        with pytest.raises(gl.OutOfBounds, match=r"nothing ran; give n="):
            grain.compute(saxpy, params={"a": 1}, **arrays).result(timeout=LIMIT_S)
        with pytest.raises(gl.OutOfBounds):
            grain.compute(add, **arrays).result(timeout=LIMIT_S)
    assert x.read().result(timeout=LIMIT_S).tolist() == [0] * 8


def test_zero_indices_are_nothing_to_do(grain: gl.Grain) -> None:
    """An empty space that runs one index."""
    x = grain.allocate(8)
    x.write(3)
    grain.compute(saxpy, inputs=[x, x], outputs=[x], params={"a": 1}, n=0).result(timeout=LIMIT_S)
    assert x.read().result(timeout=LIMIT_S).tolist() == [3] * 8


def test_too_many_arrays(grain: gl.Grain) -> None:
    """More arrays than the fixed tables hold."""
    x = grain.allocate(8)
    with pytest.raises(gl.InvalidOption, match="too many arrays"):
        grain.compute(saxpy, inputs=[x] * 65, outputs=[x], params={"a": 1})


@pytest.mark.parametrize("bad", [-1, 8, 1 << 40, -(1 << 62)])
def test_out_of_range_subscripts(grain: gl.Grain, bad: int) -> None:
    """A checked kernel that reads or writes outside: the error names index, array and extent."""

    @gl.kernel
    def pick(i, x, z, k):  # type: ignore[no-untyped-def]
        z[i] = x[k]

    x, z = grain.allocate(8), grain.allocate(8)
    failed = grain.compute(pick, inputs=[x], outputs=[z], params={"k": bad})
    with pytest.raises(gl.OutOfBounds, match=rf"kernel pick used flat index {bad} of array x"):
        failed.result(timeout=LIMIT_S)


def test_a_division_that_traps_is_not_called_an_access(grain: gl.Grain) -> None:
    """A cure that was taken already: the kernel is checked."""
    x, z = grain.allocate(8, dtype="int32"), grain.allocate(8, dtype="int32")
    divide = gl.cpp_kernel("divide", "const int* x, int* z", "z[i] = 7 / x[i];")
    with pytest.raises(gl.KernelFault, match="SIGFPE.*guard its integer divisions"):
        grain.compute(divide, inputs=[x], outputs=[z]).result(timeout=LIMIT_S)


def test_a_kernel_defined_again_was_at_hand(grain: gl.Grain) -> None:
    """A compilation that never was, reported because the object is a new one."""

    def define() -> gl.Kernel:
        @gl.kernel
        def again(i, x):  # type: ignore[no-untyped-def]
            x[i] = x[i] * 3 + 2

        return again

    x = grain.allocate(8)
    grain.compute(define(), outputs=[x]).result(timeout=LIMIT_S)
    assert grain.compute(define(), outputs=[x]).result(timeout=LIMIT_S).cache_hit


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("z[i] = x[i] / np.sum(x)", r"np\.sum\(x\) is about a whole array.*kernels/Sum"),
        ("z[i] = x[i] / max(x)", r"max\(x\) is about a whole array"),
        ("z[i] = x[i] + float('nan')", r"'nan' is not a number; write math\.nan"),
    ],
)
def test_what_a_kernel_does_otherwise_is_said(grain: gl.Grain, line: str, said: str) -> None:
    """A message about the order of parameters, where the cure is another kernel."""
    x, z = grain.allocate(8), grain.allocate(8)
    with pytest.raises(gl.CompileError, match=said):
        kernel = kernel_from_text(line)
        grain.compute(kernel, inputs=[x], outputs=[z])


def kernel_from_text(line: str) -> gl.Kernel:
    text = f"def f(i, x, z):\n    {line}\n"
    name = f"<{line}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, Any] = {"np": np}
    exec(compile(text, name, "exec"), scope)  # noqa: S102 - a kernel needs its source
    return gl.kernel(scope["f"])


def test_an_error_does_not_quote_an_earlier_ones_details(grain: gl.Grain) -> None:
    """Request records are used again: the details of the last error must not stay in them."""

    @gl.kernel
    def beyond(i, x):  # type: ignore[no-untyped-def]
        x[i + 100] = 1

    x = grain.allocate(8)
    for _ in range(300):
        failed = grain.compute(beyond, outputs=[x])
        assert "107" not in str(failed.exception(timeout=LIMIT_S))
        good = grain.ping()
        good.result(timeout=LIMIT_S)
        assert good._state["fault"][0] == 0


@pytest.mark.parametrize("op", ["//", "%"])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_integer_division_by_zero_gives_zero_in_python_kernels(
    grain: gl.Grain, op: str, dtype: str
) -> None:
    """SIGFPE, or Numba's exception that stops half-way."""
    body = {"//": floor_divide, "%": remainder}[op]
    x, y, z = (grain.allocate(4, dtype=dtype) for _ in range(3))
    x.write(np.array([7, 0, 100, 3], dtype))
    y.write(np.array([0, 0, 7, 0], dtype))
    grain.compute(body, inputs=[x, y], outputs=[z]).result(timeout=LIMIT_S)
    wanted = [0, 0, 14 if op == "//" else 2, 0]
    assert z.read().result(timeout=LIMIT_S).tolist() == wanted


@gl.kernel
def floor_divide(i, x, y, z):  # type: ignore[no-untyped-def]
    z[i] = x[i] // y[i]


@gl.kernel
def remainder(i, x, y, z):  # type: ignore[no-untyped-def]
    z[i] = x[i] % y[i]


def test_the_smallest_integer_over_minus_one(grain: gl.Grain) -> None:
    """The other division that traps."""
    x, y, z = (grain.allocate(2, dtype="int64") for _ in range(3))
    x.write(np.array([np.iinfo(np.int64).min] * 2))
    y.write(-1)
    for kernel in (floor_divide, remainder):
        grain.compute(kernel, inputs=[x, y], outputs=[z]).result(timeout=LIMIT_S)


_divide = gl.cpp_kernel("cpp_divide", "const int* x, int* z", "z[i] = 100 / x[i];")
_crash = gl.cpp_kernel(
    "cpp_crash",
    "float* z",
    "*reinterpret_cast<volatile int*>(8) = int(i); z[i] = 1;",
    checked=False,
)
_overflow = gl.cpp_kernel(
    "cpp_overflow",
    "float* z",
    "struct R { static long f(volatile long n) { volatile char big[4096]; big[n % 4096] = 1; "
    "return n < 0 ? 0 : f(n + 1) + big[0]; } }; z[i] = float(R::f(0));",
    checked=False,
)


def test_integer_division_by_zero_in_cpp_is_a_fault(tiny: gl.GrainManager) -> None:
    """SIGFPE that ends the process."""
    grain, other = tiny.grain("g"), tiny.grain("other")
    x, z = grain.allocate(4, dtype="int32"), grain.allocate(4, dtype="int32")
    y = other.allocate(4)
    for _ in range(5):
        failed = grain.compute(_divide, inputs=[x], outputs=[z])
        write = other.write(y, 5)
        with pytest.raises(gl.KernelFault, match="kernel cpp_divide ended with SIGFPE") as error:
            failed.result(timeout=LIMIT_S)
        assert error.value.request == failed.request  # type: ignore[attr-defined]
        write.result(timeout=LIMIT_S)
    x.write(5)
    grain.compute(_divide, inputs=[x], outputs=[z]).result(timeout=LIMIT_S)
    assert z.read().result(timeout=LIMIT_S).tolist() == [20] * 4


@pytest.mark.parametrize("placement", ["shared", "dedicated"])
def test_a_segmentation_fault_ends_the_call_not_the_process(
    any_lab: gl.GrainManager, placement: str
) -> None:
    """SIGSEGV that ends the process, the worker, or the batch."""
    grain, other = any_lab.grain("g", placement=placement), any_lab.grain("other")
    z, y = grain.allocate(4), other.allocate(4)
    failures = []
    for k in range(20):
        failures.append(grain.compute(_crash, outputs=[z]))
        y.write(float(k))
        assert y.read().result(timeout=LIMIT_S)[0] == k
    for failed in failures:
        with pytest.raises(gl.KernelFault, match=r"cpp_crash ended with SIG.* on grain 'g'"):
            failed.result(timeout=LIMIT_S)
    z.write(2)
    assert z.read().result(timeout=LIMIT_S).tolist() == [2] * 4


def test_a_stack_overflow_is_a_fault(tiny: gl.GrainManager) -> None:
    """A handler that needs the stack which has run out."""
    grain = tiny.grain()
    z = grain.allocate(1)
    for _ in range(2):
        failed = grain.compute(_overflow, outputs=[z])
        with pytest.raises(gl.KernelFault, match="cpp_overflow"):
            failed.result(timeout=LIMIT_S)
    grain.ping().result(timeout=LIMIT_S)


def test_captured_arrays_are_refused() -> None:
    """An array frozen into the code: changes to it would never show."""
    table = np.arange(4)
    with pytest.raises(gl.CompileError, match="table"):

        @gl.kernel
        def look_up(i, z):  # type: ignore[no-untyped-def]
            z[i] = table[i]


def test_a_store_to_an_input_is_refused(grain: gl.Grain) -> None:
    """An input changed behind the user's back."""

    @gl.kernel
    def store(i, x, z):  # type: ignore[no-untyped-def]
        x[i] = z[i]

    x, z = grain.allocate(4), grain.allocate(4)
    with pytest.raises(gl.CompileError):
        grain.compute(store, inputs=[x], outputs=[z])


def test_dtypes_without_a_library_version(grain: gl.Grain) -> None:
    """Bits of one dtype added as another."""
    x = grain.allocate(4, dtype="float16")
    y = grain.allocate(4)
    with pytest.raises(gl.DtypeMismatch):
        grain.compute(add, inputs=[x, x], outputs=[x])
    with pytest.raises(gl.DtypeMismatch):
        grain.compute(add, inputs=[x, y], outputs=[y])


def test_a_full_ring_loses_no_compile(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A kernel compiled, then rejected by a full ring, that is compiled again."""
    lab = make_lab("slots4", full_wait_s=0)

    @gl.kernel
    def fresh(i, x):  # type: ignore[no-untyped-def]
        x[i] = 12

    grain = lab.grain()
    x = grain.allocate(4)
    grain.ping().result(timeout=LIMIT_S)
    with lab.quiesced():
        for _ in range(4):
            grain.ping()
        with pytest.raises(gl.RingFull):
            grain.compute(fresh, outputs=[x])
    wait_until(lambda: not lab.metrics().pending_message_count, "messages stay pending")
    assert grain.compute(fresh, outputs=[x]).result(timeout=LIMIT_S).cache_hit
