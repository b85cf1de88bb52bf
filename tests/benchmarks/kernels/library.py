"""What does an operation of the library cost, without its message, beside NumPy's?

Each operation runs 100 times as a program over resident arrays, NumPy's as often with ``out=``
where it has that. Elementwise results must equal NumPy's bit for bit, but for transcendentals
(2 ulp) and where NumPy sums in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel
from tests.benchmarks.row import Row

TIMES = 100
SIZE = 4096


class Operation(NamedTuple):
    """One operation: ours by name, NumPy's as a call that writes ``z``."""

    name: str
    inputs: list[np.ndarray]
    output: tuple[tuple[int, ...], str]
    numpy: Callable[[list[Any], Any], object]
    tolerance: float = 0.0
    params: dict[str, float] = {}  # noqa: RUF012 - never changed


def operations() -> list[Operation]:
    """One of each kind."""
    random = np.random.default_rng(9)
    x = random.random(SIZE, np.float32) + np.float32(0.5)
    y = random.random(SIZE, np.float32) + np.float32(0.5)
    a = random.random((256, 256), np.float32)
    v = random.random(256, np.float32)
    square = random.random((64, 64), np.float32)
    rows = random.random((64, 64), np.float32)
    flat, one = ((SIZE,), "f4"), ((1,), "f4")
    index = random.integers(0, SIZE, SIZE)

    def softmax(arrays: list[Any], z: Any) -> None:
        np.subtract(arrays[0], arrays[0].max(-1, keepdims=True), out=z)
        np.exp(z, out=z)
        np.divide(z, z.sum(-1, keepdims=True), out=z)

    def sort(arrays: list[Any], z: Any) -> None:
        z[:] = arrays[0]
        z.sort()

    def histogram(arrays: list[Any], z: Any) -> None:
        z[:] = np.histogram(arrays[0], z.size, (0.5, 1.5))[0]

    def into(call: Callable[..., Any]) -> Callable[[list[Any], Any], object]:
        return lambda arrays, z: call(*arrays, out=z)

    def scalar(call: Callable[..., Any]) -> Callable[[list[Any], Any], object]:
        return lambda arrays, z: z.__setitem__(0, call(*arrays))

    return [
        Operation("Add", [x, y], flat, into(np.add)),
        Operation("Sqrt", [x], flat, into(np.sqrt)),
        Operation("Exp", [x], flat, into(np.exp), 3e-7),
        Operation("Tanh", [x], flat, into(np.tanh), 3e-7),
        Operation("Sum", [x], one, scalar(np.sum), 1e-6),
        Operation("Dot", [x, y], one, scalar(np.dot), 1e-5),
        Operation("ArgMin", [x], ((1,), "i8"), scalar(np.argmin)),
        Operation("Scan", [x], flat, into(np.cumsum), 1e-5),
        Operation("Sort", [x], flat, sort),
        Operation("Gather", [x, index], flat, lambda arrays, z: np.take(*arrays, out=z)),
        Operation("Histogram", [x], ((64,), "i8"), histogram, 0, {"lo": 0.5, "hi": 1.5}),
        Operation("Gemv", [a, v], ((256,), "f4"), into(np.matmul), 1e-5),
        Operation("Gemm", [square, square], ((64, 64), "f4"), into(np.matmul), 1e-5),
        Operation("Softmax", [rows], ((64, 64), "f4"), softmax, 1e-6),
    ]


def measure(lab: gl.GrainManager, operation: Operation, repeats: int = 5) -> Duel:
    """Race the two."""
    shape, dtype = operation.output
    grain = lab.grain(operation.name)
    resident = {}
    for array in operation.inputs:
        if id(array) not in resident:
            resident[id(array)] = grain.allocate(array.shape, dtype=array.dtype)
            grain.write(resident[id(array)], array)
    z = grain.allocate(shape, dtype=dtype)
    with grain.record() as step:
        grain.compute(
            f"kernels/{operation.name}",
            inputs=[resident[id(array)] for array in operation.inputs],
            outputs=[z],
            params=operation.params,
        )
    # Judged by NumPy itself where bits must be equal, else by NumPy in float64.
    exact = np.empty(shape, "f8" if operation.tolerance else dtype)
    wide = [each.astype("f8") if operation.tolerance else each for each in operation.inputs]
    operation.numpy(wide, exact)
    host_z = np.empty(shape, dtype)
    poison = -7 if np.dtype(dtype).kind == "i" else np.nan

    def check(found: np.ndarray) -> None:
        if operation.tolerance:
            np.testing.assert_allclose(found, exact, rtol=operation.tolerance)
        else:
            np.testing.assert_array_equal(found, exact)

    def numpy() -> None:
        for _ in range(TIMES):
            operation.numpy(operation.inputs, host_z)

    return duel(
        [
            Contender(
                OURS,
                lambda: step.run(repeat=TIMES).result(),
                lambda: grain.write(z, poison).result(),
                lambda: check(z.read().result()),
            ),
            Contender("NumPy", numpy, lambda: host_z.fill(poison), lambda: check(host_z)),
        ],
        repeats=repeats,
        units=TIMES,
    )


def run() -> list[Row]:
    """Measure each."""
    rows = []
    with gl.GrainManager(device="host") as lab:
        for operation in operations():
            shapes = " x ".join("·".join(map(str, a.shape)) for a in operation.inputs)
            rows.append(measure(lab, operation).row(f"kernels/{operation.name} of {shapes}"))
    return rows
