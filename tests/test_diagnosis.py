"""``gl.status()``: says what is there, what is missing, and the cure; never raises."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gpures_lab import diagnosis
from gpures_lab.drivers.nvidia import NvidiaDriver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def finding(found: diagnosis.Status, name: str) -> diagnosis.Finding:
    (one,) = (item for item in found.findings if item.name == name)
    return one


def none() -> NvidiaDriver | None:
    return None


def test_it_reads_in_a_fixed_order() -> None:
    names = [item.name for item in diagnosis.status(find=none).findings]
    assert names[:11] == [
        "gpures_lab",
        "python",
        "numpy",
        "numba",
        "native module",
        "driver",
        "NVIDIA driver",
        "C++ compiler",
        "log level",
        "cache folder",
        "state folder",
    ]


def test_one_finding_by_its_name() -> None:
    """Would catch: a notebook's first line that raises, or an unknown name without the cure."""
    found = diagnosis.status(find=none)
    assert found["driver"] == finding(found, "driver").value
    with pytest.raises(KeyError, match="drivers; there are gpures_lab, python"):
        found["drivers"]


def test_without_a_gpu_nothing_is_called_gpu() -> None:
    """Would catch: a status that lets a CPU run pass for a GPU run."""
    found = diagnosis.status(find=none)
    assert finding(found, "driver").value.startswith("host (CPU threads) on ")
    assert "no NVIDIA driver was found" in finding(found, "driver").value
    assert finding(found, "NVIDIA driver").value == "none found: everything runs on CPU threads"


def test_with_a_driver_it_says_why_the_host_is_still_used() -> None:
    found = diagnosis.status(find=lambda: NvidiaDriver("580.65.06"))
    assert finding(found, "driver").value.startswith("host (CPU threads) on ")
    assert (
        "has not yet run on a GPU (NVIDIA driver 580.65.06 found)" in finding(found, "driver").value
    )
    assert finding(found, "NVIDIA driver").value.startswith("580.65.06: ")


def test_a_native_module_that_cannot_be_loaded_is_not_usable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Would catch: `usable` although the first allocation would raise ImportError."""
    real = builtins.__import__

    def refuse(
        name: str,
        scope: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        names: Sequence[str] = (),
        level: int = 0,
    ) -> object:
        if name == "gpures_lab._core" and "_native" in names:
            raise ImportError("libstdc++.so.6: version `GLIBCXX_3.4.32' not found")
        return real(name, scope, local, names, level)

    monkeypatch.setattr(builtins, "__import__", refuse)
    found = diagnosis.status(find=none)
    assert found.usable is False
    assert "GLIBCXX_3.4.32" in finding(found, "native module").value
    assert "make demo" in finding(found, "native module").cure


def test_a_missing_extra_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        diagnosis, "_importable", lambda module: module not in {"bokeh", "cuda.core", "cupy"}
    )
    found = diagnosis.status(find=lambda: NvidiaDriver("535.1"))
    extras = {item.name: item for item in found.findings if item.name.startswith("extra")}
    assert set(extras) == {"extra [jupyter]", "extra [compile]", "extra [cuda12]"}
    assert extras["extra [jupyter]"].cure == "pip install 'gpures_lab[jupyter]'"
    assert extras["extra [jupyter]"].value.startswith("bokeh missing")
    assert extras["extra [cuda12]"].value.startswith("cupy, cuda.core missing")


def test_installed_modules_are_seen_without_being_imported() -> None:
    assert diagnosis._importable("email.mime.text") or diagnosis._importable("email.message")
    assert diagnosis._importable("no_such_module") is False
    assert diagnosis._importable("email.no_such_module") is False
    assert diagnosis._importable("no_such_module.core") is False


def test_folders_are_measured_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: a status that leaves folders behind."""
    cache, state = tmp_path / "cache", tmp_path / "state"
    (cache / "deep").mkdir(parents=True)
    (cache / "a").write_bytes(b"x" * 1000)
    (cache / "deep" / "b").write_bytes(b"x" * 1048)
    (cache / "loop").symlink_to(cache)
    monkeypatch.setenv("GPURES_CACHE_DIR", str(cache))
    monkeypatch.setenv("GPURES_STATE_DIR", str(state))
    found = diagnosis.status(find=none)
    link_bytes = (cache / "loop").lstat().st_size
    assert (
        f"{(2048 + link_bytes) / 1024:.2f} KiB in 3 files" in finding(found, "cache folder").value
    )
    assert finding(found, "state folder").value == f"{state} (not made yet)"
    assert not state.exists()


def test_bad_variables_are_findings_and_no_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: the one call that explains a setup failing because of that setup."""
    monkeypatch.setenv("GPURES_LOG", "loud")
    monkeypatch.setenv("GPURES_CACHE_DIR", "relative")
    found = diagnosis.status(find=none)
    assert "set it to one of debug" in finding(found, "log level").cure
    assert "give an absolute one" in finding(found, "cache folder").cure


@pytest.mark.parametrize("where", ["none", "zig"])
def test_the_compiler_for_cpp_kernels(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr(
        diagnosis, "_importable", lambda module: where == "zig" or module != "ziglang"
    )
    item = finding(diagnosis.status(find=none), "C++ compiler")
    if where == "zig":
        assert item == diagnosis.Finding("C++ compiler", "the ziglang wheel")
    else:
        assert "Python kernels work" in item.value
        assert "gpures_lab[cpp]" in item.cure


def test_it_prints_as_text_html_and_json() -> None:
    found = diagnosis.Status(
        findings=(
            diagnosis.Finding("a", "<b>&", "pip install 'x'"),
            diagnosis.Finding("longer", "fine"),
        ),
        usable=True,
    )
    assert repr(found) == "a       <b>&\n        → pip install 'x'\nlonger  fine"
    page = found._repr_html_()
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page
    assert "var(--jp-" in page
    assert json.loads(json.dumps(found.to_json())) == {
        "usable": True,
        "findings": [
            {"name": "a", "value": "<b>&", "cure": "pip install 'x'"},
            {"name": "longer", "value": "fine", "cure": ""},
        ],
    }


def test_it_loads_nothing_of_cuda() -> None:
    """Would catch: a status that makes a CUDA context, or waits for one."""
    code = (
        "import sys, gpures_lab; gpures_lab.status()\n"
        "print([name for name in ('cuda', 'cupy', 'numba') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "[]"


def test_a_hazard_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: a slow, event-driven ring that nobody can explain."""
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    beside = diagnosis.status(find=lambda: NvidiaDriver("580.65.06"))
    found = finding(beside, "CUDA_LAUNCH_BLOCKING")
    assert "event-driven" in found.value
    assert "unset CUDA_LAUNCH_BLOCKING" in found.cure
    alone = diagnosis.status(find=lambda: None)
    assert all(each.name != "CUDA_LAUNCH_BLOCKING" for each in alone.findings)


def test_what_only_some_tutorials_need_is_not_said_of_the_demo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches a status that calls a demo impossible that runs."""
    for module, purpose in (("bokeh_sampledata", "tutorials"), ("sklearn", "the demo and the")):
        monkeypatch.setattr(diagnosis, "_importable", lambda name, lost=module: name != lost)
        found = finding(diagnosis.status(find=lambda: None), "extra [tutorials]")
        assert f"{module} missing: needed for" in found.value
        assert purpose in found.value
        assert ("demo" in found.value) is (module == "sklearn")
        assert found.cure == "pip install 'gpures_lab[tutorials]'"
