"""What a NumPy user tries on a handle first: the error names the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import gpures_lab as gl


@pytest.mark.parametrize(
    "attempt",
    [
        lambda x: x * 2,
        lambda x: 2 * x,
        lambda x: x + x,
        lambda x: x - 1.5,
        lambda x: x / 2,
        lambda x: x // 2,
        lambda x: x % 2,
        lambda x: x**2,
        lambda x: x @ x,
        lambda x: -x,
        abs,
    ],
)
def test_arithmetic_names_the_cure(tiny: gl.GrainManager, attempt: Callable[[Any], object]) -> None:
    """Python's "unsupported operand": nothing to go on with in the first minute."""
    x = tiny.grain().allocate(4, name="x")
    with pytest.raises(TypeError, match=r"write x\[i\] in a %%grain_compute cell"):
        attempt(x)


def test_elements_name_the_cure(tiny: gl.GrainManager) -> None:
    """An index that silently does nothing, or an error without a way."""
    x: Any = tiny.grain().allocate(4, name="x")
    with pytest.raises(TypeError, match=r"np.asarray\(x\) copies it to the host"):
        x[0]
    with pytest.raises(TypeError, match=r"grain.borrow\(x\)"):
        x[1:3] = 5
    with pytest.raises(TypeError, match="not iterable"):
        iter(x)


def test_numpys_own_functions_still_read_it(tiny: gl.GrainManager) -> None:
    """A handle that NumPy takes for a sequence, or an array that defers to it."""
    x: Any = tiny.grain().allocate((2, 3))
    x.write(2)
    assert (np.asarray(x) == 2).all()
    assert np.asarray([1.0, 2.0, 3.0]).__mul__(x).tolist() == [[2, 4, 6]] * 2
    assert np.add(x, 1).sum() == 18
    assert np.stack([x, x]).shape == (2, 2, 3)
