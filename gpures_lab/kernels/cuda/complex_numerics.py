"""NumPy's functions of complex numbers that Numba's CUDA target lacks, as plain Python.

Numba compiles them for devices; tests run them as they are. Results may be wider than NumPy's: the
text that calls them casts.
"""

from __future__ import annotations

import cmath
import math

__all__ = ["COMPLEX_FUNCTIONS"]


def conjugate(z):  # type: ignore[no-untyped-def]
    return z.conjugate()


def square(z):  # type: ignore[no-untyped-def]
    return z * z


def reciprocal(z):  # type: ignore[no-untyped-def]
    return 1 / z


def rint(z):  # type: ignore[no-untyped-def]
    return complex(round(z.real), round(z.imag))


def power(z, w):  # type: ignore[no-untyped-def]
    if w == 0:
        return complex(1.0, 0.0)
    if z == 0:
        return complex(0.0, 0.0)
    return complex(cmath.exp(w * cmath.log(z)))


def exp2(z):  # type: ignore[no-untyped-def]
    return cmath.exp(z * 0.6931471805599453)


def expm1(z):  # type: ignore[no-untyped-def]
    half = math.sin(z.imag / 2)
    real = math.expm1(z.real) * math.cos(z.imag) - 2 * half * half
    return complex(real, math.exp(z.real) * math.sin(z.imag))


def log2(z):  # type: ignore[no-untyped-def]
    return cmath.log(z) * 1.4426950408889634


def log10(z):  # type: ignore[no-untyped-def]
    return cmath.log(z) * 0.4342944819032518


def log1p(z):  # type: ignore[no-untyped-def]
    x, y = z.real, z.imag
    return complex(0.5 * math.log1p(x * (2 + x) + y * y), math.atan2(y, 1 + x))


def sin(z):  # type: ignore[no-untyped-def]
    x, y = z.real, z.imag
    return complex(math.sin(x) * math.cosh(y), math.cos(x) * math.sinh(y))


def cos(z):  # type: ignore[no-untyped-def]
    x, y = z.real, z.imag
    return complex(math.cos(x) * math.cosh(y), -math.sin(x) * math.sinh(y))


def tan(z):  # type: ignore[no-untyped-def]
    # Of the doubled argument, whose hyperbolic part overflows later than it settles.
    x, y = 2 * z.real, 2 * z.imag
    if abs(y) > 60:
        return complex(0.0, math.copysign(1.0, y))
    below = math.cos(x) + math.cosh(y)
    return complex(math.sin(x) / below, math.sinh(y) / below)


def sinh(z):  # type: ignore[no-untyped-def]
    x, y = z.real, z.imag
    return complex(math.sinh(x) * math.cos(y), math.cosh(x) * math.sin(y))


def cosh(z):  # type: ignore[no-untyped-def]
    x, y = z.real, z.imag
    return complex(math.cosh(x) * math.cos(y), math.sinh(x) * math.sin(y))


def tanh(z):  # type: ignore[no-untyped-def]
    x, y = 2 * z.real, 2 * z.imag
    if abs(x) > 60:
        return complex(math.copysign(1.0, x), 0.0)
    below = math.cosh(x) + math.cos(y)
    return complex(math.sinh(x) / below, math.sin(y) / below)


def acosh(z):  # type: ignore[no-untyped-def]
    return cmath.log(z + cmath.sqrt(z + 1) * cmath.sqrt(z - 1))


def maximum(a, b):  # type: ignore[no-untyped-def]
    if cmath.isnan(a):
        return a
    if cmath.isnan(b):
        return b
    return a if a.real > b.real or (a.real == b.real and a.imag >= b.imag) else b


def minimum(a, b):  # type: ignore[no-untyped-def]
    if cmath.isnan(a):
        return a
    if cmath.isnan(b):
        return b
    return a if a.real < b.real or (a.real == b.real and a.imag <= b.imag) else b


def fmax(a, b):  # type: ignore[no-untyped-def]
    if cmath.isnan(a):
        return b
    if cmath.isnan(b):
        return a
    return a if a.real > b.real or (a.real == b.real and a.imag >= b.imag) else b


def fmin(a, b):  # type: ignore[no-untyped-def]
    if cmath.isnan(a):
        return b
    if cmath.isnan(b):
        return a
    return a if a.real < b.real or (a.real == b.real and a.imag <= b.imag) else b


COMPLEX_FUNCTIONS = (
    *(acosh, conjugate, cos, cosh, exp2, expm1, fmax, fmin, log10, log1p, log2, maximum, minimum),
    *(power, reciprocal, rint, sin, sinh, square, tan, tanh),
)
