"""JupyterLab, as a user has it: a real server, a real kernel, the distribution's Chromium."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from gpures_lab import environment
from tests.browser.lab import Lab, NotebookPage, Server, labextension_missing
from tests.conftest import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder: it is skipped, with the reason, where Chromium is missing."""
    for item in items:
        if "tests/browser" in item.nodeid:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.filterwarnings("default"))  # of Jupyter's own parts


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server on a free port, below a base_url, with a token, and settings of its own."""
    with Server(tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, CHROMIUM)))
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def lab(server: Server, browser: Browser) -> Iterator[Lab]:
    """A browser of its own: no cookies, no workspace, no errors of the test before."""
    with Lab(server, browser) as opened:
        yield opened


@pytest.fixture
def extension() -> None:
    """Need the built extension: skip without it, fail where Node is required."""
    reason = labextension_missing()
    if reason is not None:
        if environment.require_node():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture
def notebook(lab: Lab) -> Callable[..., NotebookPage]:
    """Return what opens a new notebook with the given cells, its kernel started and idle."""
    return lab.notebook


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path:
    """Where pictures are kept to be looked at: ``build/screenshots``."""
    folder = request.config.rootpath / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
