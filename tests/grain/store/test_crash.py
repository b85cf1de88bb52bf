"""A process killed while it saves leaves the old checkpoint or the new one, never a mixture."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpures_lab.grain.store import StateStore

KILLS = 8
SAVER = """
import sys
import numpy as np
from gpures_lab.grain.store import StateStore

with StateStore(sys.argv[1], sys.argv[2]) as store:
    last = store.latest("g")
    etag = last.etag if last else 0
    while True:
        n = etag + 1
        print(n, flush=True)  # about to save n
        arrays = {name: np.full(50_000, n * 10 + i) for i, name in enumerate("abc")}
        etag = store.save("g", arrays, {"n": n}, expected_etag=etag).etag
"""


def test_killed_at_any_point_leaves_n_or_n_plus_one(
    make_store: Callable[..., StateStore], tmp_path: Path
) -> None:
    """Would catch: a manifest that names a blob not yet written, or half of the arrays renewed."""
    store = make_store()
    draw = random.Random(7)
    urls = [f"sqlite:///{tmp_path}/state/state.sqlite", str(tmp_path / "state" / "blobs")]
    for _ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", SAVER, *urls], stdout=subprocess.PIPE, text=True
        )
        try:
            assert child.stdout is not None
            for _ in range(draw.randint(2, 4)):  # at least one save is whole
                announced = int(child.stdout.readline())
            try:
                child.wait(draw.uniform(0, 0.03))
            except subprocess.TimeoutExpired:
                pass
            else:
                raise AssertionError(f"the saver ended by itself with {child.returncode}")
        finally:
            child.kill()
            rest = child.communicate(timeout=30)[0]
        announced = int((rest.split() or [str(announced)])[-1])
        assert child.returncode == -9
        manifest = store.latest("g")
        etag = manifest.etag if manifest else 0
        assert etag in {announced - 1, announced}
        if etag:
            saved, arrays = store.load("g")
            assert saved.state == {"n": etag}
            for i, name in enumerate("abc"):
                np.testing.assert_array_equal(arrays[name], np.full(50_000, etag * 10 + i))
    final = store.latest("g")
    assert final is not None
    assert final.etag >= KILLS  # the children got somewhere
