"""The floor that a GPU's figures are held against: its host's side runs, its kernels compile."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gpures_lab.kernels.cuda.toolchain import compile_ltoir
from tests.gpu import floors
from tests.grain.engines import LIMIT_S

ROUNDS = 50


def _answers(there: np.ndarray, back: np.ndarray, right: int, over: threading.Event) -> None:
    """As the kernels do; after round ``right`` the sum is wrong."""
    for n in range(1, ROUNDS + 1):
        while there[0] != n:
            if over.is_set():
                return
        back[1:4] = there[1:8].sum() + (n > right)
        back[0] = n


@pytest.mark.parametrize("right", [ROUNDS, 20])
def test_the_hosts_side_counts_right_answers(right: int) -> None:
    """Would catch: a floor that times answers which nobody looked at."""
    memory = np.zeros((2, 8), np.uint64)
    spans, over = np.zeros(ROUNDS, np.uint64), threading.Event()
    other = threading.Thread(target=_answers, args=(*memory, right, over), daemon=True)
    host = floors.host_side()
    other.start()
    there, back = (row.ctypes.data for row in memory)
    assert host.ping_pong(there, back, ROUNDS, 7, 3, spans.ctypes.data) == right
    over.set()
    other.join(LIMIT_S)
    assert (spans[:right] > 0).all()


def test_the_kernels_compile_and_are_there() -> None:
    """Would catch: the first figure of all lost to a misspelled instruction."""
    text = (floors.HERE / "floor.cu").read_text(encoding="utf-8")
    assert compile_ltoir(text, "floor")
    for variants in floors.VARIANTS.values():
        for name in variants:
            assert f"KERNEL({name})" in text
    assert len(text.splitlines()) <= 60  # as was promised of it
