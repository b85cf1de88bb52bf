"""What does the notebook add: a cell over the call it makes, a dashboard, the import?

In one IPython shell without a front end. `%%grain_compute` against the same `grain.compute` typed
out, both waited for; a tick of the dashboard; the import in a process of its own, beside NumPy's.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from tests.benchmarks.duel import OURS, Contender, Duel, duel, duration
from tests.benchmarks.row import Row

CELLS = 200
SIZE = 1024
TYPED = f"{OURS}, the call typed out"


def measure_cells() -> Duel:
    """Race the magic, the call typed as a cell, and NumPy typed as a cell."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "gpures_lab")
    data = np.random.default_rng(1).random(SIZE, np.float32)
    shell.push({"data": data, "np": np, "z_host": np.empty_like(data), "a": 0.5})
    for line in ("grain_alloc x --from data", "grain_alloc z --like x"):
        shell.run_line_magic(*line.split(" ", 1))
    shell.run_cell("import gpures_lab as gl\ngrain = x.grain", store_history=False)
    shell.run_cell("@gl.kernel\ndef f(i, x, z, a):\n    z[i] = a * x[i] + 1", store_history=False)
    half = np.float32(0.5)
    wanted = (half * data) + np.float32(1)
    z, host = shell.user_ns["z"], shell.user_ns["z_host"]
    magic = "%%grain_compute\nz[i] = a * x[i] + 1"
    typed = 'grain.compute(f, inputs=[x], outputs=[z], params={"a": a}).result();'
    plain = (
        "np.multiply(data, np.float32(a), out=z_host); np.add(z_host, np.float32(1), out=z_host);"
    )

    def cells(text: str) -> None:
        for _ in range(CELLS):
            done = shell.run_cell(text, store_history=False, silent=True)
            assert done.success

    def ours(name: str, text: str) -> Contender:
        return Contender(
            name,
            lambda: cells(text),
            lambda: z.write(np.nan).result(),
            lambda: np.testing.assert_array_equal(z.read().result(), wanted),
        )

    try:
        return duel(
            [
                ours(OURS, magic),
                ours(TYPED, typed),
                Contender(
                    "NumPy typed out",
                    lambda: cells(plain),
                    lambda: host.fill(np.nan),
                    lambda: np.testing.assert_array_equal(host, wanted),
                ),
            ],
            repeats=5,
            units=CELLS,
        )
    finally:
        shell.user_ns["gl"].manager().close()
        InteractiveShell.clear_instance()


def imports() -> dict[str, float]:
    """Seconds to the first name that is used, best of five fresh processes."""
    best: dict[str, float] = {}
    for _ in range(5):
        for name, used in (("numpy", "numpy.add"), ("gpures_lab", "gpures_lab.manager")):
            timed = f"since = now(); import {name}; {used}; print(now() - since)"
            code = f"from time import perf_counter as now; {timed}"
            output = subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, text=True
            ).stdout
            best[name] = min(best.get(name, float("inf")), float(output))
    return best


def dashboard_tick_s() -> float | None:
    """CPU seconds of this process for one update of the dashboard's figures."""
    try:
        import gpures_lab as gl
        from gpures_lab.views.page import Page
        from gpures_lab.views.readings import Reader
    except ModuleNotFoundError:
        return None
    with gl.GrainManager(device="host") as lab:
        grains = [lab.grain(f"g{n}") for n in range(16)]
        reader = Reader(lab, window_s=5.0)
        page = Page(lab.driver.label, theme="light", history=600)
        spent = []
        for _ in range(50):
            for grain in grains:
                grain.ping()
            grains[0].barrier().result()
            begin = time.thread_time()
            page.show(reader.read())
            spent.append(time.thread_time() - begin)
    return min(spent)


def run() -> list[Row]:
    """Measure the three."""
    cells = measure_cells()
    load = imports()
    over = (cells.best_s() - cells.best_s(TYPED)) * 1e6
    rows = [
        cells.row(f"a %%grain_compute cell over {SIZE:,} floats, run and waited for", over_us=over),
        Row(
            what="import gpures_lab and look up gl.manager, in a fresh process",
            measured=f"{duration(load['gpures_lab'])} with NumPy's {duration(load['numpy'])} in it",
            figures=load,
        ),
    ]
    tick = dashboard_tick_s()
    if tick is not None:
        rows.append(
            Row(
                what="one update of the dashboard's figures, 16 grains",
                measured=f"{duration(tick)} of CPU time",
                figures={"tick_cpu_s": tick},
            )
        )
    return rows
