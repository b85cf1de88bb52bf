"""The library as a shared object behind ctypes: build it, read its rows, call them.

A call goes through the kernel ABI exactly as the serve loop makes it: distinct arrays in compiled
order, parameters packed in 8-byte words, slices of the index unless the row wants the whole range.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpures_lab.kernels.catalogue import LibraryRow

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "gpures_lab" / "_core"
SHIM = Path(__file__).with_name("shim.cpp")
# No flag here changes a value: without errno and exception flags, more loops vectorize.
MATH = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
FLAGS = ("-std=c++20", "-O3", "-fPIC", "-fvisibility=hidden", *MATH, *WARNINGS)
FAULT_WORDS = 8
ISA_NAMES = ("baseline", "avx2", "avx512")

Array = NDArray[Any]


class Entry(ctypes.Structure):
    """Mirror of ``gpures::library::Entry``; `load` compares the sizes."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("aliases", ctypes.POINTER(ctypes.c_char_p)),
        ("alias_count", ctypes.c_int),
        ("fn", ctypes.c_void_p),
        ("arrays", ctypes.c_uint8),
        ("inputs", ctypes.c_uint8),
        ("dtypes", ctypes.c_uint8 * 8),
        ("same", ctypes.c_uint8 * 8),
        ("params", ctypes.c_uint8),
        ("param_names", ctypes.POINTER(ctypes.c_char_p)),
        ("param_dtypes", ctypes.c_uint8 * 8),
        ("map", ctypes.c_bool),
        ("reduction", ctypes.c_bool),
        ("whole", ctypes.c_bool),
        ("indices", ctypes.c_uint8),
        ("elements_rule", ctypes.c_uint8 * 8),
        ("ndims", ctypes.c_uint8 * 8),
        ("extents", ctypes.c_char_p * 8),
        ("formula", ctypes.c_char_p),
        ("code", ctypes.c_char_p),
        ("plan", ctypes.c_void_p),
    ]


KERNEL = ctypes.CFUNCTYPE(
    None,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.POINTER(ctypes.c_uint64),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.POINTER(ctypes.c_int64),
)


@dataclass(frozen=True)
class NativeRow:
    """A row, its entry point, and which elements each array must hold."""

    row: LibraryRow
    address: int
    elements_rule: tuple[int, ...]
    isa: str
    in_passes: bool
    prepare: Callable[[], object]

    def __str__(self) -> str:
        return f"{self.row.name} {self.row.dtypes} same={self.row.same} {self.isa}"

    def run(
        self,
        arrays: Sequence[Array],
        *,
        params: Mapping[str, object] | None = None,
        shape: Sequence[int] | None = None,
        slices: Iterable[tuple[int, int]] | None = None,
    ) -> list[int]:
        """Call the kernel; gives the fault words. `arrays` are the distinct ones, in order."""
        places = [p for p, first in enumerate(self.row.same) if p == first]
        assert len(arrays) == len(places), "distinct arrays only"
        for array, place in zip(arrays, places, strict=True):
            assert array.dtype.name == self.row.dtypes[place], (array.dtype, self)
            assert array.flags.c_contiguous
        space = tuple(shape) if shape is not None else (self._extent(arrays, places),)
        data = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        sizes = (ctypes.c_int64 * len(arrays))(*(array.size for array in arrays))
        extents = [n for a in arrays for n in (a.shape if a.ndim > 1 else (a.size,))]
        shapes = (ctypes.c_int64 * len(extents))(*extents)
        words = self._pack(params or {})
        fault = (ctypes.c_int64 * FAULT_WORDS)()
        kernel = KERNEL(self.address)
        self.prepare()
        whole = self.row.whole or slices is None
        for begin, end in [(0, space[0])] if whole else (slices or ()):
            kernel(
                data,
                sizes,
                shapes,
                (ctypes.c_uint64 * max(1, len(words)))(*words),
                (ctypes.c_int64 * len(space))(*space),
                begin,
                end,
                fault,
            )
        return list(fault)

    def _extent(self, arrays: Sequence[Array], places: list[int]) -> int:
        first = 0 if self.row.is_reduction else self.row.inputs
        return arrays[places.index(self.row.same[first])].size

    def _pack(self, params: Mapping[str, object]) -> list[int]:
        assert set(params) == set(self.row.params), (params, self.row.params)
        packed = b""
        for name, dtype in zip(self.row.params, self.row.param_dtypes, strict=True):
            scalar = np.asarray(params[name]).astype(dtype).tobytes()
            packed += scalar.ljust(-(-len(scalar) // 8) * 8, b"\0")
        return np.frombuffer(packed, np.uint64).tolist() if packed else []


class Library:
    """The loaded shared object."""

    def __init__(self, path: Path, *, block: bool = False, passes: bool = False) -> None:
        self.block = block
        self._passes = passes
        self.dll = ctypes.CDLL(str(path))
        self.dll.library_find.restype = ctypes.POINTER(Entry)
        self.dll.dtype_name.restype = ctypes.c_char_p
        assert self.dll.entry_size() == ctypes.sizeof(Entry), "Entry changed: mirror it here"
        self.dtypes = [self.dll.dtype_name(c).decode() for c in range(self.dll.dtype_count())]
        native = self.dll.library_native_isa()
        self.rows = {ISA_NAMES[isa]: list(self._rows(isa)) for isa in range(native + 1)}
        self.native = ISA_NAMES[native]
        self._index = {
            (isa, name, native.row.dtypes, native.row.same, native.row.indices): native
            for isa, natives in self.rows.items()
            for native in natives
            for name in (native.row.name, *native.row.aliases)
        }

    def get(
        self,
        name: str,
        dtypes: Sequence[str],
        same: Sequence[int],
        isa: str | None = None,
        indices: int = 1,
    ) -> NativeRow:
        return self._index[isa or self.native, name, tuple(dtypes), tuple(same), indices]

    def select(self, name: str) -> list[NativeRow]:
        """Every row of an operation, on every instruction set that this machine has."""
        return [n for natives in self.rows.values() for n in natives if n.row.name == name]

    def find(
        self,
        name: str,
        dtypes: Sequence[str],
        same: Sequence[int],
        ndims: Sequence[int] | None = None,
    ) -> int | None:
        """Address that the native lookup gives; None where it has no row."""
        codes = bytes(self.dtypes.index(d) for d in dtypes)
        shape = None if ndims is None else bytes(ndims)
        found = self.dll.library_find(name.encode(), codes, bytes(same), len(codes), shape)
        return found.contents.fn if found else None

    def _rows(self, isa: int) -> Iterator[NativeRow]:
        first = ctypes.POINTER(Entry)()
        count = self.dll.library_rows(isa, ctypes.byref(first))
        for index in range(count):
            entry = first[index]
            arrays, params = entry.arrays, entry.params
            yield NativeRow(
                row=LibraryRow(
                    name=entry.name.decode(),
                    aliases=tuple(entry.aliases[a].decode() for a in range(entry.alias_count)),
                    formula=entry.formula.decode(),
                    dtypes=tuple(self.dtypes[code] for code in entry.dtypes[:arrays]),
                    same=tuple(entry.same[:arrays]),
                    inputs=entry.inputs,
                    params=tuple(entry.param_names[p].decode() for p in range(params)),
                    param_dtypes=tuple(self.dtypes[c] for c in entry.param_dtypes[:params]),
                    is_map=entry.map,
                    is_reduction=entry.reduction,
                    whole=entry.whole,
                    indices=entry.indices,
                    ndims=tuple(entry.ndims[:arrays]),
                    extents=tuple((entry.extents[p] or b"").decode() for p in range(arrays)),
                ),
                address=entry.fn,
                elements_rule=tuple(entry.elements_rule[:arrays]),
                isa=ISA_NAMES[isa],
                in_passes=bool(entry.plan),
                prepare=self._prepare,
            )

    def _prepare(self) -> None:
        # One build has both forms, and several of these may be of one build.
        if self.block:
            self.dll.library_in_passes(self._passes)


def compiler() -> str | None:
    """The C++ compiler to test with: ``$CXX``, else g++ or clang++ if there is one."""
    wanted = os.environ.get("CXX")
    return wanted or shutil.which("g++") or shutil.which("clang++")


# The same rows, each run by a block of host threads: the versions that a GPU runs.
BLOCK_FLAGS = (
    *("-O1", "-Wno-shadow", f"-I{CORE}", f"-I{SHIM.parent}", f"-I{SHIM.parents[1] / 'native'}"),
    *("-include", str(SHIM.with_name("block_entry.hpp"))),
)


def build(
    cxx: str, folder: Path, extra_flags: tuple[str, ...] = (), *, block: bool = False
) -> Path:
    """Compile what changed since the last time and link; `folder` keeps the objects."""
    headers = sorted([*CORE.glob("shared/**/*.hpp"), *CORE.glob("host/library/*.hpp")])
    sources = [*sorted(CORE.glob("host/library/*.cpp")), SHIM]
    flags = (*FLAGS, *extra_flags)
    if block:
        headers.append(SHIM.with_name("block_entry.hpp"))
        sources.append(SHIM.with_name("block_run.cpp"))
        flags = (*flags, *BLOCK_FLAGS)
    common = hashlib.sha256(repr((cxx, flags)).encode())
    for header in headers:
        common.update(header.read_bytes())

    def compiled(source: Path) -> str:
        digest = common.copy()
        digest.update(source.read_bytes())
        target = folder / f"{source.stem}-{digest.hexdigest()[:16]}.o"
        if not target.exists():
            partial = target.with_suffix(f".{os.getpid()}")
            _run([cxx, *flags, "-c", str(source), "-o", str(partial)])
            partial.rename(target)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sources))
    linked = hashlib.sha256(repr(objects).encode()).hexdigest()[:16]
    library = folder / f"library-{linked}.so"
    if not library.exists():
        partial = library.with_suffix(f".{os.getpid()}")
        _run([cxx, *flags, "-shared", *objects, "-o", str(partial)])
        partial.rename(library)
    return library


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
