"""The complex functions written for devices, run as plain Python: NumPy's results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpures_lab.kernels.cuda.complex_numerics import COMPLEX_FUNCTIONS

POINTS = np.array(
    [0.3 + 0.4j, -1.7 + 0.2j, 2.5 - 3.1j, -0.01 - 0.02j, 1e-9 + 1e-9j, 5.0 + 0j, 0j, -8 + 20j]
)
TWO = {"power", "maximum", "minimum", "fmax", "fmin"}


@pytest.mark.parametrize("function", COMPLEX_FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_complex_function_equals_numpys(function: Callable[..., Any]) -> None:
    """Catches a sign, a branch or an order that is not NumPy's."""
    reference = getattr(np, "arccosh" if function.__name__ == "acosh" else function.__name__)
    for z in POINTS:
        if z == 0 and function.__name__ in ("reciprocal", "log2", "log10"):
            continue
        pairs = [(z, w) for w in POINTS] if function.__name__ in TWO else [(z,)]
        for arguments in pairs:
            if function.__name__ == "power" and arguments[0] == 0:
                continue
            found = complex(function(*[complex(each) for each in arguments]))
            expected = complex(reference(*arguments))
            np.testing.assert_allclose(
                found, expected, rtol=1e-12, atol=1e-15, err_msg=str(arguments)
            )


def test_nan_wins_or_loses_as_in_numpy() -> None:
    """Catches a NaN that maximum drops or fmax keeps."""
    named = {function.__name__: function for function in COMPLEX_FUNCTIONS}
    nan, one = complex(np.nan, 0), complex(1, 0)
    for name in ("maximum", "minimum"):
        assert np.isnan(named[name](one, nan))
        assert np.isnan(named[name](nan, one))
    for name in ("fmax", "fmin"):
        assert named[name](one, nan) == named[name](nan, one) == one
