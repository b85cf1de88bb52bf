"""The server extension in a real server: who is served, what, and under which address."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("pytest_jupyter") is None:  # not imported here: pytest rewrites plugins first
    pytest.skip("no pytest-jupyter", allow_module_level=True)
tornado = pytest.importorskip("tornado.httpclient")
bokeh = pytest.importorskip("bokeh")

from gpures_lab.labserver import bokehjs, handlers  # noqa: E402 - after the skips

pytest_plugins = ("pytest_jupyter.jupyter_server",)
pytestmark = pytest.mark.filterwarnings("default")  # of the server's own dependencies

Fetch = Callable[..., Awaitable[Any]]
SCRIPT = ("gpures_lab", "bokeh", bokeh.__version__, "bokeh.min.js")


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": {"gpures_lab.labserver": True}}}


@pytest.fixture(params=["/", "/user/someone/"])
def jp_base_url(request: pytest.FixtureRequest) -> str:
    """Below a hub, and alone."""
    return str(request.param)


async def test_it_serves_the_installed_script(jp_fetch: Fetch) -> None:
    """Would catch: an address outside base_url, or another file than the kernel's page needs."""
    answer = await jp_fetch(*SCRIPT, headers={"Accept-Encoding": "identity"})
    installed = Path(bokeh.__file__).parent / "server/static/js/bokeh.min.js"
    assert answer.body == installed.read_bytes()
    assert answer.headers["Content-Type"].startswith("text/javascript")


async def test_it_may_be_kept_for_a_year_by_this_user_alone(jp_fetch: Fetch) -> None:
    """Would catch: a megabyte loaded for each chart; or kept by a proxy that others share."""
    answer = await jp_fetch(*SCRIPT)
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"


async def test_it_is_packed_where_the_browser_unpacks(jp_fetch: Fetch) -> None:
    answer = await jp_fetch(*SCRIPT, headers={"Accept-Encoding": "gzip"}, decompress_response=False)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == bokehjs.bokehjs_text()
    assert len(answer.body) < len(bokehjs.bokehjs_text()) / 2


async def test_it_says_which_version_it_has(jp_fetch: Fetch) -> None:
    answer = await jp_fetch("gpures_lab", "bokeh")
    assert json.loads(answer.body) == {"bokeh": bokeh.__version__}


@pytest.mark.parametrize("wanted", ["2.4.3", "9.9.9", "..%2F..%2Fetc", "3.9"])
async def test_another_version_is_not_served_under_its_name(jp_fetch: Fetch, wanted: str) -> None:
    """Would catch: charts of Bokeh 3.9 drawn for a year by whatever was installed once."""
    with pytest.raises(tornado.HTTPClientError) as caught:
        await jp_fetch("gpures_lab", "bokeh", wanted, "bokeh.min.js")
    assert caught.value.code == 404


@pytest.mark.parametrize("path", [SCRIPT, ("gpures_lab", "bokeh")])
async def test_without_a_token_nothing_is_served(
    http_server_client: Any, jp_base_url: str, path: tuple[str, ...]
) -> None:
    """Would catch: a handler without @authenticated; it tells what is installed."""
    with pytest.raises(tornado.HTTPClientError) as caught:
        await http_server_client.fetch(jp_base_url + "/".join(path), follow_redirects=False)
    assert caught.value.code in {302, 403}
    assert b"Bokeh" not in (caught.value.response.body or b"")


async def test_a_wrong_token_is_no_token(http_server_client: Any, jp_base_url: str) -> None:
    with pytest.raises(tornado.HTTPClientError) as caught:
        await http_server_client.fetch(
            jp_base_url + "/".join(SCRIPT),
            headers={"Authorization": "token wrong"},
            follow_redirects=False,
        )
    assert caught.value.code in {302, 403}


async def test_a_server_without_bokeh_says_so(
    jp_fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a server that fails to start where only the kernels have Bokeh."""
    monkeypatch.setattr(bokehjs, "find_spec", lambda name: None)
    answer = await jp_fetch("gpures_lab", "bokeh")
    assert json.loads(answer.body) == {"bokeh": None}


def test_routes_join_the_base_url() -> None:
    assert next(path for path, _ in handlers.handlers("/user/x/")) == "/user/x/gpures_lab/bokeh"
