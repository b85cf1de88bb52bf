"""axe-core on what the extension adds, in both themes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gpures_lab import environment
from tests.browser.lab import ROOT
from tests.browser.test_sidebar import LOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.lab import Lab, NotebookPage

pytestmark = pytest.mark.usefixtures("extension")

AXE = ROOT / "extension" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """
async selector => {
  const {violations} = await axe.run(selector, {resultTypes: ['violations']});
  return violations.filter(each => ['serious', 'critical'].includes(each.impact)).map(each => [
    each.id, each.nodes.map(node => `${node.html.slice(0, 120)} ${node.failureSummary}`)
  ]);
}
"""
# WCAG 2.2, success criterion 1.4.3: the contrast of text against the nearest opaque background.
# axe judges only nodes that it finds uncovered, which in a sidebar of stacked panels are few.
PALE = """
selector => {
  const numbers = colour => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(each => each / 255).map(
      each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4
    );
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = node => {
    for (let at = node; at; at = at.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll(`${selector}, ${selector} *`)].filter(node =>
    node.checkVisibility({visibilityProperty: true}) && !node.matches(':disabled') &&
    [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim())
  );
  const pale = texts.map(node => {
    const [one, two] = [numbers(getComputedStyle(node).color), background(node)].map(luminance);
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    return [contrast, `${node.className}: ${node.textContent.trim().slice(0, 40)}`];
  }).filter(([contrast]) => contrast < 4.5);
  return {looked: texts.length, pale};
}
"""


def pale(page: NotebookPage, selector: str) -> list[Any]:
    """Texts that are hard to read, with their contrast."""
    found = page.page.evaluate(PALE, selector)
    assert found["looked"] > 0, selector
    texts: list[Any] = found["pale"]
    return texts


def serious(page: NotebookPage, selector: str) -> list[Any]:
    if page.page.evaluate("() => typeof window.axe") == "undefined":
        page.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[Any] = page.page.evaluate(RUN, selector)
    return found


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_axe_finds_nothing_serious(notebook: Callable[..., NotebookPage], theme: str) -> None:
    """Would catch: text too pale to read, a control without a name, roles that do not fit."""
    if not AXE.is_file():
        reason = "axe-core is not installed: make typescript"
        if environment.require_node():
            pytest.fail(reason)
        pytest.skip(reason)
    page = notebook(LOAD)
    page.theme(theme)
    page.command("gpures-lab:open-sidebar")
    page.page.locator(".gpl-Empty:visible").wait_for()
    assert serious(page, ".gpl-Panel") == []
    assert pale(page, ".gpl-Panel") == []
    page.run(0)
    page.page.locator(".gpl-Row:visible").first.click()
    page.page.locator(".gpl-Twist:visible").first.click()
    page.page.locator('.gpl-Row[data-kind="handle"]:visible').first.wait_for()
    assert serious(page, ".gpl-Panel") == []
    assert pale(page, ".gpl-Panel") == []
    assert serious(page, ".gpl-Status") == []
    assert pale(page, ".gpl-Status") == []
    page.command("gpures-lab:open-chart", figure="pool")
    page.page.locator("#gpures-lab-chart-pool canvas").first.wait_for()
    assert serious(page, ".gpl-Chart-bar") == []


def test_axe_itself_sees_what_is_wrong(notebook: Callable[..., NotebookPage], lab: Lab) -> None:
    """Would catch: a check that passes because it looks at nothing."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make typescript")
    page = notebook("")
    page.command("gpures-lab:open-sidebar")
    page.page.locator(".gpl-Empty:visible").wait_for()
    page.page.evaluate(
        "() => document.querySelector('.gpl-Panel').append(document.createElement('button'))"
    )
    assert [name for name, _ in serious(page, ".gpl-Panel")] == ["button-name"]
    page.page.evaluate(
        "() => { const text = document.createElement('b'); text.append('hardly there');"
        " text.style.color = '#ccc'; text.style.background = '#fff';"
        " document.querySelector('.gpl-Panel').append(text) }"
    )
    assert [text for _, text in pale(page, ".gpl-Panel")] == [": hardly there"]
