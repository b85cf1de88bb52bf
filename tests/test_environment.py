"""The ``GPURES_*`` variables: what is set wins, what is wrong says so."""

from __future__ import annotations

import logging
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from gpures_lab import environment
from gpures_lab.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDERS = pytest.mark.parametrize(
    ("variable", "make", "look"),
    [
        ("GPURES_CACHE_DIR", environment.cache_dir, environment.cache_path),
        ("GPURES_STATE_DIR", environment.state_dir, environment.state_path),
    ],
    ids=["cache", "state"],
)


@FOLDERS
def test_a_folder_is_made_for_this_user_alone(
    variable: str,
    make: Callable[[], Path],
    look: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Would catch: machine code loaded from a folder that others can write."""
    chosen = tmp_path / "above" / "chosen"
    monkeypatch.setenv(variable, str(chosen))
    assert look() == chosen
    assert not chosen.exists()
    assert make() == chosen
    assert stat.S_IMODE(chosen.stat().st_mode) == 0o700
    assert make() == chosen  # and again, now that it is there


@FOLDERS
def test_a_folder_that_everybody_can_write_is_refused(
    variable: str,
    make: Callable[[], Path],
    look: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setenv(variable, str(tmp_path))
    assert look() == tmp_path
    with pytest.raises(InvalidOption, match=rf"mode 0777.*chmod 700.*{variable}"):
        make()


@FOLDERS
def test_a_folder_that_cannot_be_made_names_the_variable(
    variable: str,
    make: Callable[[], Path],
    look: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, str(tmp_path / "file" / "folder"))
    assert look().name == "folder"
    with pytest.raises(InvalidOption, match=rf"set {variable} to a folder"):
        make()


@FOLDERS
def test_a_relative_folder_is_refused(
    variable: str,
    make: Callable[[], Path],
    look: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Would catch: one cache per working directory."""
    monkeypatch.setenv(variable, "cache")
    for call in (make, look):
        with pytest.raises(InvalidOption, match="relative path; give an absolute one"):
            call()


@pytest.mark.skipif(sys.platform == "darwin", reason="XDG is not macOS's")
def test_the_default_places_follow_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GPURES_CACHE_DIR", "GPURES_STATE_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert environment.cache_path() == tmp_path / ".cache" / "gpures_lab"
    assert environment.state_path() == tmp_path / ".local" / "share" / "gpures_lab"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert str(environment.cache_path()) == "/somewhere/cache/gpures_lab"
    assert environment.state_path() == tmp_path / ".local" / "share" / "gpures_lab"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("", logging.WARNING),
        ("debug", logging.DEBUG),
        ("INFO", logging.INFO),
        (" warning ", logging.WARNING),
        ("error", logging.ERROR),
    ],
)
def test_log_levels(text: str, level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPURES_LOG", text)
    assert environment.log_level() == level


def test_an_unknown_log_level_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPURES_LOG", "loud")
    with pytest.raises(InvalidOption, match=r"'loud'.*debug, info, warning, error"):
        environment.log_level()


@pytest.mark.parametrize(
    ("variable", "read"),
    [
        ("GPURES_REQUIRE_GPU", environment.require_gpu),
        ("GPURES_REQUIRE_NODE", environment.require_node),
        ("GPURES_REQUIRE_BROWSER", environment.require_browser),
    ],
)
def test_switches(variable: str, read: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: `GPURES_REQUIRE_GPU=0` read as set."""
    monkeypatch.delenv(variable, raising=False)
    assert read() is False
    for text, value in (("1", True), ("true", True), ("0", False), ("False", False), ("", False)):
        monkeypatch.setenv(variable, text)
        assert read() is value
    monkeypatch.setenv(variable, "yes please")
    with pytest.raises(InvalidOption, match=f"{variable}='yes please'.*1 or 0"):
        read()


def test_a_ring_variant_is_a_list_of_known_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: a misspelled variant that is measured as if it were one."""
    monkeypatch.delenv("GPURES_RING_VARIANT", raising=False)
    assert environment.ring_variant() == ()
    monkeypatch.setenv("GPURES_RING_VARIANT", " poller-warp, Look-ahead ")
    assert environment.ring_variant() == ("look-ahead", "poller-warp")
    monkeypatch.setenv("GPURES_RING_VARIANT", "poller-wrap")
    with pytest.raises(InvalidOption, match="poller-wrap is none of look-ahead, poller-warp"):
        environment.ring_variant()
