"""Runs the Python and SQL snippets of the pages in one session, in the order of the pages; prints JSON: snippet -> error or null.

run_snippets.py, in a folder made by `docs.workplace`. What one snippet defines, the later ones see, as a reader's notebook would;
`spark` and `F` are there from the first Python snippet on (docs/start.md's), and SQL waits for that.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import docs

sys.path.insert(0, str(Path.cwd()))


def main() -> None:
    """The first Python snippet makes the session; then all in order."""
    ordered = docs.snippets("python", "sql")
    first = next(snippet for snippet in ordered if snippet.language == "python")
    ordered.remove(first)
    outcome: dict[str, str | None] = {}
    names: dict[str, Any] = {"__name__": "__main__"}
    for snippet in [first, *ordered]:
        try:
            if snippet.language == "python":
                exec(compile(snippet.text, snippet.name, "exec"), names)
            else:
                for statement in docs.statements(snippet.text):
                    names["spark"].sql(statement).collect()
            outcome[snippet.name] = None
        except Exception:
            outcome[snippet.name] = traceback.format_exc()
    names["spark"].stop()
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
