"""The image: one cubin with the ring kernel, its dispatch, and every kernel's own entry point."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gpures_lab.environment import ring_variant
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.dispatch import dispatch_source
from gpures_lab.kernels.cuda.headers import SHARED
from gpures_lab.kernels.cuda.ltoir_cache import cached, device_key
from gpures_lab.kernels.cuda.resources import Resources, read_resources
from gpures_lab.kernels.cuda.toolchain import check_arch, compile_ltoir, link

__all__ = [
    "MAX_STACK_BYTES",
    "RING_ENTRY",
    "THREADS",
    "WIDE_SHARED_BYTES",
    "Image",
    "image_parts",
    "link_image",
    "ring_threads",
]

RING_ENTRY = "gpures_ring_kernel"
THREADS = 256
"""Of a block, in the ring and in a wide launch (``__launch_bounds__``)."""
POLLER_THREADS = 32
"""Of the warp that polls apart, where ``GPURES_RING_VARIANT`` says so."""
WIDE_SHARED_BYTES = 32768
"""Dynamic shared memory of a wide launch: ``kScratchBytes`` of ``shared/device/block.hpp``."""
MAX_STACK_BYTES = 512
"""A user's kernel that needs more, or that spills, is not linked into the ring."""


@dataclass(frozen=True, slots=True)
class Image:
    """What one device runs. Load it in a quiesced window; kernel ids keep their meaning in all.

    Attributes
    ----------
    cubin
        For ``arch`` alone.
    ring_entry
        The ring kernel: ``(EngineView, RingView*, u64 epoch, u64 expected_out)``, one block of
        `ring_threads` a ring, no dynamic shared memory.
    kernel_ids
        Kernels that the ring runs: id → name.
    wide_entries
        Entry points for a plain launch: id → name. One parameter, ``WideCall`` of
        ``_core/shared/device/kernel.hpp``: the words of data, sizes, shapes, params (at least
        one), three of space, begin, end, the passes' memory, where it says that it has begun, what
        it says, the pass, and the address of eight zeroed fault words. ``THREADS`` a block,
        ``WIDE_SHARED_BYTES`` of dynamic shared memory unless the id is in ``any_blocks``.
    any_blocks
        Ids whose wide launch may have any number of blocks; the others run in one, but for `plans`.
    plans
        Addresses of the ``WidePlanner`` of those that run in several launches; every block of
        theirs has ``WIDE_SHARED_BYTES``.
    left_out
        Kernels that only the wide path runs, and why: id → reason.
    resources
        By function name, for the ring kernel and every wide entry.
    """

    cubin: bytes
    arch: str
    ring_entry: str
    kernel_ids: Mapping[int, str]
    wide_entries: Mapping[int, str]
    any_blocks: frozenset[int]
    plans: Mapping[int, int]
    left_out: Mapping[int, str]
    resources: Mapping[str, Resources]


def ring_threads() -> int:
    """Threads a block of the ring kernel is launched with."""
    return THREADS + POLLER_THREADS * ("poller-warp" in ring_variant())


def link_image(kernels: Mapping[int, DeviceKernel], arch: str) -> Image:
    """Link the ring kernel and ``kernels`` (id → compiled version) for one architecture.

    A user's kernel that turns out too heavy is left out of the ring and linked again without it.

    Raises
    ------
    CompileError
        The linker refused.
    DriverUnavailable
        The compilers are missing or do not know ``arch``.
    """
    check_arch(arch)
    left_out: dict[int, str] = {}
    while True:
        in_ring = {n: kernel for n, kernel in kernels.items() if n not in left_out}
        cubin, resources = _link(kernels, in_ring, arch)
        heavy = {
            number: reason
            for number, kernel in in_ring.items()
            if kernel.user and (reason := _too_heavy(resources[kernel.wide_entry]))
        }
        if not heavy:
            break
        left_out |= heavy
    return Image(
        cubin=cubin,
        arch=arch,
        ring_entry=RING_ENTRY,
        kernel_ids=MappingProxyType({n: kernel.name for n, kernel in in_ring.items()}),
        wide_entries=MappingProxyType({n: kernel.wide_entry for n, kernel in kernels.items()}),
        any_blocks=frozenset(n for n, kernel in kernels.items() if kernel.any_blocks),
        plans=MappingProxyType({n: kernel.plan for n, kernel in kernels.items() if kernel.plan}),
        left_out=MappingProxyType(left_out),
        resources=MappingProxyType(dict(resources)),
    )


def _too_heavy(found: Resources) -> str:
    if found.spill_bytes:
        return f"it spills {found.spill_bytes} bytes of registers a thread"
    if found.stack_bytes > MAX_STACK_BYTES:
        return f"it needs {found.stack_bytes} bytes of stack a thread; a ring has {MAX_STACK_BYTES}"
    return ""


def image_parts(kernels: Mapping[int, DeviceKernel]) -> list[tuple[str, bytes]]:
    """What an image with all of ``kernels`` in its ring is linked from."""
    dispatch = dispatch_source(kernels)
    return [("ring", _ring()), ("dispatch", compile_ltoir(dispatch, "dispatch")), *_own(kernels)]


def _own(kernels: Mapping[int, DeviceKernel]) -> list[tuple[str, bytes]]:
    parts = {name: part for kernel in kernels.values() for name, part in kernel.parts}
    return sorted(parts.items())


def _link(
    kernels: Mapping[int, DeviceKernel], in_ring: Mapping[int, DeviceKernel], arch: str
) -> tuple[bytes, Mapping[str, Resources]]:
    dispatch, own = dispatch_source(in_ring), _own(kernels)
    contents = (hashlib.sha256(part).hexdigest() for _, part in own)
    key = device_key("image", arch, dispatch, *contents)

    def build() -> tuple[bytes, dict[str, str]]:
        listed = [("ring", _ring()), ("dispatch", compile_ltoir(dispatch, "dispatch")), *own]
        linked = link(listed, arch)
        return linked.cubin, {"log": linked.log}

    artifact, _ = cached(key, ".cubin", build)
    return artifact.payload, read_resources(artifact.meta["log"])


def _ring() -> bytes:
    source = (SHARED / "ring_kernel.cu").read_text()
    artifact, _ = cached(
        device_key("ring", source), ".ltoir", lambda: (compile_ltoir(source, "ring_kernel"), {})
    )
    return artifact.payload
