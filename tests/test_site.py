"""The site of the pages, as `./gradlew docsSite` makes it: every page has its place, no link is broken, and the search needs no network."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import snowballstemmer

from docs import PAGES
from support import ROOT, run

BUILDER = ROOT / "gradle" / "docs_site.py"


class Html(HTMLParser):
    """The targets and the links of one file; what the browser loads for it by itself is in `loads`."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        elif tag == "link" or "src" in given:
            self.loads.add(given.get("href") or given["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    run([sys.executable, BUILDER, folder], ROOT)
    return folder


def files_of(site: Path) -> list[Path]:
    """The HTML files that Sphinx made; those of the API come from other tools."""
    return [file for file in sorted(site.rglob("*.html")) if file.relative_to(site).parts[0] not in ("api", "_static")]


def test_the_api_pages_are_those_of_the_modules_that_the_page_names() -> None:
    row = next(
        line
        for line in (ROOT / "docs" / "api.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| Python")
    )
    task = (ROOT / "gradle" / "lint.gradle").read_text(encoding="utf-8")
    modules = re.findall(r"'(flambeau[\w.]*)'", re.findall(r"def modules = \[(.*)\]", task)[0])
    assert modules == re.findall(r"`(flambeau[\w.]*)`", row)
    for module in modules:
        assert importlib.util.find_spec(module), module


def test_every_page_is_in_the_navigation(site: Path) -> None:
    first = site / "README.html"
    linked = {first, *((site / unquote(urlsplit(link).path)).resolve() for link in Html(first).links)}
    made = {site / page.relative_to(ROOT).with_suffix(".html") for page in PAGES}
    assert len(made) > 25
    assert {str(page) for page in made - linked} == set()


def test_no_link_is_broken_and_nothing_comes_from_the_network(site: Path) -> None:
    pages = {file.resolve(): Html(file) for file in files_of(site)}
    broken, remote = [], []
    for file, page in pages.items():
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                remote += [f"{file.name}: {link}"] if link in page.loads else []
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            names = pages[target].names if target in pages else set()
            if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in names):
                broken.append(f"{file.name}: {link}")
    assert len(pages) > 25 and sum(len(page.links) for page in pages.values()) > 500
    assert broken == [] and remote == []


def test_the_search_finds_pages_without_a_server(site: Path) -> None:
    """The browser loads the index as a script, which it may do from a folder too, and looks words up by their stem."""
    assert any(load.startswith("searchindex.js") for load in Html(site / "search.html").loads)
    script = (site / "searchindex.js").read_text(encoding="utf-8")
    before, after = "Search.setIndex(", ")"
    assert script.startswith(before) and script.endswith(after)
    index = json.loads(script.removeprefix(before).removesuffix(after))
    names = index["docnames"]

    def found(word: str) -> set[str]:
        places = index["terms"].get(snowballstemmer.stemmer("english").stemWord(word), [])
        return {names[place] for place in ([places] if isinstance(places, int) else places)}

    assert {f"{page.relative_to(ROOT).with_suffix('')}" for page in PAGES} <= set(names)
    assert "docs/errors" in found("flambeau_diverged")
    assert "docs/guides/audio" in found("vorbis")
    assert found("nowhereinthepages") == set()


def test_a_lost_page_and_broken_links_fail(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for folder in ("docs", "bench", "deploy", "examples"):
        shutil.copytree(ROOT / folder, checkout / folder)
    for file in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / file, checkout)
    lost = "# Lost\n\n[a page](page-that-is-gone), [a heading](errors.md#gone), [a file](../examples/gone.py)\n"
    (checkout / "docs" / "lost").with_suffix(".md").write_text(lost, encoding="utf-8")
    command = [sys.executable, str(BUILDER), str(tmp_path / "site"), str(checkout)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert done.returncode == 1 and all("docs/lost" in line for line in said), done.stderr
    for part in ("isn't included in any toctree", "page-that-is-gone", "'gone'", "gone.py"):
        assert any(part in line for line in said), (part, said)
