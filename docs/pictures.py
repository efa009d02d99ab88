"""The cockpit's pictures in ``docs/images/``, taken of a running stack: ``make demo``, then ``make pictures``.

They are what the viewer sees, in Chromium, of the stack below NIGHTSHIFT_HOME (default: ``.nightshift/``), and show
what ran on it: look at them before they are kept. ``python docs/pictures.py fleet night`` takes some of them.
"""

import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from nightshift.runtime import state
from nightshift.runtime.state import Runtime

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import browser

IMAGES = Path(__file__).parent / "images"
VIEWER = "vic"
MODEL = "late_arrival"
# Charts and marks move into place.
SETTLED_MS = 1_000
# A page is the same to the eye in so many colours, in half of the bytes; chosen by how far they lie apart, and not by
# how much they fill: marks are small.
COLOURS, CHOSEN = 256, Image.Quantize.MAXCOVERAGE
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]


@dataclass(frozen=True)
class Picture:
    """A page below the cockpit's address, how it is coloured, and in a window of which size."""

    page: str = ""
    scheme: str = "light"
    width: int = 1400
    height: int = 900


PICTURES = {
    "fleet": Picture(),
    "fleet-dark": Picture(scheme="dark"),
    "fleet-390": Picture(width=390, height=844),
    "model": Picture(f"/models/{MODEL}", height=1000),
    "night": Picture("/nights"),
}


def take(chromium: Browser, runtime: Runtime, picture: Picture) -> bytes:
    """Return a page as a PNG."""
    context = chromium.new_context(viewport={"width": picture.width, "height": picture.height})
    context.add_cookies([{"name": "_token", "value": _token(runtime), "url": runtime.airflow_url}])
    context.add_init_script(f"localStorage.setItem('theme', '{picture.scheme}')")
    page = context.new_page()
    page.goto(f"{runtime.airflow_url}/plugin/nightshift{picture.page}")
    expect(page.locator("[data-nightshift=page] [data-row]:visible").first).to_be_visible(timeout=60_000)
    page.wait_for_timeout(SETTLED_MS)
    taken = page.screenshot()
    context.close()
    return taken


def small(png: bytes) -> bytes:
    """Return a PNG of few colours."""
    out = BytesIO()
    shown = Image.open(BytesIO(png)).convert("RGB")
    shown.quantize(COLOURS, CHOSEN, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _token(runtime: Runtime) -> str:
    login = {"username": VIEWER, "password": runtime.passwords[VIEWER]}
    answer = httpx.post(f"{runtime.airflow_url}/auth/token", json=login, trust_env=False, timeout=60)
    return str(answer.raise_for_status().json()["access_token"])


def main(names: list[str]) -> None:
    """Take the pictures of these names, or all."""
    path = browser.find()
    if path is None:
        sys.exit("no Chromium; install it (Debian: apt-get install chromium)")
    unknown = [name for name in names if name not in PICTURES]
    if unknown:
        sys.exit(f"no such picture: {', '.join(unknown)}; expected of {', '.join(PICTURES)}")
    runtime = state.load()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for name in names or PICTURES:
            taken = small(take(chromium, runtime, PICTURES[name]))
            (IMAGES / f"{name}.png").write_bytes(taken)
            print(f"docs/images/{name}.png: {len(taken) / 1000:.0f} kB")
        chromium.close()


if __name__ == "__main__":
    main(sys.argv[1:])
