"""The shared headers compile under NVRTC, which has no standard headers and no host functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from .native import CORE

PROBE = Path(__file__).with_name("device_probe.cu")


def test_shared_headers_compile_for_the_device() -> None:
    """Catches a standard include, a host-only builtin or a contraction flag that NVRTC refuses."""
    cuda_core = pytest.importorskip("cuda.core", reason="NVRTC: pip install cuda-core")
    pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC: pip install cuda-bindings")
    options = cuda_core.ProgramOptions(
        arch="sm_90", std="c++20", fma=False, include_path=[str(CORE)], relocatable_device_code=True
    )
    program = cuda_core.Program(PROBE.read_text(), "c++", options=options)
    compiled = program.compile("cubin", name_expressions=())
    assert len(bytes(compiled.code)) > 1000
