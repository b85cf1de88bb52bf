"""Arrays as safetensors files, named by the digest of their bytes: ``sha256sum`` checks them.

A blob holds one tensor, ``data``. safetensors has no complex128, so complex numbers are kept as
pairs along one more axis; the metadata says which dtype the array had.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.errors import CheckpointCorrupt, DtypeMismatch
from gpures_lab.grain.store.manifest import ArrayRecord, digest_of
from gpures_lab.grain.store.places import private_folder, sync

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Blob", "BlobStore", "decode", "encode"]

_DTYPES: Final = frozenset(
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ]
)
_LETTERS: Final = {"i": "I", "u": "U", "f": "F"}
_PAIRS: Final = {"complex64": "float32", "complex128": "float64"}
_NAME: Final = re.compile(r"([0-9a-f]{64})\.safetensors(\.[0-9a-f]{16}\.tmp)?")


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of a blob: its header, and its array's own memory."""

    header: bytes
    data: memoryview

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return len(self.header) + self.data.nbytes

    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        found = hashlib.sha256(self.header)
        found.update(self.data)
        return found.hexdigest()


def encode(name: str, array: NDArray[Any]) -> Blob:
    """Return the array's blob, or raise `DtypeMismatch`; contiguous data is not copied."""
    import numpy as np

    if not isinstance(array, np.ndarray):
        raise DtypeMismatch(f"{name!r} is a {type(array).__name__}; give a NumPy array", name=name)
    dtype = array.dtype
    if not dtype.isnative or dtype.name not in _DTYPES:
        raise DtypeMismatch(
            f"{name!r} has dtype {dtype.str!r}, which a checkpoint cannot keep; "
            f"cast it to one of {', '.join(sorted(_DTYPES))}, in this machine's byte order",
            name=name,
            dtype=dtype.str,
        )
    plain = np.asarray(array, order="C")
    if dtype.name in _PAIRS:
        # The new axis first: an array of no dimension has no last axis to split.
        plain = plain[..., np.newaxis].view(_PAIRS[dtype.name])
    kind = "BOOL" if dtype.kind == "b" else f"{_LETTERS[plain.dtype.kind]}{plain.itemsize * 8}"
    tensor = {"dtype": kind, "shape": plain.shape, "data_offsets": [0, plain.nbytes]}
    # The format's header is written here: safetensors.save would copy the data twice.
    text = json.dumps({"__metadata__": {"dtype": dtype.name}, "data": tensor}).encode()
    text += b" " * (-len(text) % 8)
    data = plain.reshape(-1).view(np.uint8).data
    return Blob(len(text).to_bytes(8, "little") + text, data)


def decode(blob: bytes, record: ArrayRecord) -> NDArray[Any]:
    """Return the array of a blob, writable, once its digest is verified."""
    from safetensors.numpy import load

    found = digest_of(blob)
    if found != record.digest:
        raise CheckpointCorrupt(
            f"the blob of {record.name!r} has digest {found} and {len(blob):,} bytes, expected "
            f"{record.digest} for {record.nbytes:,} bytes of contents; restore the blob from a "
            "backup, or checkpoint the grain again with replace=True",
            name=record.name,
            expected=record.digest,
            found=found,
        )
    array: np.ndarray[Any, Any] = load(blob)["data"]
    if record.dtype in _PAIRS:
        array = array.view(record.dtype)[..., 0]
    array = array.reshape(record.shape)
    return array if array.flags.writeable else array.copy()


class BlobStore:
    """A folder of blobs, local or behind any fsspec URL."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        self._files, root = url_to_fs(url)
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._files, LocalFileSystem)
        if self._local:
            private_folder(Path(self._root))

    def path(self, digest: str) -> str:
        """Where the blob lies; only a digest can be part of a path."""
        assert re.fullmatch(r"[0-9a-f]{64}", digest), digest
        return f"{self._root}/{digest[:2]}/{digest}.safetensors"

    def write(self, digest: str, blob: Blob) -> None:
        """Keep the blob; when this returns it survives a power cut (on a local disk)."""
        path = self.path(digest)
        if self._holds(path, digest, blob.nbytes):
            return
        if self._local:
            _write_local(Path(path), blob)
        else:
            # Object stores show a file only when it is whole.
            self._files.pipe_file(path, blob.header + blob.data)

    def _holds(self, path: str, digest: str, size: int) -> bool:
        if not self._files.exists(path) or self._files.size(path) != size:
            return False
        # Checkpointing again is the cure for a damaged blob, so its name is not believed. Object
        # stores check what they hold, and reading it back would cost a download.
        return not self._local or digest_of(Path(path).read_bytes()) == digest

    def read(self, digest: str) -> bytes | None:
        """Return the bytes of a blob; ``None`` if it is not there."""
        try:
            return bytes(self._files.cat_file(self.path(digest)))
        except FileNotFoundError:
            return None

    def stored(self) -> list[tuple[str, str, int]]:
        """Path, digest and bytes of every file that is a blob or the beginning of one."""
        if not self._files.exists(self._root):
            return []
        self._files.invalidate_cache()
        found = []
        for path, facts in self._files.find(self._root, detail=True).items():
            if match := _NAME.fullmatch(path.rsplit("/", 1)[-1]):
                found.append((str(path), match[1], int(facts["size"])))
        return found

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files that `stored` named; one that is gone already is no error."""
        for path in paths:
            try:
                self._files.rm_file(path)
            except FileNotFoundError:
                continue


def _write_local(path: Path, blob: Blob) -> None:
    private_folder(path.parent)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for part in (memoryview(blob.header), blob.data):
                rest = part
                while rest:
                    rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)
