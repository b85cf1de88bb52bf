"""The C++ around a compiled body: the block's share of the indices, and both ways to call it.

Every file names its struct after its own symbol: the linker takes equal names for equal code.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["loop_wrapper", "map_wrapper", "pack_loop"]

_LOOP = """\
#include "device/kernel.hpp"
extern "C" __device__ gpures::u64 {body}(const void*, const void*, const void*, const void*,
                                         const void*, gpures::i64, gpures::i64, gpures::i64,
                                         gpures::i64, void*);
struct {symbol}_kernel {{
  template <class Block>
  static GPURES_HD void run(const Block& block, const gpures::Arguments& a, gpures::i64 begin,
                            gpures::i64 end) {{
    {threads}{body}(a.data, a.sizes, a.shapes, a.params, a.space, begin, end, {share}, a.fault);
  }}
}};
GPURES_DEVICE_KERNEL({symbol}, {symbol}_kernel, {counts})
"""

_MAP = """\
#include "device/kernel.hpp"
#include "device/map.hpp"
extern "C" __device__ gpures::u64 {body}(const void* params, gpures::i64 i, gpures::i64 count,
                                         {pointers});
{declared}struct {symbol}_kernel {{
  template <class Block>
  static GPURES_HD void run(const Block& block, const gpures::Arguments& a, gpures::i64 begin,
                            gpures::i64 end) {{
    gpures::u64 params[{words}];
    for (int w = 0; w < {words}; ++w) params[w] = a.params[w];
    const gpures::i64 count = {count};
{rows}{packs}  }}
}};
GPURES_DEVICE_KERNEL({symbol}, {symbol}_kernel, {counts})
"""

_LOOP_FUNCTION = """\
extern "C" __device__ gpures::u64 {loop}(const void*, const void*, const void*, const void*,
                                         const void*, gpures::i64, gpures::i64, gpures::i64,
                                         gpures::i64, void*);
"""

# Where every array has the space's rows, the space is one row.
_ROWS = """\
    for (int array = 0; array < {arrays}; ++array) {{
      for (int axis = 1; axis < {indices}; ++axis) {{
        if (a.shapes[array * {indices} + axis] == a.space[axis]) continue;
        {loop}(a.data, a.sizes, a.shapes, a.params, a.space, begin, end, block.thread(),
               block.threads(), a.fault);
        return;
      }}
    }}
    begin *= {inner};
    end *= {inner};
"""

_PACKS = """\
    gpures::for_each_pack<{lanes}>(
        block, begin, end, {aligned},
        [&](auto lanes, gpures::i64 i) {{
          constexpr int kHere = decltype(lanes)::kValue;
{loads}          for (int lane = 0; lane < kHere; ++lane) {{
{call}          }}
{stores}        }});
"""


def loop_wrapper(symbol: str, body: str, counts: tuple[int, int, int], *, one_thread: bool) -> str:
    """Around `emit_loop`'s function; a reduction is one thread's, in the order of its indices."""
    return _LOOP.format(
        symbol=symbol,
        body=body,
        counts=", ".join(map(str, counts)),
        threads="if (block.thread() != 0) return;\n    " if one_thread else "",
        share="0, 1" if one_thread else "block.thread(), block.threads()",
    )


def map_wrapper(
    symbol: str,
    body: str,
    counts: tuple[int, int, int],
    itemsizes: Sequence[int],
    *,
    loaded: frozenset[int],
    stored: frozenset[int],
    indices: int = 1,
    loop: str = "",
) -> str:
    """Around `emit_map`'s function; with several indices also around ``loop``, `emit_loop`'s."""
    inner = " * ".join(f"a.space[{axis}]" for axis in range(1, indices))
    rows = _ROWS.format(arrays=len(itemsizes), indices=indices, loop=loop, inner=f"({inner})")
    elements = ", ".join(f"e{slot}.at(lane)" for slot in range(len(itemsizes)))
    call = f"            {body}(params, i + lane, count, {elements});\n"
    return _MAP.format(
        symbol=symbol,
        body=body,
        counts=", ".join(map(str, counts)),
        words=max(1, counts[2]),
        pointers=", ".join(["void*"] * len(itemsizes)),
        declared=_LOOP_FUNCTION.format(loop=loop) if indices > 1 else "",
        count=" * ".join(f"a.space[{axis}]" for axis in range(indices)),
        rows=rows if indices > 1 else "",
        packs=pack_loop(call, itemsizes, loaded, stored),
    )


def pack_loop(
    call: str, itemsizes: Sequence[int], loaded: frozenset[int], stored: frozenset[int]
) -> str:
    """Packs of elements of arrays ``a.data[...]``: all loads of a pack before its stores.

    ``call`` computes element ``lane`` of the packs ``e0``, ``e1``, ... that begin at index ``i``.
    """
    lanes = max(1, 16 // max(4, *itemsizes))
    slots = range(len(itemsizes))
    at = {slot: f"gpures::element(a.data[{slot}], i, {itemsizes[slot]})" for slot in slots}
    loads = "".join(
        f"          gpures::Elements<{itemsizes[slot]}, kHere> e{slot};\n"
        + (f"          e{slot}.load({at[slot]});\n" if slot in loaded else "")
        for slot in slots
    )
    return _PACKS.format(
        lanes=lanes,
        aligned=" && ".join(
            f"gpures::is_aligned(gpures::element(a.data[{slot}], begin, {itemsizes[slot]}), "
            f"{itemsizes[slot] * lanes})"
            for slot in slots
        ),
        loads=loads,
        call=call,
        stores="".join(f"          e{slot}.store({at[slot]});\n" for slot in sorted(stored)),
    )
