"""The ``gpures-lab`` command; ``gpures-lab --help`` lists its subcommands.

Exit codes: 0 all well · 1 it ran and the answer is bad (a cell failed, the native module is
missing) · 2 it could not run (bad arguments, a missing extra, files in the way).
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager
    from nbformat import NotebookNode

__all__ = ["main"]

OK: Final = 0
BAD_ANSWER: Final = 1
COULD_NOT_RUN: Final = 2

FIGURES: Final = "application/vnd.gpures.figures+json"
"""MIME type under which the quickstart's last cell leaves its figures: report, driver, loop."""

_QUICKSTART: Final = "01_quickstart.ipynb"
_CELL_TIMEOUT_S: Final = 120
_EXIT_CODES: Final = "exit codes: 0 all well; 1 it ran and the answer is bad; 2 it could not run"


class CannotRun(Exception):
    """The command could not do its work; the text says why and what cures it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        code = run(options)
        sys.stdout.flush()  # here, where a closed pipe can still be caught
    except CannotRun as error:
        print(f"gpures-lab: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except BrokenPipeError:
        # `gpures-lab status | head`: the reader has seen enough. Python would complain once more
        # when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD_ANSWER
    return code


class _Version(argparse.Action):
    """Asks the installation only when the version is wanted."""

    def __call__(self, parser: argparse.ArgumentParser, *_given: object) -> NoReturn:
        from importlib.metadata import version

        print(f"gpures-lab {version('gpures_lab')}")
        parser.exit(OK)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpures-lab",
        description="GPU-resident grains for Jupyter.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], int], summary: str, examples: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"examples:\n{examples}\n\n{_EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        return command

    status = add(
        "status",
        _status,
        "say what works on this machine, what is missing, and the cure",
        "  gpures-lab status\n  gpures-lab status --json",
    )
    status.add_argument("--json", action="store_true", help="print one JSON object")
    storage = add(
        "storage",
        _storage,
        "list the checkpoints, where they lie and the room they take",
        "  gpures-lab storage\n  gpures-lab storage --remove scores --remove survivor\n"
        "  gpures-lab storage --prune --json",
    )
    storage.add_argument(
        "--remove", metavar="KEY", action="append", default=[], help="remove the key's checkpoint"
    )
    storage.add_argument(
        "--prune", action="store_true", help="remove what killed processes left behind"
    )
    storage.add_argument("--state-url", metavar="URL", help="as GrainManager's state_url")
    storage.add_argument("--blobs-url", metavar="URL", help="as GrainManager's blobs_url")
    storage.add_argument("--json", action="store_true", help="print one JSON object")
    bench = add(
        "bench",
        _bench,
        "measure this version beside its floors and rivals (needs a clone)",
        "  gpures-lab bench\n  gpures-lab bench programs workloads\n  gpures-lab bench --json\n"
        "  gpures-lab bench ring --rivals /path/to/python --html report.html",
    )
    bench.add_argument(
        "suite",
        nargs="*",
        metavar="SUITE",
        help="ring, memory, kernels, programs, workloads, state or notebook; left out: all",
    )
    bench.add_argument("--json", action="store_true", help="print everything measured")
    bench.add_argument("--markdown", action="store_true", help="print README's tables; the default")
    bench.add_argument("--html", metavar="FILE", help="write one page with plots")
    bench.add_argument("--rivals", metavar="PYTHON", help="a Python that has pydotcompute or ray")
    demo = add(
        "demo",
        _demo,
        "run the quickstart notebook headless and print its figures",
        "  gpures-lab demo\n  gpures-lab demo --json",
    )
    demo.add_argument("--json", action="store_true", help="print one JSON object")
    gpu_check = add(
        "gpu-check",
        _gpu_check,
        "build, test and measure on this machine's NVIDIA GPU (needs a clone)",
        "  gpures-lab gpu-check\n  gpures-lab gpu-check --out reports",
    )
    gpu_check.add_argument("--out", metavar="DIR", help="where the report goes")
    gpu_check.add_argument("--json", action="store_true", help="print the report as JSON")
    tutorials = add(
        "tutorials",
        _tutorials,
        "copy the tutorial notebooks into a folder",
        "  gpures-lab tutorials my-notebooks\n  gpures-lab tutorials . --force",
    )
    tutorials.add_argument("dir", metavar="DIR", type=Path, help="made if it does not exist")
    tutorials.add_argument("--force", action="store_true", help="overwrite files of the same name")
    check = add(
        "compile-check",
        _compile_check,
        "compile and link the library and sample kernels for GPUs, without one",
        "  gpures-lab compile-check --arch sm_90\n"
        "  gpures-lab compile-check --arch sm_80,sm_90,sm_100 --kernel mine.py --json",
    )
    check.add_argument(
        "--arch", metavar="LIST", default="sm_90", help="architectures, as sm_80,sm_90"
    )
    check.add_argument(
        "--kernel",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a Python file whose kernels are compiled too (arrays of float32; may be repeated)",
    )
    check.add_argument(
        "--short", action="store_true", help="one version of each library kernel, not all"
    )
    check.add_argument(
        "--jobs", metavar="N", type=int, default=os.cpu_count() or 1, help="processes (cores)"
    )
    check.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _compile_check(options: argparse.Namespace) -> int:
    from gpures_lab.errors import DriverUnavailable
    from gpures_lab.kernels.cuda.check_table import tell_check

    archs = list(dict.fromkeys(each.strip() for each in options.arch.split(",") if each.strip()))
    if not archs:
        raise CannotRun("--arch names no architecture: give one, as sm_90, or sm_80,sm_90")
    for file in options.kernel:
        if not file.is_file():
            raise CannotRun(f"--kernel {file}: there is no such file")
    try:
        problems = tell_check(
            functools.partial(print, flush=True),
            archs,
            options.kernel,
            short=options.short,
            jobs=options.jobs,
            as_json=options.json,
        )
    except DriverUnavailable as error:
        raise CannotRun(str(error)) from error
    return BAD_ANSWER if problems else OK


def _status(options: argparse.Namespace) -> int:
    from gpures_lab.diagnosis import status

    found = status()
    print(json.dumps(found.to_json(), indent=2) if options.json else repr(found))
    return OK if found.usable else BAD_ANSWER


def _gpu_check(options: argparse.Namespace) -> int:
    root = Path(__file__).parents[1]
    if not (root / "tests" / "gpu" / "check.py").is_file():
        raise CannotRun("gpu-check needs a clone of the repository: run make gpu-check there")
    command = [sys.executable, "-m", "tests.gpu.check"]
    if options.out:
        command += ["--out", str(Path(options.out).resolve())]
    command += ["--json"] * options.json
    return subprocess.run(command, cwd=root, check=False).returncode


def _storage(options: argparse.Namespace) -> int:
    from gpures_lab.errors import CheckpointCorrupt, GpuResError
    from gpures_lab.grain.store.report import Storage

    try:
        found = Storage.look(
            options.state_url, options.blobs_url, remove=options.remove, prune=options.prune
        )
    except CheckpointCorrupt as error:
        print(f"gpures-lab: {error}", file=sys.stderr)
        return BAD_ANSWER
    except GpuResError as error:
        raise CannotRun(str(error)) from error
    print(json.dumps(found.to_json(), indent=2) if options.json else found)
    return BAD_ANSWER if found.damaged else OK


def _bench(options: argparse.Namespace) -> int:
    clone = Path(__file__).parents[1]
    if not (clone / "tests" / "benchmarks" / "__main__.py").is_file():
        raise CannotRun(
            "bench needs a clone: the benchmarks are not part of an installed package. Clone the "
            "repository, run make bench there"
        )
    command = [sys.executable, "-m", "tests.benchmarks", *options.suite]
    command += ["--json"] * options.json + ["--markdown"] * options.markdown
    if options.html:
        command += ["--html", str(Path(options.html).resolve())]
    if options.rivals:
        command += ["--rivals", options.rivals]
    return subprocess.run(command, check=False, cwd=clone).returncode


def _demo(options: argparse.Namespace) -> int:
    try:
        import ipykernel.kernelspec  # noqa: F401 - only whether it is there
        import nbclient.exceptions
        import nbformat
        import sklearn  # noqa: F401 - the notebook's data
    except ModuleNotFoundError as error:
        raise CannotRun(
            f"demo needs {error.name}: pip install 'gpures_lab[jupyter,tutorials]'"
        ) from error
    notebook = nbformat.read(_notebooks() / _QUICKSTART, as_version=4)  # type: ignore[no-untyped-call]
    # A folder of its own: the notebook writes checkpoints and must not find the last run's.
    with tempfile.TemporaryDirectory(prefix="gpures_lab-demo-") as folder:
        client = nbclient.NotebookClient(
            notebook,
            km=_kernel_of_this_python(Path(folder)),
            timeout=_CELL_TIMEOUT_S,
            resources={"metadata": {"path": folder}},
            # Not a word about transports between the figures; errors are still shown.
            extra_arguments=["--log-level=ERROR"],
        )
        try:
            # cleanup_kc: nbclient would leave a kernel that it did not make itself running.
            client.execute(env=_demo_environment(Path(folder)), cleanup_kc=True)
        except nbclient.exceptions.CellExecutionError as error:
            print(f"gpures-lab: {_QUICKSTART} failed\n{_plain(str(error))}", file=sys.stderr)
            return BAD_ANSWER
        except nbclient.exceptions.CellTimeoutError as error:
            print(
                f"gpures-lab: a cell of {_QUICKSTART} ran for more than {_CELL_TIMEOUT_S} s\n"
                f"{error}",
                file=sys.stderr,
            )
            return BAD_ANSWER
    figures = _figures(notebook)
    if figures is None:
        print(
            f"gpures-lab: {_QUICKSTART} ran, but none of its cells left its figures ({FIGURES})",
            file=sys.stderr,
        )
        return BAD_ANSWER
    if options.json:
        print(json.dumps(figures, indent=2))
        return OK
    print(figures["report"])
    print()
    print(figures["driver"])
    print(figures["loop"])
    print(f"open notebooks/{_QUICKSTART} with: make lab")
    return OK


def _kernel_of_this_python(folder: Path) -> AsyncKernelManager:
    """A manager for this Python's kernel, whatever the user has registered as ``python3``."""
    from ipykernel.kernelspec import write_kernel_spec
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    specs = folder / "kernels"
    write_kernel_spec(str(specs / "python3"))
    return AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)], ensure_native_kernel=False),
    )


def _demo_environment(folder: Path) -> dict[str, str]:
    """The kernel's environment: checkpoints go where the demo's other files go."""
    return {**os.environ, "GPURES_STATE_DIR": str(folder / "state")}


def _plain(text: str) -> str:
    """``text``, without its colours where they would land in a file."""
    return text if sys.stderr.isatty() else re.sub(r"\x1b\[[0-9;]*m", "", text)


def _figures(notebook: NotebookNode) -> dict[str, str] | None:
    """What the last cell that leaves figures left."""
    for cell in reversed(notebook.cells):
        for output in reversed(cell.get("outputs", ())):
            data = output.get("data", {}).get(FIGURES)
            if isinstance(data, Mapping) and {"report", "driver", "loop"} <= data.keys():
                return {name: str(value) for name, value in data.items()}
    return None


def _tutorials(options: argparse.Namespace) -> int:
    target: Path = options.dir
    files = [
        file
        for file in sorted(_notebooks().iterdir())
        if file.is_file() and not file.name.startswith(".")
    ]
    in_the_way = [file.name for file in files if (target / file.name).exists()]
    if in_the_way and not options.force:
        raise CannotRun(
            f"{target} already holds {', '.join(in_the_way)}; nothing was copied. "
            "Choose another folder, or overwrite with --force"
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, target / file.name)
            print(target / file.name)
    except OSError as error:
        raise CannotRun(f"cannot write to {target}: {error.strerror}") from error
    return OK


def _notebooks() -> Path:
    """Where the notebooks are: inside an installed package, beside it in a clone."""
    package = Path(__file__).parent
    for place in (package / "tutorials", package.parent / "notebooks"):
        if (place / _QUICKSTART).is_file():
            return place
    raise CannotRun(
        "the tutorial notebooks are missing from this installation; reinstall gpures_lab"
    )
