"""INVARIANTS.md names places and tests that exist: a rename must not leave a law without either."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "gpures_lab" / "_core"
TEXT = (CORE / "INVARIANTS.md").read_text(encoding="utf-8")
LAWS = {
    int(number): body
    for number, body in re.findall(
        r"^## \[R(\d+)\](.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE
    )
}


def kept_by(body: str) -> list[str]:
    """Every place on the law's `Kept by` line."""
    line = re.search(r"^- Kept by: (.*)$", body, re.MULTILINE)
    return re.findall(r"`([^`]+\.(?:hpp|cpp|cu)[^`]*)`", line.group(1)) if line else []


def named_tests(body: str) -> list[tuple[str, str]]:
    """Every test of the law: file or pytest id, and the explorer's scenario if there is one."""
    return re.findall(r'^- Test: `([^`]+)`(?: "(.*)")?', body, re.MULTILINE)


PLACES = sorted({place for body in LAWS.values() for place in kept_by(body)})
TESTS = sorted({test for body in LAWS.values() for test in named_tests(body)})


def test_thirteen_laws_with_place_reason_and_test() -> None:
    """Catches a law that lost its line, its reason or its test."""
    assert sorted(LAWS) == list(range(1, 14))
    for number, body in LAWS.items():
        assert kept_by(body), f"[R{number}] names no place"
        assert named_tests(body), f"[R{number}] names no test"
        assert re.search(r"^- Why: ", body, re.MULTILINE), f"[R{number}] gives no reason"


@pytest.mark.parametrize("place", PLACES)
def test_place_exists(place: str) -> None:
    """Catches a function that was renamed or moved away from its law."""
    file, _, function = place.partition(":")
    source = (CORE / file).read_text(encoding="utf-8")
    if function:
        assert re.search(rf"\b{re.escape(function)}\s*\(", source), f"no {function}() in {file}"


@pytest.mark.parametrize(("test", "scenario"), TESTS)
def test_test_exists(test: str, scenario: str) -> None:
    """Catches a test or scenario that was renamed away."""
    file, _, function = test.partition("::")
    source = (ROOT / file).read_text(encoding="utf-8")
    if function:
        assert re.search(rf"^def {function}\(", source, re.MULTILINE)
    if scenario:
        joined = re.sub(r'"\s*\n\s*"', "", source)
        assert f'"{scenario}"' in joined, f"no scenario {scenario!r} in {file}"


def test_every_law_is_cited_in_code() -> None:
    """Catches a citation of a law that does not exist."""
    cited = {
        int(number)
        for pattern in ("*.hpp", "*.cpp", "*.cu")
        for path in CORE.rglob(pattern)
        for number in re.findall(r"\[R(\d+)\]", path.read_text(encoding="utf-8"))
    }
    assert cited <= set(LAWS)
