"""Every page in a real browser: it runs nothing, fits a telephone, and can be read in light and in dark."""

import os
from pathlib import Path
from typing import Any

import axe
import pytest
from hostile_pages import DOCUMENTS, PAGES
from playwright.sync_api import Browser, Page

from nightshift.pages import page as rendered

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
NAMES = [*DOCUMENTS, *PAGES]
# Evidently's own part of a drift report is not ours to mend: it is looked at for what it does, not how it reads.
OURS = "main"
LOCAL = ("file:", "data:", "blob:")
GRAVE = {"serious", "critical"}
# Words of letters that stand on two lines: broken where no reader would.
BROKEN = """() => {
  const broken = [], walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    if (node.parentElement.closest('svg, code, title')) continue;
    for (const found of node.data.matchAll(/(?<=^|\\s)[\\p{L}_]{2,24}(?=\\s|$)/gu)) {
      const range = document.createRange();
      range.setStart(node, found.index);
      range.setEnd(node, found.index + found[0].length);
      const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
      if (lines.size > 1) broken.push(found[0]);
    }
  }
  return broken;
}"""


@pytest.fixture(scope="module")
def inspector() -> str:
    if axe.source() is None:
        axe.fetch()
    script = axe.source()
    if script is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no axe-core, and it cannot be fetched")
    return str(script)


@pytest.fixture(scope="module", params=NAMES)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = request.param
    path = tmp_path_factory.mktemp("pages") / f"{name.replace(' ', '-')}.html"
    path.write_text(rendered(DOCUMENTS[name]()) if name in DOCUMENTS else PAGES[name]())
    return path


@pytest.fixture(params=["light", "dark"])
def colours(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(chromium: Browser, kept: Path, colours: str, size: dict[str, int]) -> tuple[Page, list[str]]:
    """Return the page as it is shown, and what ran or was asked for that should not."""
    page = chromium.new_context(viewport=size, color_scheme=colours).new_page()  # type: ignore[arg-type]
    wrong: list[str] = []
    page.on("dialog", lambda dialog: (wrong.append(f"ran: {dialog.message}"), dialog.dismiss())[1])
    page.on("request", lambda asked: None if asked.url.startswith(LOCAL) else wrong.append(asked.url))
    page.goto(kept.as_uri())
    folder = os.environ.get("NIGHTSHIFT_SCREENSHOTS")
    if folder:
        name = f"{kept.stem}-{colours}-{size['width']}.png"
        page.screenshot(path=Path(folder) / name, full_page=True)
    return page, wrong


def test_nothing_runs_and_nothing_is_fetched_whatever_is_pointed_at(chromium: Browser, kept: Path) -> None:
    page, wrong = opened(chromium, kept, "light", WIDE)
    for element in page.locator("main th, main td, main a, main rect").all()[:60]:
        element.dispatch_event("mouseover")
    page.wait_for_timeout(100)
    assert wrong == []
    page.context.close()


def test_it_fits_a_telephone(chromium: Browser, kept: Path) -> None:
    page, _ = opened(chromium, kept, "light", NARROW)
    widths = page.evaluate(
        "[document.querySelector('main').scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] <= widths[1] == NARROW["width"]
    if "drift-report" not in kept.name:
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert page.evaluate(BROKEN) == []
    page.context.close()


def test_nothing_grave_is_found_by_axe(chromium: Browser, inspector: str, kept: Path, colours: str) -> None:
    page, _ = opened(chromium, kept, colours, WIDE)
    page.evaluate(inspector)
    found: list[dict[str, Any]] = page.evaluate(f"axe.run({OURS!r}).then(found => found.violations)")
    grave = {
        one["id"]: [node["html"][:200] + node["failureSummary"][:300] for node in one["nodes"][:3]]
        for one in found
        if one["impact"] in GRAVE
    }
    assert grave == {}
    page.context.close()
