"""Sphinx's settings for the site of the pages: `./gradlew docsSite` makes it in build/site.

The pages are Markdown that reads well in the repository too, so they know nothing of the site. Sphinx's source folder is the root of
the repository, and links between pages are the same in both. What the site adds lives here: the navigation, which becomes
tables of contents at the end of the first page, and links to the API pages that are in build/api. Sphinx warns of a page that the
navigation lacks and of a link that leads nowhere. gradle/docs_site.py makes errors of warnings.

Nothing on the site comes from the network, and the search reads an index beside the pages. So it works from a folder, without a server.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]

FIRST = "README"
NAVIGATION = {
    "Start": ("docs/start", "All pages <docs/README>"),
    "Tasks": ("docs/tasks",),
    "Models": ("docs/choosing", "docs/models", "docs/guides/your-own-model", "docs/mlflow"),
    "Guides by language": (
        "docs/guides/sql",
        "docs/guides/pyspark",
        "docs/guides/scala",
        "docs/guides/connect",
        "docs/guides/streaming",
        "docs/guides/spark-ml",
    ),
    "Guides by data": (
        "docs/guides/images",
        "docs/guides/text",
        "docs/guides/audio",
        "docs/guides/tensors",
        "docs/reading",
        "docs/similarity",
        "docs/tables",
    ),
    "Training": ("docs/training",),
    "Deploying": (
        "docs/deploying",
        "docs/models-tab",
        "docs/gpu",
        "docs/platforms/README",
        "docs/platforms/standalone",
        "docs/platforms/yarn",
        "docs/platforms/kubernetes",
        "docs/platforms/databricks",
        "docs/platforms/emr",
        "docs/platforms/dataproc",
        "docs/platforms/glue",
        "docs/platforms/notebooks",
        "docs/spark-lines",
    ),
    "Tuning": ("docs/tuning", "docs/settings"),
    "Troubleshooting": ("docs/troubleshooting", "docs/errors"),
    "Security": ("docs/security",),
    "Migrating": ("docs/coming-from", "docs/coming-from-training"),
    "API reference": ("docs/api",),
    "Inside": (
        "docs/architecture",
        "CONTRIBUTING",
        "docs/releasing",
        "Benchmarks <bench/README>",
        "Benchmarks of sounds <bench/audio/README>",
        "CHANGELOG",
    ),
}
"""Section -> its pages, in the order of the side bar; before a page in brackets, its name there."""

API = {
    "python/flambeau.html": "Python: the package flambeau",
    "scala/io/flambeau/index.html": "Scala: the package io.flambeau",
    "rust/flambeau_bridge/index.html": "Rust: the crates of the native library",
}
"""First page of a language, in build/api -> its title."""
BUILT_API = ROOT / "build" / "api"
API_PLACE = "<!-- links to the API pages of this build -->"

project = "Flambeau"
author = "the Flambeau authors"
version = release = re.findall(
    r"^version=(.+)$", (ROOT / "gradle.properties").read_text(encoding="utf-8"), re.MULTILINE
)[0]
extensions = ["myst_parser"]
root_doc = FIRST
include_patterns = [
    f"{page}.md" for page in ("README", "CONTRIBUTING", "CHANGELOG", "bench/README", "bench/audio/README", "docs/**")
]
exclude_patterns = [".*", "artifacts", "build", "jvm", "python", "rust", "target", "tests"]
myst_heading_anchors = 4
highlight_language = "text"
html_theme = "furo"
html_title = f"Flambeau {release}"
html_copy_source = False
html_show_sphinx = False


def complete(_: Sphinx, page: str, source: list[str]) -> None:
    """Adds to a page what only the site has."""
    if page == FIRST:
        for section, pages in NAVIGATION.items():
            listed = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {section}\n\n{listed}\n```\n"
    links = [f'- <a href="../api/{built}">{title}</a>' for built, title in API.items() if (BUILT_API / built).is_file()]
    source[0] = source[0].replace(API_PLACE, "\n".join(links))


def finish(app: Sphinx, failure: Exception | None) -> None:
    """Adds the API pages that were built, and an index.html, which servers and people look for."""
    if failure is not None:
        return
    site = Path(app.outdir)
    if BUILT_API.is_dir():
        shutil.copytree(BUILT_API, site / "api", dirs_exist_ok=True)
    (site / "index.html").write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><title>{project}</title>'
        f'<meta http-equiv="refresh" content="0; url={FIRST}.html"><a href="{FIRST}.html">{project}</a>\n',
        encoding="utf-8",
    )


def setup(app: Sphinx) -> None:
    """Sphinx calls it."""
    app.connect("source-read", complete)
    app.connect("build-finished", finish)
