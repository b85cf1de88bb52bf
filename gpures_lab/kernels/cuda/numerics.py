"""Functions that Numba's CUDA target lacks.

NumPy's over floats are NVIDIA's own math library's; over complex numbers they are Python's
operators and `cmath`. Imports Numba.
"""

from __future__ import annotations

import cmath
import operator
import types as python_types
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.cuda.compiler import compile_cuda

from gpures_lab.kernels.cuda.complex_numerics import COMPLEX_FUNCTIONS
from gpures_lab.kernels.cuda.toolchain import BASE_ARCH
from gpures_lab.kernels.host.machine import intrinsic_of, libdevice

__all__ = ["complex_functions", "device_function", "real_functions"]

_LIBDEVICE = {"cbrt": 1, "exp": 1, "exp2": 1, "expm1": 1, "log1p": 1, "power": 2}
_SYMBOLS = {"power": "pow"}


def device_function(cuda: Any, function: Callable[..., Any], **options: Any) -> Any:
    """A Python function that device code may call.

    Numba would ask the driver for the architecture to compile it for; there may be none.
    """
    made = cuda.jit(device=True, **options)(function)

    def compile_device(args: Any, return_type: Any = None) -> Any:
        if args not in made.overloads:
            result = compile_cuda(
                function,
                return_type,
                args,
                forceinline=bool(options.get("forceinline")),
                nvvm_options={"opt": 3, "fastmath": False},
                cc=(BASE_ARCH // 10, BASE_ARCH % 10),
            )
            made.overloads[args] = result
            result.target_context.insert_user_function(
                result.entry_point, result.fndesc, [result.library]
            )
        return made.overloads[args]

    made.compile_device = compile_device
    return made


def _compared_with_infinity(sign: str, for_integers: int) -> Any:
    def build(builder: Any, kind: Any, args: list[Any]) -> Any:
        if not isinstance(kind, types.Float):
            return ir.Constant(ir.IntType(1), for_integers)
        infinity = ir.Constant(args[0].type, float("inf"))
        return builder.fcmp_ordered(sign, libdevice(builder, "fabs", args), infinity)

    return build


def _sign_bit(builder: Any, _kind: Any, args: list[Any]) -> Any:
    word = ir.IntType(32 if args[0].type == ir.FloatType() else 64)
    return builder.icmp_signed("<", builder.bitcast(args[0], word), ir.Constant(word, 0))


def real_functions(cuda: Any) -> python_types.ModuleType:
    """NumPy for device code over real numbers: what is missing replaced, the rest as it is."""
    module = python_types.ModuleType("np")
    for name in dir(np):
        if isinstance(getattr(np, name), np.ufunc):
            setattr(module, name, getattr(np, name))
    for name, arity in _LIBDEVICE.items():
        symbol = _SYMBOLS.get(name, name)
        setattr(module, name, intrinsic_of(name, _library_call(symbol), arity=arity))
    tests = {
        "isinf": _compared_with_infinity("==", 0),
        "isfinite": _compared_with_infinity("<", 1),
        "signbit": _sign_bit,
    }
    for name, build in tests.items():
        setattr(module, name, intrinsic_of(name, build, result=types.boolean, arity=1))
    log1p, exp, exp2 = module.log1p, module.exp, module.exp2

    # Equal ones apart: the difference of two infinities is no number.
    def logaddexp(x, y):  # type: ignore[no-untyped-def]
        if x == y:
            return x + 0.6931471805599453
        if x > y:
            return x + log1p(exp(y - x))
        return y + log1p(exp(x - y))

    def logaddexp2(x, y):  # type: ignore[no-untyped-def]
        if x == y:
            return x + 1.0
        if x > y:
            return x + log1p(exp2(y - x)) * 1.4426950408889634
        return y + log1p(exp2(x - y)) * 1.4426950408889634

    module.logaddexp = device_function(cuda, logaddexp)  # type: ignore[attr-defined]
    module.logaddexp2 = device_function(cuda, logaddexp2)  # type: ignore[attr-defined]
    return module


def _library_call(symbol: str) -> Callable[[Any, Any, list[Any]], Any]:
    return lambda builder, _kind, args: libdevice(builder, symbol, args)


def complex_functions(cuda: Any) -> python_types.ModuleType:
    """NumPy for device code over complex numbers."""
    module = python_types.ModuleType("complex_np")
    own: dict[str, Any] = {
        "add": operator.add,
        "subtract": operator.sub,
        "multiply": operator.mul,
        "true_divide": operator.truediv,
        "negative": operator.neg,
        "positive": operator.pos,
        "equal": operator.eq,
        "not_equal": operator.ne,
        "absolute": abs,
    }
    for name in ("exp", "log", "sqrt", "isnan", "isinf", "isfinite"):
        own[name] = getattr(cmath, name)
    for name in ("acos", "asin", "asinh", "atan", "atanh"):
        own["arc" + name[1:]] = own[name] = getattr(cmath, name)
    for function in COMPLEX_FUNCTIONS:
        own[function.__name__] = device_function(cuda, function)
    own["arccosh"] = own["acosh"]
    for name, value in own.items():
        setattr(module, name, value)
    return module
