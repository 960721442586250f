"""Tests of the house rules: where JNI, native methods and Arrow's C Data Interface may be named. Unwinding stays on,
no test depends on a clock, and the pages in docs name and link files that exist."""

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


def test_what_is_private_to_spark_is_named_in_one_package_only() -> None:
    private = (
        r"org\.apache\.spark\.(rpc|memory|deploy|resource|ErrorClassesJsonReader|SparkThrowableHelper"
        r"|util\.(Rpc)?Utils\b|sql\.util\.ArrowUtils|sql\.classic\.ExpressionUtils)"
    )
    users = naming(private, tracked("jvm/src/main/*.scala", "jvm/src/main/*.java"))
    assert users, "nobody names them: the test would prove nothing"
    assert all("/io/flambeau/spark/" in user for user in users), users


def test_kinds_of_errors_are_the_same_on_both_sides() -> None:
    sent = {"panic"}
    for name in ("rust/engine/src/error.rs", "rust/bridge/src/failure.rs"):
        code = (ROOT / name).read_text(encoding="utf-8")
        kinds = code.partition("fn kind(&self) -> &'static str {")[2].partition("\n    }\n")[0]
        assert kinds, f"{name} has no kinds: the test would prove nothing"
        sent |= set(re.findall(r'=> "(\w+)"', kinds))
    scala = (ROOT / "jvm/src/main/scala/io/flambeau/bridge/ErrorKind.scala").read_text(encoding="utf-8")
    assert sorted(re.findall(r'extends ErrorKind\("(\w+)"', scala)) == sorted(sent)


def dependencies(crate: str) -> set[str]:
    """What the crate needs wherever it is built, and for its tests."""
    manifest = tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text(encoding="utf-8"))
    return {name for kind in ("dependencies", "dev-dependencies") for name in manifest.get(kind, {})}


def test_crates_depend_one_way() -> None:
    allowed = {
        "codecs": set(),
        "columns": set(),
        "torch-cpp": set(),
        "torch-ext": {"torch-cpp"},
        "media": {"codecs"},
        "engine": {"codecs", "columns", "media", "torch-ext"},
        "train": {"codecs", "columns", "engine", "media", "torch-ext"},
        "bridge": {"codecs", "columns", "engine", "torch-ext", "train"},
    }
    assert set(allowed) == {manifest.parent.name for manifest in tracked("rust/*/Cargo.toml")}
    for crate, ours in allowed.items():
        named = dependencies(crate)
        assert {name.removeprefix("flambeau-") for name in named if name.startswith("flambeau-")} <= ours, crate


def test_media_is_built_and_tested_without_libtorch_and_arrow() -> None:
    for crate in ("codecs", "media"):
        assert not {name for name in dependencies(crate) if name.startswith(("arrow", "tch", "torch"))}, crate


ENGINE = [
    "error",
    "faults",
    "cpu",
    "start",
    "stats",
    "options",
    "package",
    "memory",
    "nearest",
    "pool",
    "prepare",
    "spare",
    "pace",
    "engine",
    "model",
    "registry",
    "session",
]
"""The modules of rust/engine: each names only those before it."""

ENGINE_ROOT = {
    "EngineError": "error",
    "WantedEngine": "options",
    "RowError": "error",
    "Package": "package",
    "EngineName": "engine",
    "ModelOptions": "options",
    "Model": "model",
}
"""Where the names that lib.rs exports, and other modules use, are from."""


def test_modules_of_the_engine_depend_one_way() -> None:
    root = ROOT / "rust" / "engine" / "src"
    modules = set(re.findall(r"^(?:pub )?mod (\w+);", (root / "lib.rs").read_text(encoding="utf-8"), re.MULTILINE))
    assert modules == set(ENGINE)
    arrows = set()
    for file in tracked("rust/engine/src/*.rs"):
        module = file.relative_to(root).parts[0].removesuffix(".rs")
        code = "\n".join(line.partition("//")[0] for line in file.read_text(encoding="utf-8").splitlines())
        lists = " ".join(re.findall(r"\bcrate::\{([^;]*)\};", code))
        names = re.findall(r"\bcrate::(\w+)", code) + re.findall(r"(?<!:)\b\w+", lists)
        arrows |= {(module, ENGINE_ROOT.get(name, name)) for name in names if module != "lib"}
    assert len(arrows) > 30
    assert {(low, high) for low, high in arrows if ENGINE.index(low) < ENGINE.index(high)} == set()


def test_training_knows_no_sessions_and_no_models() -> None:
    """It stands on the lower half of the engine."""
    lower = {*ENGINE[: ENGINE.index("spare")], "EngineError", "RowError", "Package"}
    code = "\n".join(file.read_text(encoding="utf-8") for file in tracked("rust/train/src/*.rs"))
    lists = " ".join(re.findall(r"\bflambeau_engine::\{([^;]*)\};", code))
    used = set(re.findall(r"\bflambeau_engine::(\w+)", code)) | set(re.findall(r"(?<!:)\b\w+", lists))
    assert "prepare" in used
    assert used - lower == set()


BESIDE = {"Flambeau", "functions", "RegisterModel", "SessionParts", "FlambeauExtensions", "FlambeauPlugin"}
"""Files of the root package that stand on all others: what users name."""

PACKAGES = {
    "spark": set(),
    "errors": {"spark"},
    "DidYouMean": set(),
    "conf": {"errors", "DidYouMean"},
    "files": {"conf", "errors", "spark"},
    "bridge": {"conf", "errors", "files", "spark"},
    "models": {"bridge", "conf", "errors", "files", "spark", "DidYouMean"},
    "read": {"conf", "errors", "models", "spark"},
    "ui": {"bridge", "conf", "models", "spark"},
    "columns": {"bridge", "spark"},
    "sql": {"bridge", "columns", "conf", "errors", "models", "read", "spark", "ui", "DidYouMean"},
    "train": {"bridge", "conf", "errors", "files", "models", "spark", "ui"},
    "ml": {"bridge", "conf", "errors", "files", "models", "spark", "sql", "train", "DidYouMean"},
    "tools": {"bridge", "conf", "errors", "files", "models", "spark", "sql"},
}
"""The Scala packages, and the files of the root package that others stand on: each with what it may name."""

SCALA_ROOT = {"FlambeauException": "errors", "FlambeauAnalysisException": "errors"}
"""The file that holds a class of the root package, if its name differs."""


def test_scala_packages_depend_one_way() -> None:
    for package, ours in PACKAGES.items():
        assert all(list(PACKAGES).index(one) < list(PACKAGES).index(package) for one in ours), package
    root = ROOT / SCALA
    arrows = set()
    for file in tracked(f"{SCALA}/*.scala", f"{SCALA}/*.java", "jvm/src/spark/*.scala", "jvm/src/spark/*.java"):
        place = file.relative_to(root).parts if file.is_relative_to(root) else ("spark", file.name)
        package = place[0] if len(place) > 1 else file.stem
        code = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        found = re.findall(r"(?<!package )\bio\.flambeau\.(\w+|\{[^}]*\})", code)
        names = {SCALA_ROOT.get(name, name) for part in found for name in re.findall(r"\w+", part)}
        arrows |= {(package, name) for name in names if name != package and package not in BESIDE}
    assert {package for package, _ in arrows} == {name for name, ours in PACKAGES.items() if ours}
    assert {(package, name) for package, name in arrows if name not in PACKAGES.get(package, set())} == set()


def test_java_is_written_where_scala_cannot_reach() -> None:
    """Java is in the package for Spark's private classes, below one, next to native methods, and where Scala must not be loaded."""
    files = {file.relative_to(ROOT / SCALA) for file in tracked(f"{SCALA}/*.java")}
    others = {str(file) for file in files if file.parts[0] != "spark"}
    assert others == {
        "bridge/Board.java",
        "bridge/NativeBridge.java",
        "bridge/NativeLog.java",
        "FlambeauExtensions.java",
        "ui/ModelsHistoryPlugin.java",
    }


def test_the_release_profile_unwinds() -> None:
    """With panic = "abort" a panic would end the executor instead of its task."""
    profile = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["profile"]["release"]
    assert profile["panic"] == "unwind"


def test_what_is_kept_from_the_type_checker_has_a_reason() -> None:
    """`# type: ignore[code]  # why`; strict mypy itself refuses those that nothing needs."""
    comment = re.compile(r"#\s*type:\s*ignore(?!\[[\w, -]+\]  # \S)")
    lines = [(file, line) for file in tracked("*.py") for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) > 10_000
    bare = [f"{file.relative_to(ROOT)}: {line.strip()}" for file, line in lines if comment.search(line)]
    assert bare == [], bare


def versions() -> dict[str, str]:
    """The versions of gradle.properties, by name."""
    lines = (ROOT / "gradle.properties").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith(("#", "org."))]
    return dict(pairs)


def one(pattern: str, file: str) -> str:
    """What the pattern's group finds in the file, wherever it finds it: once or more, always the same."""
    found = set(re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))
    assert len(found) == 1, f"{file}: {pattern} finds {sorted(found)}"
    return str(found.pop())


def test_versions_are_those_of_gradle_properties() -> None:
    """In files whose format cannot take them from there."""
    said = versions()
    assert one(r'^version = "(.*)"', "Cargo.toml") == said["version"]
    assert one(r'^__version__ = "(.*)"', "python/flambeau/version.py") == said["version"]
    assert one(r'^rust-version = "(.*)"', "Cargo.toml") == said["rustVersion"]
    for file in ("python/pyproject.toml", "python/requirements-dev.txt"):
        assert one(r"pyspark(?:\[connect\])?==([\d.]+)", file) == said["sparkVersion"]
    assert one(r"^torch==([\d.]+)", "python/requirements-dev.txt") == said["torchVersion"]
    assert (
        one(r'TorchVersion = "(.*)"', "jvm/src/main/scala/io/flambeau/bridge/NativeLibrary.scala")
        == said["torchVersion"]
    )
    assert said["torchJarVersion"].startswith(f"{said['torchVersion']}-")


def test_python_knows_the_lines_of_spark_that_there_is_a_jar_for() -> None:
    said = versions()
    lines = {name.removeprefix("sparkLine.") for name in said if name.startswith("sparkLine.")}
    lines.add(said["sparkVersion"].rpartition(".")[0])
    declared = one(r"^SPARK_LINES = \((.*)\)$", "python/flambeau/session.py")
    assert set(re.findall(r'"([\d.]+)"', declared)) == lines


def test_pages_name_the_versions_of_gradle_properties() -> None:
    said = versions()
    pages = tracked("README.md", "CONTRIBUTING.md", "docs/*.md")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    jars = set(re.findall(r"flambeau(?:_2\.13|-libtorch-cpu-linux-x86_64)-([\d.]+)\.jar", text))
    assert jars == {said["version"]}
    assert set(re.findall(r"io\.flambeau:flambeau-[\w.-]+:(\d[\w.]*\d)", text)) == {said["version"]}
    assert set(re.findall(r"libtorch (\d+\.\d+\.\d+)", text)) == {said["torchVersion"]}


def test_no_test_asserts_how_long_something_takes() -> None:
    """Machines differ. Only `support.wait_until` looks at a clock: to say, after minutes, that something hangs."""
    clock = r"(monotonic|perf_counter|time\.time|nanoTime|currentTimeMillis|elapsed)\("
    tests = tracked("tests/*.py", "python/tests/*.py", "jvm/src/test/*.scala", "rust/*/tests/*.rs")
    assert len(tests) > 50
    assert naming(rf"assert.*{clock}", tests) == {"tests/support.py"}


SCALA = "jvm/src/main/scala/io/flambeau"
"""Where the short paths of docs/architecture.md begin."""

OF_PACKAGES = {"model.toml"}
"""Files of a model package, not of the repository."""


def test_files_that_the_architecture_names_exist() -> None:
    """A name with a folder in front lies at the root or in `SCALA`; one without is that of a file in `SCALA`, or at the root."""
    page = ROOT / "docs" / "architecture.md"
    spans = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    ending = re.compile(r"\.(scala|java|rs|py|cpp|h|toml|gradle|json|md|txt)$")
    named = {span for span in spans if "/" in span.strip("/") or ending.search(span)} - OF_PACKAGES
    assert len(named) > 90, "hardly a file is named: the test would prove nothing"
    missing = {name for name in named if not (ROOT / name).exists() and not (ROOT / SCALA / name).exists()}
    assert not missing


def test_every_guide_is_linked_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / link).resolve() for link in re.findall(r"\]\(([^)#:]+)", index.read_text(encoding="utf-8"))
    }
    guides = set(tracked("docs/*.md")) - {index}
    assert len(guides) > 15
    assert {str(guide.relative_to(ROOT)) for guide in guides - linked} == set()
    programs = {file for file in tracked("examples/*.py") if "__main__" in file.read_text(encoding="utf-8")}
    assert {str(file.relative_to(ROOT)) for file in programs - linked} == set()
    assert "](docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_comments_name_files_that_exist() -> None:
    """A page, or a file with its folder, that a comment sends its reader to is one of this repository; the folder may be a crate's."""
    named = re.compile(r"(?<![\w./{}*-])(?:\w[\w.-]*/)+[\w-]+\.(?:rs|scala|java|cpp|md)\b|\b[\w-]+\.md\b")
    sources = tracked("rust/*.rs", "rust/*.cpp", "rust/*.h", "jvm/*.scala", "jvm/*.java", "*.py", "*.gradle")
    cited = {(file, name) for file in sources for name in named.findall(file.read_text(encoding="utf-8"))}
    assert len(cited) > 10
    files = [f"/{file.relative_to(ROOT)}" for file in tracked()]
    assert {
        (str(file.relative_to(ROOT)), name)
        for file, name in cited
        if not any(known.endswith(f"/{name}") for known in files)
    } == set()
