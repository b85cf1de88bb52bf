"""Names and stored text that mean something elsewhere: to a file system, SQL, HTML, a terminal.

Each goes the whole way: checkpoint, both kinds of deactivation, restore, every repr, every export.
"""

from __future__ import annotations

import json
import re
import sqlite3
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab import cli, environment
from gpures_lab.grain.store.manifest import digest_of
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = {
    "parent": "../../../etc/passwd",
    "absolute": "/etc/passwd",
    "backslash": "..\\..\\x",
    "dots": "..",
    "nul": "a\0b",
    "newline": "a\nb 1.0",
    "quotes": "a\"b\\c'd",
    "series": 'x"} 1\ngpures_forged{grain="y',
    "help": "a\ngpures_forged 1",
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "entity": "&lt;b&gt;&#60;",
    "sql": "'; DROP TABLE gpures_grains; --",
    "like": "%_%",
    "format": "{0} %s %(x)s $HOME `id`",
    "terminal": "\x1b[2J\x1b]0;mine\a",
    "bidi": "\u202egnp.exe",
    "separator": "a\u2028b\u2029c",
    "combining": "e" + "\u0301" * 255,
    "512 bytes": "ü" * 256,
    "astral": "🜚" * 128,
    "blank": " ",
    "last": "\U0010fffd",
}


OURS = re.compile(
    r"kept/(state\.sqlite(-wal|-shm)?|blobs/[0-9a-f]{2}/[0-9a-f]{64}\.safetensors)"
    r"|spilled/spill/\d+-[0-9a-f]{16}/([0-9a-f]{32}|lock)"
)


@pytest.fixture(params=list(KEYS.values()), ids=list(KEYS))
def key(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def lab(make_lab: Callable[..., gl.GrainManager], tmp_path: Path) -> gl.GrainManager:
    folder = tmp_path / "kept"
    return make_lab(
        state_url=f"sqlite:///{folder / 'state.sqlite'}", blobs_url=str(folder / "blobs")
    )


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_written_beside_the_store(
    lab: gl.GrainManager, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that becomes part of a path."""
    monkeypatch.setenv("GPURES_STATE_DIR", str(tmp_path / "spilled"))
    kept, spilled = lab.grain(key), lab.grain("other")
    for grain in (kept, spilled):
        grain.allocate(1000, name="x").write(1)
    assert kept.checkpoint().result(LIMIT_S) == 1
    kept.handles["x"].write(2)
    for grain in (kept, spilled):
        grain.deactivate().result(LIMIT_S)
    for path in files(tmp_path):
        assert OURS.fullmatch(str(path)), path
    assert set(kept.handles["x"].read().result(LIMIT_S)) == {2}
    kept.discard()
    assert set(lab.restore(key).handles["x"].read().result(LIMIT_S)) == {2}
    assert set(spilled.handles["x"].read().result(LIMIT_S)) == {1}


def test_keys_that_look_alike_are_two_grains(lab: gl.GrainManager) -> None:
    """A key that is normalized, cut at NUL, folded, or compared by a collation."""
    pairs = [("é", "e\u0301"), ("a\0b", "a\0c"), ("K", "k"), ("a", "a "), ("ß", "ss"), ("%", "x")]
    for n, pair in enumerate(pairs):
        for m, key in enumerate(pair):
            lab.grain(key).allocate(3, name="x").write(10 * n + m)
            lab.grain(key).checkpoint().result(LIMIT_S)
    for n, pair in enumerate(pairs):
        for m, key in enumerate(pair):
            lab.grain(key).discard()
            back = lab.restore(key)
            assert set(back.handles["x"].read().result(LIMIT_S)) == {10 * n + m}, key


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_shows_keys_as_text(lab: gl.GrainManager, key: str) -> None:
    """A key that closes an attribute or opens an element."""
    plain, grain = lab.grain("plain"), lab.grain(key)
    kinds = []
    for one in (plain, grain):
        x = one.allocate(4, name="x")
        done = one.ping()
        with one.record(name="step") as step:
            one.compute("kernels/Add", inputs=[x, x], outputs=[x])
        run = step.run()
        shown = [one, x, done, done.result(LIMIT_S), step, run, run.result(LIMIT_S), one.metrics()]
        tags = _Tags()
        for each in shown:
            html = getattr(each, "_repr_html_", None)
            if html is not None:
                tags.feed(html())
        kinds.append(tags)
    assert kinds[0].tags
    assert kinds[1].tags == kinds[0].tags
    assert kinds[1].attributes == kinds[0].attributes


def test_a_prometheus_label_is_one_label(lab: gl.GrainManager, key: str) -> None:
    """A key that forges a series, or breaks the text for all others."""
    pytest.importorskip("prometheus_client")
    from prometheus_client.parser import text_string_to_metric_families

    lab.grain(key).ping().result(LIMIT_S)
    text = gl.prometheus_text(lab, grains={key: lab.grain(key)})
    found = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "gpures_messages_processed_total"
    ]
    assert [sample.labels["grain"] for sample in found] == ["", key]
    assert not [line for line in text.splitlines() if line.startswith("gpures_forged")]


def test_the_command_line_prints_no_control_character(
    lab: gl.GrainManager, key: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """A key that clears the terminal, or hides behind a direction mark."""
    folder = Path(lab.options.state_url.removeprefix("sqlite:///")).parent  # type: ignore[union-attr]
    monkeypatch.setenv("GPURES_STATE_DIR", str(folder))
    lab.grain(key).allocate(3, name="x")
    lab.grain(key).checkpoint().result(LIMIT_S)
    assert cli.main(["storage"]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) == 4, text
    assert all(character.isprintable() or character == "\n" for character in text), ascii(text)


NAMES = ["a.b", "../x", "x;", "<b>", "1x", "a b", "", "x\0", "x" * 129, "a\n"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_an_allocation_is_named_by_an_identifier(lab: gl.GrainManager, name: str) -> None:
    """A name that leaves its place in a listing, a namespace or a manifest."""
    with pytest.raises(gl.InvalidOption, match="identifier"):
        lab.grain("g").allocate(4, name=name)


@pytest.mark.parametrize("text", ["\ud800", "\udfff\ud800", "\0", "\u2028", "</script>", "💥"])
def test_state_keeps_any_text(lab: gl.GrainManager, text: str) -> None:
    """A text that no database takes, or that comes back as another."""
    grain = lab.grain("g")
    grain.state[text] = [text, {text: None}]
    grain.checkpoint().result(LIMIT_S)
    grain.discard()
    assert lab.restore("g").state == {text: [text, {text: None}]}


def _forge(lab: gl.GrainManager, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the stored manifest, digest and all, as one who may write to the database can."""
    path = str(lab.options.state_url).removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        (text,) = connection.execute("SELECT manifest FROM gpures_grains").fetchone()
        raw = json.loads(text)
        change(raw)
        forged = json.dumps(raw)
        connection.execute(
            "UPDATE gpures_grains SET manifest = ?, digest = ?",
            (forged, digest_of(forged.encode())),
        )
    connection.close()


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "path": lambda raw: raw["arrays"][0].update(digest="../../../../../../etc/passwd"),
    "no text": lambda raw: raw["arrays"][0].update(digest=7),
    "objects": lambda raw: raw["arrays"][0].update(dtype="object"),
    "void": lambda raw: raw["arrays"][0].update(dtype="V8"),
    "negative": lambda raw: raw["arrays"][0].update(shape=[-1]),
    "fractions": lambda raw: raw["arrays"][0].update(shape=[1.5]),
    "more fields": lambda raw: raw["arrays"][0].update(run="rm"),
    "no arrays": lambda raw: raw.update(arrays=None),
    "no manifest": lambda raw: raw.clear(),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_manifest_leads_nowhere(lab: gl.GrainManager, what: str) -> None:
    """A manifest that reads any file, or takes its bytes for Python objects."""
    grain = lab.grain("g")
    grain.allocate(4, name="x").write(1)
    grain.checkpoint().result(LIMIT_S)
    grain.discard()
    _forge(lab, FORGED[what])
    with pytest.raises(gl.CheckpointCorrupt, match="replace=True"):
        lab.restore("g")
    x = grain.allocate(4, name="x")
    assert grain.checkpoint(replace=True).result(LIMIT_S) == 2
    x.release()
    np.testing.assert_array_equal(lab.restore("g").handles["x"].read().result(LIMIT_S), np.zeros(4))


def test_the_state_folder_is_made_for_its_owner_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_lab: Callable[..., gl.GrainManager]
) -> None:
    """A folder in which others can put, or read, what we trust."""
    monkeypatch.setenv("GPURES_STATE_DIR", str(tmp_path / "fresh"))
    lab = make_lab()
    grain = lab.grain("g")
    grain.allocate(4, name="x")
    grain.checkpoint().result(LIMIT_S)
    grain.deactivate().result(LIMIT_S)
    assert environment.state_dir() == tmp_path / "fresh"
    for path in [tmp_path / "fresh", *(tmp_path / "fresh").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    grain.discard()
