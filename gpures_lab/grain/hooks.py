"""The Python functions that the native binding calls, by name, off its fast path."""

from gpures_lab.grain.arguments import (
    as_ndarray,
    bad_range,
    check_out,
    coerce,
    foreign,
    no_arithmetic,
    no_subscript,
    normalize_allocation,
    not_a_handle,
    pool_exhausted,
    released,
    wrong_size,
)
from gpures_lab.grain.device import adopt_kernel, grow_arena, start_device, wide_only
from gpures_lab.grain.named import allocate_named
from gpures_lab.grain.program import not_recordable, other_ring, run_result
from gpures_lab.grain.residency import make_room, wake
from gpures_lab.grain.result import compute_result
from gpures_lab.grain.text import array_repr, completion_repr
from gpures_lab.kernels.calls import (
    bad_param,
    bad_params,
    do_not_fit,
    index_space,
    index_space_misses,
    no_space,
    pack_param,
    too_many,
    too_small,
    unknown_kernel,
    wrong_arguments,
)
from gpures_lab.kernels.library import library as _library
from gpures_lab.kernels.numbers import kernel_of_number
from gpures_lab.ring.awaiting import awaiting
from gpures_lab.ring.batch import bad_row, in_row
from gpures_lab.ring.failures import (
    again,
    bad_flag,
    bad_timeout,
    borrowed,
    closed,
    failure,
    interrupted,
    interrupted_grain,
    interrupted_parts,
    no_ring,
    not_at_rest,
    quiesced,
    refused,
    ring_full,
    timed_out,
)

__all__ = [
    "adopt_kernel",
    "again",
    "allocate_named",
    "array_repr",
    "as_ndarray",
    "awaiting",
    "bad_flag",
    "bad_param",
    "bad_params",
    "bad_range",
    "bad_row",
    "bad_timeout",
    "borrowed",
    "check_out",
    "closed",
    "coerce",
    "completion_repr",
    "compute_result",
    "do_not_fit",
    "failure",
    "foreign",
    "grow_arena",
    "in_row",
    "index_space",
    "index_space_misses",
    "interrupted",
    "interrupted_grain",
    "interrupted_parts",
    "kernel_of_number",
    "library",
    "make_room",
    "no_arithmetic",
    "no_ring",
    "no_space",
    "no_subscript",
    "normalize_allocation",
    "not_a_handle",
    "not_at_rest",
    "not_recordable",
    "other_ring",
    "pack_param",
    "pool_exhausted",
    "quiesced",
    "refused",
    "released",
    "ring_full",
    "run_result",
    "start_device",
    "timed_out",
    "too_many",
    "too_small",
    "unknown_kernel",
    "wake",
    "wide_only",
    "wrong_arguments",
    "wrong_size",
]

library = _library.fill()
