"""`make screenshots`: each view of the sample force as it looks on a screen and on paper, into docs/pictures.

    python tests/screenshots.py demo docs/pictures

It opens a copy of the archive that `make demo` made, as its analyst, so that nothing it looks at is logged there.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import browser
from dashboard import HEADER, USERS, Dashboard
from PIL import Image

from pipeline.sample.words import AREAS
from provenance.archive import Archive
from provenance.maps import Outline

ROOT = Path(__file__).resolve().parent.parent
WHEN = "2026-03-14T10:00"
WHO, OTHER = "N0280559044", "N0370728968"
WIDTH, NARROW, TALLEST = 1200, 390, 1500  # pixels of a page that is shown; a longer one is cut


def views(network: str) -> Iterator[tuple[str, str, str]]:
    """A picture's name, whose page it is, and where the page is."""
    at = f"/at/{WHEN}"
    analyst, auditor = "analyst", "auditor"
    yield "front", analyst, at
    yield "associations", analyst, f"{at}/SOC/associations"
    yield "change", analyst, f"{at}/SOC/change"
    yield "key-nominals", analyst, f"{at}/SOC/key-nominals"
    yield "places", analyst, f"{at}/SOC/places"
    yield "network", analyst, f"{at}/network?id={network}"
    yield "nominal", analyst, f"{at}/nominal?id={WHO}"
    yield "link", analyst, f"{at}/link?id={WHO}&id={OTHER}"
    yield "figures", analyst, f"{at}/figures?id={WHO}"
    yield "compared", analyst, f"{at}/nominal?id={WHO}&since=2026-W05"
    yield "search", analyst, f"{at}/search?q=an"
    yield "phone", analyst, f"{at}/nominal?id={WHO}"
    yield "seen", "disclosure-officer", f"{at}/nominal?id={WHO}"
    yield "auditor", auditor, f"{at}/SOC/key-nominals"


def small(path: Path) -> None:
    """A page has few colours: a palette of 64 is a third of the bytes."""
    with Image.open(path) as picture:
        drawn = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    drawn.save(path, optimize=True)


def shoot(demo: Path, out: Path, only: set[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name in ("force", "force.keys"):
            shutil.copytree(demo / name, home / name, symlinks=True)
        archive = Archive(home / "force", home / "force.keys")
        dashboard = Dashboard(archive, home / "sessions", outline=squares())
        network = strongest(dashboard)
        with browser.serving(dashboard.app) as address, browser.chromium() as opened:
            for name, role, where in views(network):
                if only and name not in only:
                    continue
                width = NARROW if name == "phone" else WIDTH
                page = opened.new_page(
                    viewport={"width": width, "height": 900}, extra_http_headers={HEADER: USERS[role]}
                )
                page.goto(address + where)
                if name == "seen":
                    page.goto(f"{address}/seen/{archive.log.size - 1}")
                if name == "nominal":
                    page.locator(".app-drawer summary").first.click()
                    page.locator(".app-evidence").first.wait_for()
                page.mouse.move(0, 0)
                page.evaluate("document.activeElement.blur()")
                for file, media in ((name, "screen"), (f"{name}-print", "print")):
                    page.emulate_media(media=media)
                    height = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
                    shot = out / f"{file}.png"
                    page.screenshot(path=shot, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
                    small(shot)
                    print(f"{shot.name}: {shot.stat().st_size:,} bytes", flush=True)
                page.close()
        dashboard.close()
        archive.close()


def squares() -> Outline:
    """The areas of the sample force as they are: 20 by 20 squares on no real map."""
    side = 34
    corners = [(10 + side * (place % 20), 10 + side * (19 - place // 20)) for place in range(len(AREAS))]
    return Outline(
        AREAS, AREAS, tuple(f"M{x} {y}l{side} 0 0 {side} -{side} 0z" for x, y in corners),
        tuple((x + side // 2, y + side // 2, side // 2) for x, y in corners), 20 * side + 20, 20 * side + 20,
        "Invented squares of two kilometres, on no real map.",
    )  # fmt: skip


def strongest(dashboard: Dashboard) -> str:
    """The strongest network of the theme that the pictures are of."""
    networks = dashboard.reader.snapshot(when=WHEN).networks(theme="SOC").to_pylist()
    return max(networks, key=lambda row: (row["strength"] or 0, row["network"]))["network"]


if __name__ == "__main__":
    shoot(Path(sys.argv[1]), Path(sys.argv[2]), set(sys.argv[3:]))
