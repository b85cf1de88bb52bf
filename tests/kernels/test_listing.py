"""``gl.library_kernels()``: every kernel can be found without guessing its name or its params."""

from __future__ import annotations

import pytest

import gpures_lab as gl
from gpures_lab.kernels.library import library


def test_every_kernel_is_listed_with_its_params() -> None:
    """Catches a kernel that only trial and error finds, and params that only an error names."""
    found = gl.library_kernels()
    library.fill()
    assert [each.name for each in found] == sorted({each.name for each in library.catalogue})
    text = repr(found)
    assert f"{len(found)} kernels of the library: grain.compute(name" in text
    lines = {line.split()[0]: line for line in text.splitlines()[2:]}
    assert "lo, hi" in lines["kernels/Histogram"]
    assert "seed, offset" in lines["kernels/RandomUniform"]
    assert "z = x + y" in lines["kernels/Add"]
    assert "kernels/VectorAdd" in lines["kernels/Add"]
    assert all(each.name in found._repr_html_() for each in found)


@pytest.mark.parametrize("about", ["kernels/histogram", "HISTOGRAM", "counts of x"])
def test_one_is_found_by_its_name_or_by_what_it_computes(about: str) -> None:
    found = gl.library_kernels(about)
    assert [each.name for each in found] == ["kernels/Histogram"]
    assert "dtypes: " in repr(found)
    assert "float32 → int64" in repr(found)


def test_an_alias_is_a_name() -> None:
    assert [each.name for each in gl.library_kernels("kernels/VectorAdd")] == ["kernels/Add"]


def test_several_that_fit_are_several() -> None:
    names = [each.name for each in gl.library_kernels("random")]
    assert names == ["kernels/RandomNormal", "kernels/RandomUniform"]
    assert "dtypes: " not in repr(gl.library_kernels("random"))


def test_nothing_that_fits_is_an_error_that_names_the_call() -> None:
    with pytest.raises(gl.UnknownKernel, match=r"about 'fft'; gl.library_kernels\(\) lists all"):
        gl.library_kernels("fft")


def test_the_html_is_text() -> None:
    shown = gl.library_kernels("kernels/Relu")._repr_html_()
    assert "z = max(x, 0)" in shown
    assert "<script" not in shown
