"""``gpures-lab compile-check``: all compiles and links with no GPU, and what must fail does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpures_lab.cli import BAD_ANSWER, COULD_NOT_RUN, OK, main
from gpures_lab.kernels.cuda import check
from gpures_lab.kernels.cuda.image import RING_ENTRY

pytest.importorskip("cuda.bindings.nvjitlink", reason='pip install "gpures_lab[compile]"')

SYNTAX_ERROR = """
import gpures_lab as gl
broken = gl.cpp_kernel("broken", "const float* x, float* z", "z[i] = x[i] +;")
"""
# As NVRTC makes it of `const __restrict__` parameters of a kernel; spelled out, so that no rule of
# the compiler's decides whether this test tests something.
READ_ONLY_LOAD = '''
import gpures_lab as gl
stale = gl.cpp_kernel(
    "stale", "const float* x, float* z",
    """float v;
asm("ld.global.nc.f32 %0, [%1];" : "=f"(v) : "l"(x + i));
z[i] = v;""",
    checked=False,
)
'''


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only users' kernels: what a planted file does to the answer does not need the rest."""
    monkeypatch.setattr(check, "_library_rows", lambda **_: [])


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict]]:
    code = main(["compile-check", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)["rows"]


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_the_library_and_the_samples_link(capsys: pytest.CaptureFixture[str], arch: str) -> None:
    """Catches a library kernel that no device can compile: one version of each.

    Also kernels that need so many registers that the serve loop puts more of its own away around a
    call than it does: none on sm_80, two words' worth of stores and loads on sm_90.
    """
    code, rows = run(capsys, "--short", "--arch", arch)
    problems = [(row["kernel"], row["problem"]) for row in rows if row["problem"]]
    assert (code, problems) == (OK, [])
    names = {row["kernel"] for row in rows}
    assert {"kernels/Sum", "kernels/Softmax", "sample_heat", "sample_cpp_checked"} <= names
    assert all(row["registers"] > 0 and row["path"] == "ring" for row in rows)
    (spilled,) = (row["spill_bytes"] for row in rows if row["kernel"] == RING_ENTRY)
    assert spilled <= {"sm_80": 0, "sm_90": 16}[arch]


def test_processes_say_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches groups that are lost, mixed up or checked twice on their way through processes."""
    some = check._library_rows(short=False)[:18]  # two groups
    monkeypatch.setattr(check, "_library_rows", lambda **_: some)
    monkeypatch.setattr(check, "_user_kernels", lambda _files: ())
    alone = list(check.compile_check(["sm_80", "sm_90"], jobs=1))
    assert list(check.compile_check(["sm_80", "sm_90"], jobs=2)) == alone
    kernels = [(row.kernel, row.variant) for row in alone if row.arch == "sm_90" and row.variant]
    assert len(set(kernels)) == len(kernels) == len(some)


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SYNTAX_ERROR, "broken, its body, line 1: expected an expression"),
        (READ_ONLY_LOAD, "read-only cache (ld.global.nc"),
        ("def f(:\n", "invalid syntax"),
        ("x = 1\n", "it defines no kernel"),
    ],
)
def test_a_planted_fault_fails_the_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, words: str
) -> None:
    """Catches a check that prints a problem and exits 0, or that looks at nothing."""
    planted = tmp_path / "planted.py"
    planted.write_text(text)
    code, rows = run(capsys, "--arch", "sm_80", "--kernel", str(planted))
    assert code == BAD_ANSWER
    assert [words in row["problem"] for row in rows if row["problem"]] == [True]


@pytest.mark.usefixtures("no_library")
def test_an_unknown_architecture_could_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a traceback where the compilers are too old for a GPU."""
    assert main(["compile-check", "--arch", "sm_90,sm_999"]) == COULD_NOT_RUN
    assert "sm_999" in capsys.readouterr().err
