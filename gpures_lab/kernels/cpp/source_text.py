"""The C++ file of one kernel and signature: views or pointers, loops, the user's statements."""

from __future__ import annotations

from gpures_lab.kernels.cpp.declaration import CppBody, CppParameter
from gpures_lab.kernels.signature import Signature
from gpures_lab.kernels.typed.kernel import compiled_arrays, param_words

__all__ = ["BODY_FILE", "body_function", "body_locals", "uses_complex", "write_source"]

BODY_FILE = "gpures_body"

_HEAD = """\
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <algorithm>
#include <limits>
#include <type_traits>

using std::max;
using std::min;

"""

# Reading this header takes longer than compiling most kernels.
_COMPLEX = """\
#include <complex>
using std::complex;

"""

# The element outside is a fresh zero each time: a read gives 0, a write is dropped.
_VIEW = """\
template <class T>
class View {
 public:
  View(T* data, int64_t size, const int64_t* shape, int64_t array, int64_t* fault)
      : data_(data), size_(size), shape_(shape), array_(array), fault_(fault) {}
  template <class I>
  __attribute__((always_inline)) T& operator[](I index) const {
    static_assert(std::is_integral_v<I>, "a subscript is an integer");
    const int64_t at = static_cast<int64_t>(index);
    if (__builtin_expect(static_cast<uint64_t>(at) < static_cast<uint64_t>(size_), 1))
      return data_[at];
    return outside(at);
  }
  int64_t size() const { return size_; }
  int64_t shape(int64_t axis) const { return shape_[axis]; }

 private:
  __attribute__((noinline)) T& outside(int64_t at) const {
    if (fault_[0] == 0) {
      fault_[0] = 1;
      fault_[1] = array_;
      fault_[2] = -1;
      fault_[3] = at;
      fault_[4] = size_;
    }
    spare_ = std::remove_const_t<T>();
    return spare_;
  }

  T* data_;
  int64_t size_;
  const int64_t* shape_;
  int64_t array_;
  int64_t* fault_;
  mutable std::remove_const_t<T> spare_{};
};

"""

_PARAM = """\
template <class From, class To>
static To gpures_param(const uint64_t* words) {
  From value;
  memcpy(&value, words, sizeof(From));
  return static_cast<To>(value);
}

"""

_KINDS = {
    "float": "double",
    "int": "int64_t",
    "bool": "int64_t",
    "complex": "complex<double>",
    "float32": "float",
    "float64": "double",
    "complex64": "complex<float>",
    "complex128": "complex<double>",
}


def write_source(body: CppBody, names: tuple[str, ...], signature: Signature) -> str:
    """The whole file; ``names`` are the arrays' parameters in binding order.

    One pointer stands for each distinct array, and it is ``__restrict``: parameters that hold
    equal handles are made from the same pointer.
    """
    positions, slots = compiled_arrays(signature)
    views = signature.checked and not body.is_map
    by_name = {parameter.name: parameter for parameter in body.parameters}
    slot_of = dict(zip(names, slots, strict=True))
    indices = ["i", "j", "k"][: body.indices]

    complex_part = _COMPLEX if uses_complex(body, signature) else ""
    lines = [_HEAD, complex_part, _VIEW if views else "", _PARAM]
    lines.append("static inline __attribute__((always_inline)) ")
    lines += body_function(body, "View" if views else None)

    pointers = [
        f"{by_name[names[position]].spelled}* __restrict gpures_p{slot}"
        for slot, position in enumerate(positions)
    ]
    lines.append("static __attribute__((noinline)) void gpures_run(")
    lines.append(
        "    "
        + ", ".join(
            [
                *pointers,
                "const int64_t* sizes",
                "const int64_t* shapes",
                "const uint64_t* params",
                "const int64_t* space",
                "int64_t begin",
                "int64_t end",
                "int64_t* fault",
            ]
        )
        + ") {\n"
    )
    lines += body_locals(body, signature, slot_of, views=views)
    lines += _loops(indices)
    arguments = ["gpures_count", *(f"gpures_a_{name}" for name in body.names)]
    lines.append(f"    gpures_body({', '.join([*indices, *arguments])});\n}}\n")
    lines += _entry(positions, names, by_name)
    return "".join(lines)


def uses_complex(body: CppBody, signature: Signature) -> bool:
    """Whether the file needs a complex type."""
    spelled = body.source.text + "".join(parameter.spelled for parameter in body.parameters)
    kinds = {param.kind for param in signature.params}
    return "complex" in spelled or any(kind.startswith("complex") for kind in kinds)


def body_function(body: CppBody, array: str | None) -> list[str]:
    """``void gpures_body(...)`` around the user's statements.

    ``array`` is the class template that arrays come as, None for plain pointers.
    """
    declared = [f"const int64_t {index}" for index in ["i", "j", "k"][: body.indices]]
    declared += ["const int64_t n", *(_declaration(each, array) for each in body.parameters)]
    return [
        f"void gpures_body(    {', '.join(declared)}) {{\n" + f'#line 1 "{BODY_FILE}"\n',
        body.source.text.rstrip("\n") + '\n}\n#line 1 "gpures_kernel"\n',
    ]


def _declaration(parameter: CppParameter, array: str | None) -> str:
    if not parameter.is_array:
        return f"{parameter.spelled} {parameter.name}"
    const = "const " if parameter.is_input else ""
    if array is not None:
        return f"const {array}<{const}{parameter.spelled}>& {parameter.name}"
    return f"{const}{parameter.spelled}* const {parameter.name}"


def body_locals(
    body: CppBody,
    signature: Signature,
    slot_of: dict[str, int],
    *,
    views: bool,
    arrays: bool = True,
) -> list[str]:
    """What the body's parameters are bound to, once a call: params, and ``arrays`` if wanted."""
    positions, _ = compiled_arrays(signature)
    first, starts = 0, []
    for position in positions:
        starts.append(first)
        first += max(signature.arrays[position].ndim, 1)
    words = {
        param.name: (param.kind, word)
        for param, (_, word) in zip(signature.params, param_words(signature.params), strict=True)
    }
    lines = []
    for parameter in body.parameters:
        name, spelled = parameter.name, parameter.spelled
        if not parameter.is_array:
            kind, word = words[name]
            source = _KINDS.get(kind, "int64_t" if kind == "int64" else f"{kind}_t")
            target = f"gpures_param<{source}, {spelled}>(params + {word})"
            lines.append(f"  const {spelled} gpures_a_{name} = {target};\n")
            continue
        if not arrays:
            continue
        slot = slot_of[name]
        const = "const " if parameter.is_input else ""
        pointer = f"reinterpret_cast<{const}{spelled}*>(gpures_p{slot})"
        if views:
            rest = f"sizes[{slot}], shapes + {starts[slot]}, {slot}, fault"
            lines.append(f"  const View<{const}{spelled}> gpures_a_{name}({pointer}, {rest});\n")
        else:
            lines.append(f"  {const}{spelled}* const gpures_a_{name} = {pointer};\n")
    count = " * ".join(f"space[{axis}]" for axis in range(body.indices))
    lines.append(f"  const int64_t gpures_count = {count};\n")
    return lines


def _loops(indices: list[str]) -> list[str]:
    lines = ["  for (int64_t i = begin; i < end; ++i)\n"]
    for axis, index in enumerate(indices[1:], 1):
        lines.append(f"  for (int64_t {index} = 0; {index} < space[{axis}]; ++{index})\n")
    return lines


def _entry(
    positions: tuple[int, ...], names: tuple[str, ...], by_name: dict[str, CppParameter]
) -> list[str]:
    passed = [
        f"static_cast<{by_name[names[position]].spelled}*>(data[{slot}])"
        for slot, position in enumerate(positions)
    ]
    rest = "sizes, shapes, params, space, begin, end, fault"
    return [
        'extern "C" __attribute__((visibility("default"))) void gpures_kernel(\n',
        "    void* const* data, const int64_t* sizes, const int64_t* shapes,\n",
        "    const uint64_t* params, const int64_t* space, int64_t begin, int64_t end,\n",
        "    int64_t* fault) {\n",
        f"  gpures_run({', '.join([*passed, rest])});\n}}\n",
    ]
