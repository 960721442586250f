"""The one boundary, kept by a test: who may name JNI, native methods and Arrow's C Data Interface; and that unwinding stays on, and
no test depends on a clock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository, new ones included, ignored ones not."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def naming(pattern: str, files: list[Path]) -> set[str]:
    found = re.compile(pattern)
    return {str(file.relative_to(ROOT)) for file in files if found.search(file.read_text(encoding="utf-8"))}


def test_jni_is_named_in_the_bridge_crate_only() -> None:
    users = naming(r"\bjni(_sys)?::", tracked("rust/*.rs"))
    assert users, "nobody names jni: the test would prove nothing"
    assert all(user.startswith("rust/bridge/") for user in users), users


def test_native_methods_and_c_data_are_named_in_the_bridge_package_only() -> None:
    users = naming(
        r"org\.apache\.arrow\.c\b|@native|System\.load|\bnative [a-z]+ \w+\(",
        tracked("jvm/src/main/*.scala", "jvm/src/main/*.java"),
    )
    assert users, "nobody names native code: the test would prove nothing"
    assert all("/bridge/" in user for user in users), users


def test_crates_depend_one_way() -> None:
    allowed = {
        "codecs": set(),
        "columns": set(),
        "torch-ext": set(),
        "engine": {"flambeau-codecs", "flambeau-columns", "flambeau-torch-ext"},
        "bridge": {"flambeau-codecs", "flambeau-columns", "flambeau-engine", "flambeau-torch-ext"},
    }
    for crate, ours in allowed.items():
        manifest = tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text(encoding="utf-8"))
        assert {name for name in manifest["dependencies"] if name.startswith("flambeau-")} <= ours, crate


def test_the_release_profile_unwinds() -> None:
    """With panic = "abort" a panic would end the executor instead of its task."""
    profile = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["profile"]["release"]
    assert profile["panic"] == "unwind"


def test_no_test_asserts_how_long_something_takes() -> None:
    """Machines differ. Only `support.wait_until` looks at a clock: to say, after minutes, that something hangs."""
    clock = r"(monotonic|perf_counter|time\.time|nanoTime|currentTimeMillis|elapsed)\("
    tests = tracked("tests/*.py", "python/tests/*.py", "jvm/src/test/*.scala", "rust/*/tests/*.rs")
    assert len(tests) > 50
    assert naming(rf"assert.*{clock}", tests) == {"tests/support.py"}
