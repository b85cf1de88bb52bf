"""From a kernel id to device code: what the driver asks when a message names a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab._core import _native
from gpures_lab.kernels.cuda.image import link_image
from gpures_lab.kernels.versions import device_kernels

pytest.importorskip("cuda.bindings.nvjitlink", reason='pip install "gpures_lab[compile]"')


@gl.kernel
def halve(i: int, x: Any, z: Any) -> None:
    z[i] = x[i] / 2


def test_ids_that_were_handed_out_link_into_an_image() -> None:
    """Catches a version that the registry knows and no device can compile."""
    with gl.GrainManager(device="host") as lab:
        grain = lab.grain("versions")
        x, z = grain.allocate(8), grain.allocate(8)
        grain.write(x, np.arange(8))
        grain.compute(halve, inputs=[x], outputs=[z]).result()
        grain.compute("kernels/VectorAdd", inputs=[x, z], outputs=[z]).result()
    names = _native.kernel_names()
    mine = max(number for number, name in names.items() if name == "halve")
    added = max(number for number, name in names.items() if name == "kernels/Add")
    image = link_image(device_kernels({mine, added}), "sm_90")
    assert image.kernel_ids == {mine: "halve", added: "kernels/Add"}


def test_an_id_that_was_never_handed_out_is_refused() -> None:
    """Catches a crash where a message's id is looked up."""
    with pytest.raises(IndexError, match="no such kernel id"):
        device_kernels({2**20 - 1})
