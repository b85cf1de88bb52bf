"""What is saved comes back: every dtype, shape, key and state, and nothing else is taken."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpures_lab.errors import DtypeMismatch, InvalidOption, StateConflict

if TYPE_CHECKING:
    from gpures_lab.grain.store import Json, StateStore

DTYPES = [
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
HOSTILE = ["../../x", "/etc/x", "a\0b", "'; DROP TABLE gpures_grains; --", '"', "😀", "a" * 512]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3)], ids=str)
def test_every_dtype_and_shape(store: StateStore, dtype: str, shape: tuple[int, ...]) -> None:
    """Would catch: a scalar that comes back with one dimension, complex128 refused."""
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    saved = store.save("g", {"x": array}, expected_etag=0)
    manifest, arrays = store.load("g")
    assert manifest == saved
    assert (arrays["x"].dtype, arrays["x"].shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(arrays["x"], array)
    arrays["x"][...] = 0  # the caller's to change


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.text(min_size=1, max_size=100),
    state=JSON,
    array=hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, min_side=0)),
    name=st.text(),
    kernels=st.lists(st.text(), max_size=3),
)
def test_anything_round_trips(
    store: StateStore, *, key: str, state: Json, array: np.ndarray, name: str, kernels: list[str]
) -> None:
    """Would catch: bits of a NaN, a surrogate in a state, or an empty name lost on the way."""
    store.save(key, {name: array}, state, kernels, {"p": state}, expected_etag=None)
    manifest, arrays = store.load(key)
    assert (manifest.state, manifest.kernels) == (state, tuple(kernels))
    assert manifest.programs == {"p": state}
    assert arrays[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_keys_stay_inside(store: StateStore, tmp_path: Path, key: str) -> None:
    """Would catch: a key that becomes a path or SQL, or two keys that the database confuses."""
    store.save(key, {key: np.ones(2)}, key, expected_etag=0)
    store.save("other", {}, expected_etag=0)
    manifest, arrays = store.load(key)
    assert (manifest.key, manifest.state, [*arrays]) == (key, key, [key])
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert sorted(each.key for each in store.list().manifests) == sorted([key, "other"])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("a" * 513, "513 bytes.*512"),
        ("😀" * 129, "516 bytes"),
        ("\ud800", "lone surrogate at 0"),
        ("", "1 character"),
        (b"x", "1 character"),
    ],
    ids=["long", "long in bytes", "surrogate", "empty", "bytes"],
)
def test_other_keys_are_refused(store: StateStore, key: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        store.save(key, {}, expected_etag=0)


@pytest.mark.parametrize(
    "state", [{1: 2}, (1, 2), {"a": [object()]}, np.float64(1), b"x"], ids=lambda s: type(s)
)
def test_a_state_that_would_come_back_changed_is_refused(store: StateStore, state: object) -> None:
    """Would catch: `{1: 2}` restored as `{"1": 2}`, a tuple as a list."""
    with pytest.raises(InvalidOption, match="state"):
        store.save("g", {}, state, expected_etag=0)
    assert store.latest("g") is None


@pytest.mark.parametrize("dtype", [">f4", "<M8[s]", "O", "S3", "f4,i4"])
def test_other_dtypes_are_refused(store: StateStore, dtype: str) -> None:
    """Would catch: bytes of another machine's order kept as this one's; objects pickled."""
    with pytest.raises(DtypeMismatch, match="'x' has dtype.*cast it to one of"):
        store.save("g", {"x": np.zeros(2, dtype)}, expected_etag=0)


def test_equal_contents_are_kept_once(store: StateStore, tmp_path: Path) -> None:
    store.save("g", {"x": np.ones(9), "y": np.ones(9)}, expected_etag=0)
    store.save("h", {"z": np.ones(9)}, expected_etag=0)
    store.save("i", {"z": np.ones((3, 3)), "f": np.ones(9, "f4")}, expected_etag=0)
    assert len([*tmp_path.rglob("*.safetensors")]) == 3
    np.testing.assert_array_equal(store.load("h")[1]["z"], np.ones(9))
    assert store.load("i")[1]["z"].shape == (3, 3)


def test_only_the_owner_can_read(store: StateStore, tmp_path: Path) -> None:
    """Would catch: a checkpoint that the neighbour on a shared machine can open."""
    store.save("g", {"x": np.ones(9)}, expected_etag=0)
    found = [*tmp_path.rglob("*")]
    assert len(found) >= 4
    for path in found:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_no_checkpoint_says_so(store: StateStore) -> None:
    assert store.latest("g") is None
    with pytest.raises(StateConflict, match="'g' has no checkpoint"):
        store.load("g")


def test_others_can_read_the_blobs(store: StateStore, tmp_path: Path) -> None:
    """Would catch: a header that only our own reader understands, a name that is no digest."""
    from safetensors import safe_open
    from safetensors.numpy import load_file

    for dtype in DTYPES:
        array = np.arange(6).reshape(2, 3).astype(dtype)
        digest = store.save("g", {"x": array}, expected_etag=None).arrays[0].digest
        (path,) = tmp_path.rglob(f"{digest}.safetensors")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
        plain = array.view(array.real.dtype).reshape(2, 3, 2) if array.dtype.kind == "c" else array
        np.testing.assert_array_equal(load_file(path)["data"], plain)
        with safe_open(path, "numpy") as opened:
            assert opened.metadata() == {"dtype": dtype}
