#!/usr/bin/env python3
"""docs_site.py SITE [ROOT]: makes the site of all pages in the folder SITE; ends with 1 if a page or a link is not right.

ROOT is the checkout with the pages, by default this one. Settings and the navigation are in gradle/site/conf.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.cmd.build import build_main

ROOT = Path(__file__).resolve().parent.parent
STRICT = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet")


def main(site: str, root: str = str(ROOT)) -> int:
    """Sphinx's exit code. Each build starts from nothing, which takes seconds."""
    folders = ("--conf-dir", str(ROOT / "gradle" / "site"), "--doctree-dir", f"{site}-doctrees", root, site)
    return build_main(["--builder", "html", "--fresh-env", "--write-all", *STRICT, *folders])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
