"""Arrays as safetensors files, named by the digest of their bytes: ``sha256sum`` checks them.

A blob holds one tensor, ``data``. safetensors has no complex128, so complex numbers are kept as
pairs along one more axis; the metadata says which dtype the array had.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.errors import CheckpointCorrupt, DtypeMismatch, InvalidOption
from gpures_lab.grain.store.hashing import PART_BYTES, Hashing
from gpures_lab.grain.store.manifest import DTYPES, ArrayRecord, digest_of
from gpures_lab.grain.store.pace import FULL_SPEED, Pace
from gpures_lab.grain.store.places import private_folder, sync

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Blob", "BlobStore", "Loaded", "encode"]

_LETTERS: Final = {"i": "I", "u": "U", "f": "F"}
_PAIRS: Final = {"complex64": "float32", "complex128": "float64"}
_COMING: Final = ".0000000000000000.tmp"
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
    if not dtype.isnative or dtype.name not in DTYPES:
        raise DtypeMismatch(
            f"{name!r} has dtype {dtype.str!r}, which a checkpoint cannot keep; "
            f"cast it to one of {', '.join(sorted(DTYPES))}, in this machine's byte order",
            name=name,
            dtype=dtype.str,
        )
    plain = np.asarray(array, order="C")
    return Blob(
        _header(dtype.name, array.shape, plain.nbytes), plain.reshape(-1).view(np.uint8).data
    )


def _header(dtype: str, shape: tuple[int, ...], nbytes: int) -> bytes:
    """Return what safetensors has before the data; its own writer would copy the data twice."""
    import numpy as np

    pair = dtype in _PAIRS
    plain = np.dtype(_PAIRS.get(dtype, dtype))
    kind = "BOOL" if plain.kind == "b" else f"{_LETTERS[plain.kind]}{plain.itemsize * 8}"
    # The pairs of a complex number are the last axis.
    extents = [*shape, 2] if pair else list(shape)
    tensor = {"dtype": kind, "shape": extents, "data_offsets": [0, nbytes]}
    text = json.dumps({"__metadata__": {"dtype": dtype}, "data": tensor}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


@dataclass(frozen=True, slots=True)
class Loaded:
    """A blob's array, whose digest may still be on its way."""

    record: ArrayRecord
    size: int
    array: NDArray[Any]
    hashing: Hashing

    def verified(self) -> NDArray[Any]:
        """Return the array, the caller's to change, once its digest is as the manifest says."""
        _check(self.record, self.size, self.hashing.hexdigest())
        return self.array


def _check(record: ArrayRecord, size: int, found: str) -> None:
    if found == record.digest:
        return
    raise CheckpointCorrupt(
        f"the blob of {record.name!r} has digest {found} and {size:,} bytes, expected "
        f"{record.digest} for {record.nbytes:,} bytes of contents; restore the blob from a "
        "backup, or checkpoint the grain again with replace=True",
        name=record.name,
        expected=record.digest,
        found=found,
    )


def _array_of(blob: NDArray[np.uint8], record: ArrayRecord) -> NDArray[Any] | None:
    """View the contents in a blob's bytes; None if their size says that they are no such blob."""
    # The header is as long as encode() made it; its text is believed once the digest is.
    start = len(_header(record.dtype, record.shape, record.nbytes))
    if blob.nbytes != start + record.nbytes:
        return None
    return blob[start:].view(record.dtype).reshape(record.shape)


class BlobStore:
    """A folder of blobs, local or behind any fsspec URL."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        self.url = url
        try:
            self._files, root = url_to_fs(url)
        except ValueError as error:  # what fsspec says of a protocol it does not know
            raise InvalidOption(
                f"blobs_url={url!r} cannot be opened: {error}; give a folder or a URL that fsspec "
                "knows, such as s3://bucket/folder",
                blobs_url=url,
            ) from error
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._files, LocalFileSystem)
        if self._local:
            private_folder(Path(self._root))

    def path(self, digest: str) -> str:
        """Where the blob lies; only a digest can be part of a path."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise CheckpointCorrupt(f"{digest!r} is no digest, so it names no blob")
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
        self._files.invalidate_cache()  # another process may have removed it
        if not self._files.exists(path) or self._files.size(path) != size:
            return False
        # Checkpointing again is the cure for a damaged blob, so its name is not believed. Object
        # stores check what they hold, and reading it back would cost a download.
        return not self._local or digest_of(Path(path).read_bytes()) == digest

    def bring(self, temporary: str, blob: Blob, pace: Pace) -> str:
        """Write a blob whose digest is not known yet, and return the digest; see `adopt`."""
        hashing = Hashing(blob.header, blob.data, pace=pace)
        path = Path(self.path(temporary) + _COMING)
        private_folder(path.parent)
        _write_synced(path, blob, pace)
        return hashing.hexdigest()

    def adopt(self, temporary: str, digest: str) -> None:
        """Give what `bring` wrote its name; from here on it survives a power cut."""
        path = Path(self.path(digest))
        private_folder(path.parent)
        Path(self.path(temporary) + _COMING).replace(path)
        sync(path.parent)

    def drop(self, temporary: str) -> None:
        """Remove what `bring` wrote, if it is there."""
        Path(self.path(temporary) + _COMING).unlink(missing_ok=True)

    def load(self, record: ArrayRecord, elsewhere: Path | None = None) -> Loaded | None:
        """Return the array of a blob, hashed while it is read; ``None`` if it is not there.

        ``elsewhere`` is looked at next, if given.
        """
        import numpy as np

        try:
            if self._local:
                return self._load_local(record, Path(self.path(record.digest)))
            raw = np.frombuffer(bytearray(self._files.cat_file(self.path(record.digest))), np.uint8)
        except FileNotFoundError:
            if elsewhere is None or not elsewhere.exists():
                return None
            return self._load_local(record, elsewhere)
        return self._loaded(record, raw, Hashing(b"", raw.data))

    def _load_local(self, record: ArrayRecord, path: Path) -> Loaded:
        import numpy as np

        with path.open("rb", buffering=0) as file:
            raw = np.empty(os.fstat(file.fileno()).st_size, np.uint8)
            hashing = Hashing(b"", raw.data, arriving=True)
            there = 0
            try:
                while got := file.readinto(raw.data[there : there + PART_BYTES]):
                    there += got
                    hashing.arrive(there)
            except BaseException:
                hashing.give_up()
                raise
        if there < raw.nbytes:
            hashing.give_up()
            raise OSError(errno.EIO, "the file became shorter while it was read", file.name)
        return self._loaded(record, raw, hashing)

    @staticmethod
    def _loaded(record: ArrayRecord, raw: NDArray[np.uint8], hashing: Hashing) -> Loaded:
        array = _array_of(raw, record)
        if array is None:  # no digest of another size is the right one
            _check(record, raw.nbytes, hashing.hexdigest())
            raise CheckpointCorrupt(
                f"the manifest says {record.nbytes:,} bytes for {record.name!r}, its blob has "
                f"{raw.nbytes:,} with its header; checkpoint again with replace=True"
            )
        return Loaded(record, raw.nbytes, array, hashing)

    @property
    def local(self) -> bool:
        """Whether files can be written under one name and get another."""
        return self._local

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
    _write_synced(partial, blob)
    try:
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _write_synced(path: Path, blob: Blob, pace: Pace = FULL_SPEED) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            mark = pace.mark()
            for part in (memoryview(blob.header), blob.data):
                rest = part
                while rest:
                    rest = rest[file.write(rest[:PART_BYTES]) :]
                    mark = pace.rest(mark)
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
