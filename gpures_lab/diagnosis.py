"""What works on this machine, what is missing, and the cure (``gl.status()``)."""

from __future__ import annotations

import html
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Final

from gpures_lab import environment
from gpures_lab.drivers.cuda_hazards import hazards_of_process
from gpures_lab.drivers.nvidia import NvidiaDriver, find_nvidia_driver, list_gpus
from gpures_lab.drivers.select import choose
from gpures_lab.errors import InvalidOption
from gpures_lab.metrics.units import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Finding", "Status", "status"]

# Of an extra, the modules without which the features named do nothing.
_EXTRAS: Final = (
    ("jupyter", ("jupyterlab", "ipywidgets", "bokeh", "pandas", "prometheus_client"), "notebooks"),
    ("tutorials", ("nbclient", "sklearn"), "the demo and the tutorials"),
    ("tutorials", ("scipy", "networkx", "bokeh_sampledata"), "some tutorials"),
    ("compile", ("cuda.core", "numba_cuda"), "compiling for a GPU without one"),
    ("cpp", ("ziglang",), "C++ kernels without a system compiler"),
)
_COMPILERS: Final = ("c++", "g++", "clang++")
# Counting a cache that has grown wild must not make status() slow.
_MOST_FILES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the status.

    Attributes
    ----------
    name
        What was looked at.
    value
        What was found.
    cure
        What to do about it; ``""`` when nothing is wrong.
    """

    name: str
    value: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` found; prints as text, and as a table in a notebook.

    Attributes
    ----------
    findings
        In the order of reading.
    usable
        Whether grains can be used at all.
    """

    findings: tuple[Finding, ...]
    usable: bool

    def __getitem__(self, name: str) -> str:
        """Return what was found under a name: ``gl.status()["driver"]``."""
        for finding in self.findings:
            if finding.name == name:
                return finding.value
        raise KeyError(f"{name}; there are {', '.join(each.name for each in self.findings)}")

    def __repr__(self) -> str:
        width = max(len(finding.name) for finding in self.findings)
        lines = []
        for finding in self.findings:
            lines.append(f"{finding.name:<{width}}  {finding.value}")
            if finding.cure:
                lines.append(f"{'':<{width}}  → {finding.cure}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        name_style = "text-align:left;color:var(--jp-ui-font-color2)"
        value_style = "text-align:left;color:var(--jp-ui-font-color1)"
        cure_style = "text-align:left;color:var(--jp-warn-color0)"
        rows = [
            f'<tr><td style="{name_style}">{html.escape(finding.name)}</td>'
            f'<td style="{value_style}">{html.escape(finding.value)}</td>'
            f'<td style="{cure_style}">{html.escape(finding.cure)}</td></tr>'
            for finding in self.findings
        ]
        return f"<table>{''.join(rows)}</table>"

    def to_json(self) -> dict[str, object]:
        """Return the same as plain data."""
        return {
            "usable": self.usable,
            "findings": [asdict(finding) for finding in self.findings],
        }


def status(*, find: Callable[[], NvidiaDriver | None] = find_nvidia_driver) -> Status:
    """Look at this machine; creates nothing, starts nothing, loads nothing of CUDA's.

    Parameters
    ----------
    find
        Looks for an NVIDIA driver; tests pass their own.
    """
    nvidia = find()
    native = _native()
    driver = choose("auto", find=lambda: nvidia)
    findings = [
        Finding("gpures_lab", _version("gpures_lab") or "not installed, run from its folder"),
        Finding(
            "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
        ),
        *(_required(name) for name in ("numpy", "numba")),
        native,
        Finding("driver", f"{driver.label} on {driver.device_name}: {driver.reason}"),
        _nvidia(nvidia),
        *_hazards(nvidia),
        _compiler(),
        _log_level(),
        _folder("cache folder", environment.cache_path),
        _folder("state folder", environment.state_path),
        *_extras(nvidia),
    ]
    return Status(findings=tuple(findings), usable=not native.cure)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _required(distribution: str) -> Finding:
    version = _version(distribution)
    if version is None:
        return Finding(distribution, "missing", f"pip install {distribution}")
    return Finding(distribution, version)


def _native() -> Finding:
    try:
        from gpures_lab._core import _native as module
    except ImportError as error:
        # Also a module built for another Python or against a newer libc: the text says which.
        return Finding(
            "native module",
            f"cannot be imported: {error}",
            "pip install gpures_lab, or in a clone: make demo",
        )
    return Finding("native module", str(getattr(module, "build", "present, build unknown")))


def _nvidia(nvidia: NvidiaDriver | None) -> Finding:
    if nvidia is None:
        return Finding("NVIDIA driver", "none found: everything runs on CPU threads")
    names = ", ".join(list_gpus()) or "no GPU listed"
    return Finding("NVIDIA driver", f"{nvidia.version or 'version unknown'}: {names}")


def _hazards(nvidia: NvidiaDriver | None) -> list[Finding]:
    """What this process has that a ring kernel cannot bear; a device's own need CUDA to be told."""
    if nvidia is None:
        return []
    return [
        Finding(hazard.name, hazard.sentence, hazard.cure)
        for hazard in hazards_of_process(os.environ)
    ]


def _compiler() -> Finding:
    for name in (os.environ.get("CXX", ""), *_COMPILERS):
        if name and (path := shutil.which(name)):
            return Finding("C++ compiler", path)
    if _importable("ziglang"):
        return Finding("C++ compiler", "the ziglang wheel")
    return Finding(
        "C++ compiler",
        "none: Python kernels work, C++ kernels do not",
        "pip install 'gpures_lab[cpp]', or install g++",
    )


def _log_level() -> Finding:
    import logging

    try:
        level = environment.log_level()
    except InvalidOption as error:
        return Finding("log level", "not usable", str(error))
    return Finding("log level", logging.getLevelName(level).lower())


def _folder(name: str, place: Callable[[], Path]) -> Finding:
    try:
        path = place()
    except InvalidOption as error:
        return Finding(name, "not usable", str(error))
    if not path.is_dir():
        return Finding(name, f"{path} (not made yet)")
    count, size = 0, 0
    for file_bytes in _file_sizes(path):
        count += 1
        size += file_bytes
        if count == _MOST_FILES:
            return Finding(name, f"{path} (more than {bytes_text(size)} in {count:,} files)")
    return Finding(name, f"{path} ({bytes_text(size)} in {count:,} files)")


def _file_sizes(path: Path) -> Iterator[int]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _file_sizes(path / entry.name)
                else:
                    yield entry.stat(follow_symlinks=False).st_size
    except OSError:
        return  # what vanished meanwhile or is closed to us is nothing we could report


def _extras(nvidia: NvidiaDriver | None) -> list[Finding]:
    extras = list(_EXTRAS)
    if nvidia is not None:
        extras.append((nvidia.extra, ("cupy", "cuda.core", "numba_cuda"), "the GPU"))
    said: dict[str, list[str]] = {}
    for extra, modules, purpose in extras:
        missing = [module for module in modules if not _importable(module)]
        if missing:
            text = f"{', '.join(missing)} missing: needed for {purpose}"
            said.setdefault(extra, []).append(text)
    return [
        Finding(f"extra [{extra}]", "; ".join(texts), f"pip install 'gpures_lab[{extra}]'")
        for extra, texts in said.items()
    ]


def _importable(module: str) -> bool:
    """Whether it is installed, without importing it or its parent."""
    top, _, rest = module.partition(".")
    spec = PathFinder.find_spec(top)
    if spec is None or not rest:
        return spec is not None
    places = list(spec.submodule_search_locations or ())
    return PathFinder.find_spec(module, places) is not None
