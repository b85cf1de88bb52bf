"""Where one block of the ring stops being the faster way: figures of `tests/gpu/figures.py`.

`DMA_ABOVE_BYTES` and `WIDE_ABOVE_BYTES` of drivers/cuda.py are to be what these print.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.gpu.measure import LIMIT_S, NEVER, median_us, tell

__all__ = ["dma", "wide", "wide_against_cupy"]

SIZES = tuple(1 << power for power in range(14, 28))
WIDE_SIZE = 16 << 20


def _lab(above: int) -> gl.GrainManager:
    ring = gl.RingOptions(dma_above_bytes=above, wide_above_bytes=above)
    return gl.GrainManager(device="cuda:0", ring=ring, pool_limit_bytes=2 << 30)


def _crossover(rows: list[dict[str, float]]) -> float | None:
    """Bytes of the first size from which on the stream is the faster one, None if it never is."""
    found = None
    for row in reversed(rows):
        if row["stream_us"] > row["ring_us"]:
            break
        found = row["bytes"]
    return found


def dma() -> dict[str, Any]:
    """Write and read back, waited for: by the ring's block, and by DMA."""
    rows = []
    with _lab(NEVER) as ring, _lab(0) as stream:
        for bytes_ in SIZES:
            data = np.arange(bytes_ // 4, dtype=np.float32)
            out = np.zeros_like(data)
            row = {"bytes": float(bytes_)}
            for name, lab in (("ring", ring), ("stream", stream)):
                x = lab.grain().allocate(data.size)

                def both(x: Any = x, data: Any = data, out: Any = out) -> None:
                    x.write(data)
                    x.read(out=out).result(LIMIT_S)

                both()
                out[:] = np.nan
                row[f"{name}_us"] = median_us(both)
                np.testing.assert_array_equal(out, data)
            rows.append(row)
            tell({"rows": rows})
    return {"rows": rows, "crossover_bytes": _crossover(rows)}


def wide() -> dict[str, Any]:
    """VectorAdd, waited for: in one block of the ring, and as a plain launch."""
    rows = []
    with _lab(NEVER) as ring, _lab(0) as stream:
        for size in (bytes_ // 16 for bytes_ in SIZES[::2]):
            row = {"bytes": float(size * 12)}
            for name, lab in (("ring", ring), ("stream", stream)):
                grain = lab.grain()
                x, z = grain.allocate(size), grain.allocate(size)
                x.write(2)

                def add(grain: Any = grain, x: Any = x, z: Any = z) -> None:
                    grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z]).result(LIMIT_S)

                add()
                row[f"{name}_us"] = median_us(add)
                assert (z.read().result(LIMIT_S) == 4).all()
                x.release()
                z.release()
            rows.append(row)
            tell({"rows": rows})
    return {"rows": rows, "crossover_bytes": _crossover(rows)}


def wide_against_cupy() -> dict[str, Any]:
    """Fifty additions of 64 MiB arrays in a row, against CuPy's."""
    import cupy

    count, size = 50, WIDE_SIZE
    with _lab(1 << 20) as lab:
        grain = lab.grain()
        x, y, z = (grain.allocate(size) for _ in range(3))
        x.write(2)
        y.write(3)

        def ours() -> None:
            for _ in range(count):
                last = grain.compute("kernels/VectorAdd", inputs=[x, y], outputs=[z])
            last.result(LIMIT_S)

        ours()
        z.write(np.nan)
        ring_us = median_us(ours) / count
        assert (z.read().result(LIMIT_S) == 5).all()
    cx, cy = cupy.full(size, 2, cupy.float32), cupy.full(size, 3, cupy.float32)
    cz = cupy.full(size, np.nan, cupy.float32)

    def theirs() -> None:
        for _ in range(count):
            cupy.add(cx, cy, out=cz)
        cupy.cuda.get_current_stream().synchronize()

    theirs()
    cupy_us = median_us(theirs) / count
    assert bool((cz == 5).all())
    return {"ours_us": ring_us, "cupy_us": cupy_us, "ratio": ring_us / cupy_us}
