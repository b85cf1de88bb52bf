"""The ring kernel compiles and links for a GPU on a machine without one, and its polls are real.

Catches what no CPU run can: a header that NVRTC refuses, a poll that reads a stale line, a load
through the read-only cache (a persistent kernel would see yesterday's data), a kernel that spills.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpures_lab.kernels.cuda.image import RING_ENTRY, link_image
from gpures_lab.kernels.cuda.toolchain import compile_ltoir, link
from tests.kernels.cuda.sass import READ_ONLY_CACHE, disassemble, run_tool

SHARED = Path(__file__).parents[2] / "gpures_lab" / "_core" / "shared"
SOURCE = SHARED / "ring_kernel.cu"
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")

_CURE = 'the CUDA compilers are missing: pip install "gpures_lab[compile]"'
pytest.importorskip("cuda.bindings.nvjitlink", reason=_CURE)

# An acquire is a strong load and then the invalidation of this SM's L1: without the second the
# payload that follows may be a line from the lap before.
# Our own `ld.….global` comes out as LDG; a volatile payload word, read after it, as LD.
STRONG_LOAD = re.compile(r"\bLDG\.E\.64\.STRONG\.SYS\b")
INVALIDATE = re.compile(r"\bCCTL\.IVALL\b")
# Where straight-line code ends or another load of the program begins.
ELSEWHERE = re.compile(r"\b(?:BRA|BRX|EXIT|RET|CALL|LDG?\.E)\b")


def ptx_of(source: str, arch: str) -> str:
    """PTX by NVRTC's own calls: cuda.core asks the driver before it gives any."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason=_CURE)
    options = [f"--gpu-architecture={arch.replace('sm_', 'compute_')}", "--std=c++20"]
    options += ["--fmad=false", "-rdc=true", f"-I{SHARED}"]
    error, program = nvrtc.nvrtcCreateProgram(source.encode(), b"ring_kernel.cu", 0, [], [])
    assert int(error) == 0
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
    _, length = nvrtc.nvrtcGetProgramLogSize(program)
    log = bytearray(length)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert int(error) == 0, log.decode()
    _, length = nvrtc.nvrtcGetPTXSize(program)
    code = bytearray(length)
    nvrtc.nvrtcGetPTX(program, code)
    nvrtc.nvrtcDestroyProgram(program)
    return code.decode()


def invalidates(instructions: list[str], load: int) -> bool:
    """Is the load at this line followed by the invalidation of L1 before anything else is read?"""
    for after in instructions[load + 1 : load + 12]:
        if INVALIDATE.search(after):
            return True
        if ELSEWHERE.search(after):
            return False
    return False


def strong_loads(instructions: list[str]) -> tuple[list[str], list[str]]:
    """Strong system-scope loads through global pointers: acquires, and the others."""
    found = [at for at, line in enumerate(instructions) if STRONG_LOAD.search(line)]
    acquires = [instructions[at] for at in found if invalidates(instructions, at)]
    others = [instructions[at] for at in found if not invalidates(instructions, at)]
    return acquires, others


def test_polls_and_commits_are_system_scope_in_ptx() -> None:
    """Catches a relaxed or gpu-scope poll, and a commit without release. [R2]"""
    ptx = ptx_of(SOURCE.read_text(), "sm_90")
    assert "ld.acquire.sys.global.b64" in ptx
    assert "st.release.sys.global.b64" in ptx
    assert "fence.acq_rel.sys" in ptx
    assert "ld.global.nc" not in ptx
    assert "trap;" not in ptx  # [R6]
    assert "vprintf" not in ptx  # [R6]


VARIANTS = ["look-ahead", "poller-warp", "look-ahead,poller-warp"]


@pytest.fixture(
    scope="module",
    params=[(arch, "") for arch in ARCHITECTURES] + list(zip(ARCHITECTURES, VARIANTS, strict=True)),
    ids=lambda pair: "-".join(filter(None, pair)),
)
def linked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """The linked cubin's path and its instructions."""
    folder = tmp_path_factory.mktemp("sass")
    arch, variant = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPURES_RING_VARIANT", variant)
        cubin = link_image({}, arch).cubin
    return folder / "image.cubin", disassemble(cubin, folder)[RING_ENTRY]


def test_only_a_poller_apart_has_a_barrier_of_its_own(
    request: pytest.FixtureRequest, linked: tuple[Path, list[str]]
) -> None:
    """Catches a block that waits for the warp which polls beside it, and a variant that is none."""
    named = any(re.search(r"\bBAR\.SYNC\S* 0x1\b", line) for line in linked[1])
    assert named == is_apart(request)


def is_apart(request: pytest.FixtureRequest) -> bool:
    """Whether a warp of its own polls in the variant that is looked at."""
    return "poller-warp" in request.node.callspec.id


def test_poll_invalidates_l1(
    request: pytest.FixtureRequest, linked: tuple[Path, list[str]]
) -> None:
    """Catches a poll whose payload may come from this SM's L1. [R2]

    The slot's sequence, a host word and the cancel entries are acquired: fewer than that means that
    one became a plain load. `stop` and `park_epoch` have nothing behind them and are relaxed, where
    a round begins, after a long message and between a program's steps; no other load is.
    """
    acquires, others = strong_loads(linked[1])
    assert len(acquires) >= 5
    assert len(others) == 2 * (1 if is_apart(request) else 3)


def test_other_words_come_while_the_slots_are_looked_at(
    request: pytest.FixtureRequest, linked: tuple[Path, list[str]]
) -> None:
    """Catches an acquire of what other blocks wrote: the look at a slot would wait for it."""
    if is_apart(request):
        return  # where another warp looks
    instructions = linked[1]
    poll = next(at for at, line in enumerate(instructions) if STRONG_LOAD.search(line))
    before = "\n".join(instructions[poll - 20 : poll])
    assert len(re.findall(r"\bLDG\.E\.64\.STRONG\.GPU\b", before)) == 2
    assert not INVALIDATE.search(before)


def test_nothing_is_read_through_the_read_only_cache(linked: tuple[Path, list[str]]) -> None:
    """Catches `const __restrict__` or __ldg in what a persistent kernel reads."""
    assert [line for line in linked[1] if READ_ONLY_CACHE.search(line)] == []


def test_two_blocks_of_256_threads_fit_an_sm(linked: tuple[Path, list[str]]) -> None:
    """Catches a change that makes the ring kernel spill or crowd out its second block."""
    usage = run_tool("cuobjdump", "-res-usage", str(linked[0]))
    figures = dict(re.findall(r"(REG|STACK|LOCAL):(\d+)", usage))
    assert int(figures["REG"]) <= 128
    assert int(figures["STACK"]) == 0
    assert int(figures["LOCAL"]) == 0


PLAIN_POLL = """
extern "C" __global__ void poll(const unsigned long long* __restrict__ word,
                                unsigned long long* seen) {
  while (*(const volatile unsigned long long*)seen == 0) {}
  seen[1] = word[threadIdx.x];
}
"""


def test_the_checks_see_a_broken_kernel(tmp_path: Path) -> None:
    """The two SASS checks can fail: a volatile poll is no acquire, `const __restrict__` is seen."""
    linked_alone = link([("poll", compile_ltoir(PLAIN_POLL, "poll"))], "sm_90").cubin
    instructions = disassemble(linked_alone, tmp_path)["poll"]
    acquires, others = strong_loads(instructions)
    assert acquires == []
    assert others != []
    assert any(READ_ONLY_CACHE.search(line) for line in instructions)
