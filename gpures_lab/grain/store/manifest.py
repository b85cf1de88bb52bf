"""What a checkpoint says about its grain, and its form as text.

The text is ASCII JSON: keys and names with any character travel through any database unchanged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from gpures_lab.errors import CheckpointCorrupt, InvalidOption

__all__ = [
    "DTYPES",
    "ArrayRecord",
    "Json",
    "Manifest",
    "check_json",
    "check_key",
    "digest_of",
    "key_id",
]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

DTYPES: Final = frozenset(
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
"""What an allocation can hold, by NumPy's names."""
LONGEST_KEY_BYTES: Final = 512
DEEPEST_STATE: Final = 100
LONGEST_INT_BITS: Final = 14_000  # Python writes 4,300 digits and no more


@dataclass(frozen=True, slots=True)
class ArrayRecord:
    """One allocation of a checkpoint; ``digest`` names the blob that holds its contents."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    memory_type: str
    digest: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One checkpoint of one grain.

    Attributes
    ----------
    key
        Key of the grain.
    etag
        1 for the first checkpoint of a key, one more for each later one.
    saved_at
        Seconds since 1970, UTC.
    arrays
        The allocations, in the order in which they were given.
    state
        ``grain.state``.
    kernels
        Names of the grain's kernels.
    programs
        Recorded programs by name.
    dtype
        Default of the grain's `allocate`.
    """

    key: str
    etag: int
    saved_at: float
    arrays: tuple[ArrayRecord, ...]
    state: Json
    kernels: tuple[str, ...]
    programs: dict[str, Json]
    dtype: str = "float32"

    @property
    def nbytes(self) -> int:
        """Bytes of contents, equal contents counted each time."""
        return sum(record.nbytes for record in self.arrays)

    def to_text(self) -> str:
        """Return the manifest as ASCII JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_text(text: str, digest: str) -> Manifest:
        """Read `to_text` back.

        Raises
        ------
        CheckpointCorrupt
            The text does not match its digest.
        """
        if not isinstance(text, str):
            raise CheckpointCorrupt(
                f"a manifest is {type(text).__name__}, no text; restore the database from a "
                "backup, or checkpoint the grain again with replace=True"
            )
        found = digest_of(text.encode("utf-8", "surrogatepass"))
        if found != digest:
            raise CheckpointCorrupt(
                f"a manifest of {len(text):,} characters has digest {found}, expected {digest}; "
                "its checkpoint cannot be trusted: restore the database from a backup, "
                "or checkpoint the grain again with replace=True",
                expected=digest,
                found=found,
            )
        try:
            raw = json.loads(text)
            arrays = tuple(_record(record) for record in raw["arrays"])
            return Manifest(**{**raw, "arrays": arrays, "kernels": tuple(raw["kernels"])})
        except (ValueError, TypeError, KeyError) as error:
            # Its digest is right, so somebody wrote it so: it may name any file or type.
            raise CheckpointCorrupt(
                f"a manifest of {len(text):,} characters says what no manifest does: {error}; "
                "restore the database from a backup, or checkpoint the grain again with "
                "replace=True"
            ) from error


def _record(raw: dict[str, Any]) -> ArrayRecord:
    """Return an array's record if it can only lead to a blob of plain numbers."""
    record = ArrayRecord(**{**raw, "shape": tuple(raw["shape"])})
    if not isinstance(record.name, str) or not re.fullmatch(r"[0-9a-f]{64}", record.digest):
        raise ValueError(f"an array {record.name!r} with digest {record.digest!r}")
    if record.dtype not in DTYPES:
        raise ValueError(f"{record.name!r} with dtype {record.dtype!r}")
    if any(type(extent) is not int or extent < 0 for extent in record.shape):
        raise ValueError(f"{record.name!r} with shape {record.shape!r}")
    return record


def digest_of(data: bytes) -> str:
    """SHA-256 of the bytes, in hex: what ``sha256sum`` prints."""
    return hashlib.sha256(data).hexdigest()


def check_key(key: object) -> str:
    """Return the key if a checkpoint can be kept under it, else raise `InvalidOption`."""
    if not isinstance(key, str) or not key:
        raise InvalidOption(f"key {key!r} is no name; give a text of 1 character or more", key=key)
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidOption(
            f"key {key!r} holds a lone surrogate at {error.start}, which is no character; "
            "remove it",
            key=key,
        ) from error
    if size > LONGEST_KEY_BYTES:
        raise InvalidOption(
            f"key {key[:32]!r}… has {size:,} bytes as UTF-8; the longest has {LONGEST_KEY_BYTES}",
            key=key,
            size=size,
        )
    return key


def key_id(key: str) -> str:
    """Under which the database knows the key: no collation, case or NUL can confuse it."""
    return digest_of(key.encode())


def check_json(what: str, value: object, depth: int = 0) -> None:
    """Raise `InvalidOption`, naming the place, unless JSON gives the value back as it was."""
    if depth > DEEPEST_STATE:
        raise InvalidOption(f"{what[:60]}… is nested deeper than {DEEPEST_STATE}; flatten it")
    if type(value) is int and value.bit_length() > LONGEST_INT_BITS:
        raise InvalidOption(
            f"{what} is an int of {value.bit_length():,} bits; a checkpoint keeps "
            f"{LONGEST_INT_BITS:,} at most; hold it as bytes in an array"
        )
    if value is None or type(value) in (bool, int, float, str):
        return
    if type(value) is list:
        for index, item in enumerate(value):
            check_json(f"{what}[{index}]", item, depth + 1)
        return
    if type(value) is dict:
        for name, item in value.items():
            if type(name) is not str:
                raise InvalidOption(
                    f"{what} has the key {name!r}, a {type(name).__name__}; use a str"
                )
            check_json(f"{what}[{name!r}]", item, depth + 1)
        return
    raise InvalidOption(
        f"{what} is a {type(value).__name__}; a checkpoint keeps None, bool, int, float, str, "
        "list and dict; convert it, or hold it as an array",
        type=type(value).__name__,
    )


def check_names(what: str, names: Mapping[str, object] | tuple[str, ...]) -> None:
    """Raise `InvalidOption` unless every name is a text."""
    for name in names:
        if not isinstance(name, str):
            raise InvalidOption(f"{what} are named by a str, not by {name!r}")
