"""Caches: compiled once, in this process and the next; never trusting what it should not."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import importlib
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from gpures_lab.environment import cache_dir
from gpures_lab.errors import CompileError
from gpures_lab.kernels import (
    HostCode,
    Kernel,
    cache_counters,
    compile_host,
    cpp_kernel,
    forget_compiled,
    kernel,
    machine_identity,
)
from gpures_lab.kernels.artifact import Artifact
from gpures_lab.kernels.cache import KernelCache
from gpures_lab.kernels.disk import DiskCache
from gpures_lab.kernels.machine_identity import package_version

from .calling import call, signature_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of this test's own, and an empty memory cache."""
    monkeypatch.setenv("GPURES_CACHE_DIR", str(tmp_path / "cache"))
    forget_compiled()
    yield tmp_path / "cache" / "kernels"
    forget_compiled()


@kernel
def cubed(i, x, z):
    z[i] = x[i] * x[i] * x[i]


_X = np.array([1.0, 2, 3])


def _run(made: Kernel = cubed) -> HostCode:
    z = np.zeros(3)
    call(made, [_X], [z])
    assert z.tolist() == [1, 8, 27]
    return compile_host(made, signature_of(made, [_X], [z], {}))


def test_memory_then_disk_then_compiler(folder: Path) -> None:
    before = cache_counters()
    assert not _run().cache_hit
    forget_compiled()
    assert _run().cache_hit
    after = cache_counters()
    assert after.compiled - before.compiled == 1
    assert after.disk_hits - before.disk_hits == 1
    assert after.memory_hits - before.memory_hits == 2  # each _run asks twice
    assert after.kernels == 1


_CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from gpures_lab.kernels import cache_counters, cpp_kernel, kernel
from {package}calling import call

@kernel
def doubled(i, x, z):
    z[i] = x[i] * np.sin(x[i])

tripled = cpp_kernel("tripled", "const double* x, double* z", "z[i] = 3 * x[i];")
x, z = np.array([1.0, 2.0]), np.zeros(2)
call(doubled, [x], [z])
typed = "gpures_lab.kernels.typed.kernel" in sys.modules
assert abs(z - x * np.sin(x)).max() < 1e-15
call(tripled, [x], [z])
assert z.tolist() == [3, 6]
counters = cache_counters()
print(counters.compiled, counters.disk_hits, "numba" in sys.modules, typed)
"""


def test_a_second_process_compiles_nothing_and_needs_no_numba(folder: Path, tmp_path: Path) -> None:
    """Would catch: the front end, half of the time until a first result, loaded for nothing."""
    tests = Path(__file__).parents[1]
    script = tmp_path / "child.py"
    script.write_text(_CHILD.format(package=f"{Path(__file__).parent.name}."))
    root = Path(sys.modules["gpures_lab.kernels"].__file__ or "").parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    said = [
        subprocess.run(
            [sys.executable, str(script), str(tests)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout.split()
        for _ in range(2)
    ]
    assert said == [["2", "0", "True", "True"], ["0", "2", "False", "False"]]


@pytest.mark.parametrize("suffix", [".o", ".json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "remove"])
def test_a_damaged_entry_is_compiled_again(folder: Path, suffix: str, damage: str) -> None:
    _run()
    (entry,) = folder.glob(f"*{suffix}")
    data = entry.read_bytes()
    if damage == "remove":
        entry.unlink()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        entry.write_bytes({"truncate": data[:middle], "flip": flipped, "empty": b""}[damage])
    forget_compiled()
    before = cache_counters().compiled
    assert not _run().cache_hit
    assert cache_counters().compiled == before + 1
    forget_compiled()
    assert _run().cache_hit


@pytest.mark.parametrize(
    ("field", "value"), [("key", "0" * 64), ("format", 999), ("suffix", ".py")]
)
def test_an_entry_of_another_key_or_format_is_not_used(
    folder: Path, field: str, value: object
) -> None:
    _run()
    (entry,) = folder.glob("*.json")
    header = json.loads(entry.read_text())
    header[field] = value
    entry.write_text(json.dumps(header))
    forget_compiled()
    assert not _run().cache_hit


def test_a_sound_digest_over_bytes_that_are_no_object_code(folder: Path) -> None:
    """Catches a linker error that reaches the user instead of a recompile."""
    _run()
    (entry,) = folder.glob("*.json")
    header = json.loads(entry.read_text())
    DiskCache(cache_dir()).write(header["key"], Artifact(".o", b"not an object", header["meta"]))
    forget_compiled()
    assert not _run().cache_hit


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX permissions")
def test_a_folder_that_others_can_write_is_not_used(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _run()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    forget_compiled()
    with caplog.at_level(logging.WARNING, "gpures_lab"):
        assert not _run().cache_hit
    assert "can be written by other users" in caplog.text


def test_a_folder_that_cannot_be_made_costs_only_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GPURES_CACHE_DIR", str(tmp_path / "file"))
    forget_compiled()
    plain = cpp_kernel("plain", "const double* x, double* z", "z[i] = x[i] * x[i] * x[i];")
    for made in (cubed, plain):
        with caplog.at_level(logging.WARNING, "gpures_lab"):
            assert not _run(made).cache_hit
    assert "not kept on disk" in caplog.text
    forget_compiled()


def test_the_disk_cache_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit_bytes=3500)
    for position, key in enumerate(("aa", "bb", "cc")):
        cache.write(key, Artifact(".o", bytes(900), {}))
        os.utime(cache.folder / f"{key}.json", (position + 1, position + 1))
    assert cache.read("aa") is not None  # now the newest
    cache.write("dd", Artifact(".o", bytes(900), {}))
    kept = {key for key in ("aa", "bb", "cc", "dd") if cache.read(key)}
    assert kept == {"aa", "cc", "dd"}
    assert "bb" not in kept
    assert not list(cache.folder.glob("bb.*"))
    assert not list(cache.folder.glob(".new-*"))


def test_the_memory_cache_holds_256_and_drops_the_oldest() -> None:
    assert KernelCache().limit_kernels == 256
    cache = KernelCache(limit_kernels=2)
    built: list[str] = []

    def get(key: str) -> HostCode:
        def build() -> Artifact:
            built.append(key)
            return Artifact(".o", b"", {})

        def load(_artifact: Artifact, _path: Path | None, from_disk: bool) -> HostCode | None:
            return None if from_disk else HostCode(1, key, (), 1, True, False, False, False, False)

        return cache.get(key, lambda: f"test-{key}", build, load)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert get(key).owner == key
    assert built == ["a", "b", "c", "b"]
    assert cache.counters().kernels == 2
    assert cache.counters().memory_hits == 2


def test_a_source_that_does_not_compile_leaves_nothing_behind() -> None:
    """A lock for every body with a mistake in it, for as long as the process lives."""
    cache = KernelCache()

    def build() -> NoReturn:
        raise CompileError("no such thing")

    for n in range(3):
        with pytest.raises(CompileError):
            cache.get(f"key {n}", lambda: "disk", build, lambda *_: None)
    assert not cache._building


def test_several_threads_compile_a_kernel_once(folder: Path) -> None:
    before = cache_counters().compiled
    start = threading.Barrier(6)
    found: list[HostCode] = []

    def work() -> None:
        start.wait(timeout=60)
        found.append(compile_host(cubed, signature_of(cubed, [_X], [np.zeros(3)], {})))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len({code.address for code in found}) == 1
    assert len(found) == 6
    assert cache_counters().compiled == before + 1


def test_threads_compile_different_kernels_at_the_same_time(folder: Path) -> None:
    """Catches shared state in the front ends: each thread gets its own kernel's code."""
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            from gpures_lab.kernels import kernel_from_source

            made = kernel_from_source(
                f"k{number}", f"z[i] = x[i] + {number}", inputs=["x"], outputs=["z"], namespace={}
            )
            z = np.zeros(3)
            call(made, [_X], [z])
            assert z.tolist() == (_X + number).tolist()
        except BaseException as reason:  # noqa: BLE001 - reported by the main thread
            failed.append(reason)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not failed


def test_code_outlives_the_cache_that_made_it(folder: Path) -> None:
    """Catches machine code that is freed with its cache entry while a ring still runs it."""
    import gc

    from .calling import run

    code = _run()
    forget_compiled()
    gc.collect()
    z = np.zeros(3)
    run(code, [_X, z], [], (3,))
    assert z.tolist() == [1, 8, 27]


@pytest.mark.parametrize("name", ["numba", "llvmlite", "numpy", "no_such_package"])
def test_a_version_is_what_the_metadata_says(name: str) -> None:
    """Would catch: a key that stays as it was when Numba is upgraded."""
    try:
        wanted = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        wanted = "none"
    assert package_version(name) == wanted


def test_a_version_of_two_minds_is_asked_of_the_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: the folder that a broken upgrade left behind, taken for the version."""
    package = tmp_path / "gpures_probe"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(machine_identity, "_version_by_metadata", lambda _name: "asked")
    found = []
    for version in ("1.0", "2.0"):
        (tmp_path / f"gpures_probe-{version}.dist-info").mkdir()
        importlib.invalidate_caches()
        package_version.cache_clear()
        found.append(package_version("gpures_probe"))
    assert found == ["1.0", "asked"]


def test_importing_the_package_imports_no_compiler() -> None:
    probe = (
        "import sys, gpures_lab.kernels; print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    )
    root = Path(sys.modules["gpures_lab.kernels"].__file__ or "").parents[2]
    said = subprocess.run(
        [sys.executable, "-c", probe],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert said.stdout.split() == ["False", "False"]
