"""The CUDA C++ file of one C++ kernel and signature, around the same body as the host's."""

from __future__ import annotations

import numpy as np

from gpures_lab.kernels.cpp.declaration import CppBody
from gpures_lab.kernels.cpp.pointer_use import written_first
from gpures_lab.kernels.cpp.source_text import body_function, body_locals, uses_complex
from gpures_lab.kernels.cuda.wrapper import pack_loop
from gpures_lab.kernels.signature import Signature
from gpures_lab.kernels.typed.kernel import compiled_arrays

__all__ = ["write_device_source"]

# A read through the read-only cache would see, in a kernel that never ends, yesterday's data.
_PLAIN_LOADS = "".join(
    f"#define {name}(pointer) (*(pointer))\n"
    for name in ("__ldg", "__ldca", "__ldcg", "__ldcs", "__ldcv", "__ldlu")
)
# From the CCCL headers, which only these need.
_COMPLEX = """\
#include <cuda/std/complex>
namespace std { using cuda::std::complex; }
using std::complex;
"""
_LIMITS = """\
#include <cuda/std/limits>
namespace std { using cuda::std::numeric_limits; }
"""
_RUN = """\
struct {name} {{
  template <class Block>
  static __device__ __forceinline__ void run(const Block& block, const gpures::Arguments& a,
                                             int64_t begin, int64_t end) {{
  const int64_t* const sizes = reinterpret_cast<const int64_t*>(a.sizes);
  const int64_t* const shapes = reinterpret_cast<const int64_t*>(a.shapes);
  const uint64_t* const params = reinterpret_cast<const uint64_t*>(a.params);
  const int64_t* const space = reinterpret_cast<const int64_t*>(a.space);
  int64_t* const fault = reinterpret_cast<int64_t*>(a.fault);
"""


def write_device_source(
    body: CppBody,
    names: tuple[str, ...],
    signature: Signature,
    symbol: str,
    counts: tuple[int, int, int],
) -> str:
    """The whole file; ``names`` are the arrays' parameters in binding order."""
    positions, slots = compiled_arrays(signature)
    slot_of = dict(zip(names, slots, strict=True))
    views = signature.checked and not body.is_map
    given = "View" if views else "Here" if body.is_map else None
    lines = ['#include "device/kernel.hpp"\n#include "device/map.hpp"\n#include "device/cpp.hpp"\n']
    lines.append("using std::max;\nusing std::min;\n")
    lines.append(_COMPLEX if uses_complex(body, signature) else "")
    lines.append(_LIMITS if "numeric_limits" in body.source.text else "")
    lines.append(f"{_PLAIN_LOADS}static __device__ __forceinline__ ")
    lines += body_function(body, given)
    lines.append(_RUN.format(name=f"{symbol}_kernel"))
    if not body.is_map:
        lines += [f"  void* const gpures_p{slot} = a.data[{slot}];\n" for slot in set(slots)]
    lines += body_locals(body, signature, slot_of, views=views, arrays=not body.is_map)
    lines += _map(body, signature, slot_of, positions) if body.is_map else _loops(body)
    lines.append("  }\n};\n")
    given_counts = ", ".join(map(str, counts))
    lines.append(f"GPURES_DEVICE_KERNEL({symbol}, {symbol}_kernel, {given_counts})\n")
    return "".join(lines)


def _call(body: CppBody, indices: list[str]) -> str:
    given = ["gpures_count", *(f"gpures_a_{name}" for name in body.names)]
    return f"gpures_body({', '.join([*indices, *given])});"


def _loops(body: CppBody) -> list[str]:
    if body.indices == 1:
        head = "  for (int64_t i = begin + block.thread(); i < end; i += block.threads()) "
        return [head, _call(body, ["i"]), "\n"]
    inner = " * ".join(f"space[{axis}]" for axis in range(1, body.indices))
    head = f"  gpures::library::for_each_place(block, begin, end, {inner}, "
    lines = [head, "[&](int64_t i, int64_t rest) {\n"]
    if body.indices == 2:
        return [*lines, "    ", _call(body, ["i", "rest"]), "\n  });\n"]
    lines.append("    const int64_t j = rest / space[2];\n    const int64_t k = rest % space[2];\n")
    return [*lines, "    ", _call(body, ["i", "j", "k"]), "\n  });\n"]


def _map(
    body: CppBody, signature: Signature, slot_of: dict[str, int], positions: tuple[int, ...]
) -> list[str]:
    itemsizes = [np.dtype(signature.arrays[position].dtype).itemsize for position in positions]
    arrays = [parameter for parameter in body.parameters if parameter.is_array]
    stored = frozenset(slot_of[each.name] for each in arrays if each.is_output)
    first = {slot_of[name] for name in written_first(body.source, body.array_names)}
    # One array under two names may be read by the other.
    shared = {slot for slot in slot_of.values() if list(slot_of.values()).count(slot) > 1}
    loaded = frozenset(slot_of.values()) - (first - shared)
    bound = "".join(
        f"            const Here<{'const ' if each.is_input else ''}{each.spelled}> "
        f"gpures_a_{each.name}(e{slot_of[each.name]}.at(lane));\n"
        for each in arrays
    )
    call = f"{bound}            {_call(body, ['i + lane'])}\n"
    return [pack_loop(call, itemsizes, loaded, stored)]
