#!/usr/bin/env python3
"""run_counted.py COUNTS -- COMMAND…: runs a test command, passes its output on, and writes "PASSED FAILED" to COUNTS.

It reads the closing lines of cargo test and pytest, and lines "check NAME: passed|failed". A command that fails without
having counted a failure (it did not compile, say) counts as one.
"""

import pathlib
import re
import subprocess
import sys

CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed")
CHECK = re.compile(r"^check \S+: (passed|failed)$")
PYTEST = re.compile(r"^(?:=+ )?(?:\d+ \w+, )*\d+ (?:passed|failed|errors?)\b.* in [\d.]+s")


def count(line: str) -> tuple[int, int]:
    """What one line of output adds to (passed, failed)."""
    if match := CARGO.match(line):
        return int(match[1]), int(match[2])
    if match := CHECK.match(line):
        return (1, 0) if match[1] == "passed" else (0, 1)
    if PYTEST.match(line):
        number = {word.rstrip("s"): int(n) for n, word in re.findall(r"(\d+) (\w+)", line)}
        return number.get("passed", 0), number.get("failed", 0) + number.get("error", 0)
    return 0, 0


def main() -> int:
    counts, separator, *command = sys.argv[1:]
    if separator != "--" or not command:
        raise SystemExit(__doc__)
    passed = failed = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            plus = count(line.rstrip())
            passed, failed = passed + plus[0], failed + plus[1]
    if process.returncode != 0 and failed == 0:
        failed = 1
    path = pathlib.Path(counts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{passed} {failed}")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
