"""A pytest plugin: what became of each test, on disk at once, so that no hang or crash takes it.

After a test that failed or came to no end, the process ends: a context that was lost, or a kernel
that still spins, must not decide over the tests after it. `check.py` starts another for the rest.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.gpu import dump

__all__ = ["GOES_ON"]

GOES_ON = 71  # exit code: the rest is for another process


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to write, and how long a test may take."""
    parser.addoption("--journal", default="", help="file for one line of JSON a test")
    parser.addoption("--done", default="", help="file of the tests that other processes ran")
    parser.addoption("--hang-after", type=float, default=45, help="seconds a test may take")


def pytest_configure(config: pytest.Config) -> None:
    """Begin."""
    if config.getoption("--journal"):
        journal, done = (config.getoption(each) for each in ("--journal", "--done"))
        ran = Path(done).read_text(encoding="utf-8").splitlines() if done else []
        plugin = Journal(Path(journal), set(ran), config.getoption("--hang-after"))
        config.pluginmanager.register(plugin)


class Journal:
    """Writes as things happen."""

    def __init__(self, path: Path, ran: set[str], hang_after: float) -> None:
        self._path = path
        self._ran = ran
        self._hang_after = hang_after
        self._late: threading.Timer | None = None
        self._parts: dict[str, Any] = {}

    def _write(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported is a failure with its words."""
        if not report.passed:
            said = _words(report)
            self._write({"test": report.nodeid or "collection", "outcome": "failed", "said": said})

    # Not --deselect, which takes the beginning of a name for the name.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave what was run already."""
        items[:] = [item for item in items if item.nodeid not in self._ran]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say what there is, so that it can be named when it is not reached."""
        self._write({"collected": [item.nodeid for item in session.items]})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._parts = {"test": nodeid, "outcome": "passed", "seconds": 0.0, "said": ""}
        self._write({"test": nodeid, "outcome": "begun"})

        def late(said: str) -> None:
            self._write({"test": nodeid, "outcome": "timed out", "said": said})

        self._late = dump.after(self._hang_after, GOES_ON, late)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add what the engines are at, while the test's managers are still there."""
        del item
        report = yield
        if report.failed:
            report.sections.append(("engines", dump.engines()))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A skip is a failure here: nobody asked for a test that cannot run."""
        self._parts["seconds"] += report.duration
        if not report.passed and self._parts["outcome"] == "passed":
            self._parts["outcome"] = "failed"
            said = [_words(report)]
            said += [f"---- {name}\n{text}" for name, text in report.sections if text]
            self._parts["said"] = "\n".join(said)

    def pytest_runtest_logfinish(self) -> None:
        """A test is over, its fixtures too."""
        if self._late is not None:
            self._late.cancel()
        self._write(self._parts)
        if self._parts["outcome"] != "passed":
            os._exit(GOES_ON)


def _words(report: pytest.TestReport | pytest.CollectReport) -> str:
    told = report.longrepr
    return f"skipped: {told[2]}" if isinstance(told, tuple) else report.longreprtext
