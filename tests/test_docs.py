"""Every snippet of README, CONTRIBUTING and docs runs; what the pages name exists.

Commands run as they are written, in a folder like the reader's (those of CONTRIBUTING in the checkout); pip and `--packages` take
the wheels and the Maven repository of this build. Two cannot call themselves: `./gradlew …` is planned by the real Gradle
without being executed (`--dry-run`, all lines in one), and `pytest …` only collects its tests. `cargo bench …` runs each benchmark
once: measuring them takes minutes, and means nothing beside other tests.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from docs import PAGES, RUNNABLE, Snippet, snippets, workplace
from flambeau import models
from support import MODEL, PACKAGES, PHOTOS, PROGRAMS, ROOT, SPARK, environment, jars, mlflow_server, run
from test_house import versions
from test_maven_repository import EMPTY_IVY, REPOSITORY, packages
from test_wheel import WHEELS

MAKERS = (
    "docs/models.md",
    "docs/guides/tensors.md",
    "docs/guides/your-own-model.md",
    "docs/guides/audio.md",
    "docs/guides/images.md",
)
"""Pages whose bash snippets make packages that other snippets use."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, tuple[str, ...]]) -> Path:
    """The reader's folder."""
    return workplace(tmp_path_factory.mktemp("reader") / "here", PHOTOS, jars())


def shell() -> dict[str, str]:
    """The reader's variables: Spark's commands on the PATH, our Python folder on PYTHONPATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {"FLAMBEAU_JARS": os.environ["FLAMBEAU_JARS"]} if "FLAMBEAU_JARS" in os.environ else {}
    return environment(PATH=path, PYTHONPATH=str(ROOT / "python"), SPARK_HOME=str(SPARK), **given)


def registries(folder: Path) -> dict[str, str]:
    """Variables that let pip and `--packages` take what this build has made, and nothing from the network. pip installs into
    `folder`."""
    settings, conf = folder / "ivysettings.xml", folder / "conf" / "spark-defaults.conf"
    conf.parent.mkdir(exist_ok=True)
    settings.write_text(EMPTY_IVY, encoding="utf-8")
    lines = {"repositories": REPOSITORY.as_uri(), "ivySettings": str(settings), "ivy": str(folder / "ivy")}
    conf.write_text("".join(f"spark.jars.{key} {value}\n" for key, value in lines.items()), encoding="utf-8")
    pip = {"NO_INDEX": "1", "NO_DEPS": "1", "FIND_LINKS": str(WHEELS), "TARGET": str(folder / "installed")}
    return {"SPARK_CONF_DIR": str(conf.parent), **{f"PIP_{key}": value for key, value in pip.items()}}


def test_every_fence_is_of_a_kind_that_runs() -> None:
    assert {snippet.language for snippet in snippets()} <= set(RUNNABLE)
    assert {snippet.language for snippet in snippets() if snippet.page == "docs/start.md"} >= {
        "bash",
        "sql",
        "scala",
        "python",
    }


@pytest.mark.parametrize("snippet", snippets("bash"), ids=lambda snippet: snippet.name)
def test_bash(snippet: Snippet, reader: Path) -> None:
    folder = ROOT if snippet.page == "CONTRIBUTING.md" else reader
    for command in snippet.commands():
        words = shlex.split(command, comments=True)
        if words[0] == "./gradlew":
            continue  # test_gradle_commands plans all of them in one run
        if words[:2] == ["mlflow", "server"]:
            continue  # `outcome` starts it
        if "pytest" in words:
            command += " --collect-only -p no:cacheprovider"
        if words[:2] == ["cargo", "bench"]:
            command += " --test"
        variables = registries(reader.parent)
        if "--packages" not in words:
            # Another configuration folder is another class path: a JVM could not use the tests' archive of classes.
            del variables["SPARK_CONF_DIR"]
        run(["bash", "-euo", "pipefail", "-c", command], folder, {**shell(), **variables})


def test_gradle_commands(tmp_path: Path) -> None:
    commands = [shlex.split(line, comments=True) for snippet in snippets("bash") for line in snippet.commands()]
    arguments = [command[1:] for command in commands if command[0] == "./gradlew"]
    assert ["demo"] in arguments and ["test"] in arguments
    words = [word for command in arguments for word in command]
    done = run(["./gradlew", "--dry-run", "--project-cache-dir", tmp_path, *words], ROOT, dict(os.environ))
    planned = set(re.findall(r"^:(\S+) SKIPPED", done.stdout, re.MULTILINE))
    assert planned >= {command[0] for command in arguments}


@pytest.fixture(scope="module")
def outcome(reader: Path) -> dict[str, str | None]:
    """The outcomes of the Python and SQL snippets, after the bash snippets have made the files that they use."""
    if not (reader / "packages").exists():
        for snippet in snippets("bash"):
            if snippet.page in MAKERS:
                test_bash(snippet, reader)
    with mlflow_server(reader.parent / "mlflow", 5000):
        ran = run([sys.executable, PROGRAMS / "run_snippets.py"], reader, shell())
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("snippet", snippets("python", "sql"), ids=lambda snippet: snippet.name)
def test_python_and_sql(snippet: Snippet, outcome: dict[str, str | None]) -> None:
    assert outcome[snippet.name] is None, outcome[snippet.name]


def test_scala(reader: Path, tmp_path: Path) -> None:
    """All Scala snippets in one spark-shell with `--packages`, as typed."""
    script = tmp_path / "snippets.scala"
    marks = []
    lines = []
    for snippet in snippets("scala"):
        marks.append(f"ran {snippet.name}")
        lines += [snippet.text, f'println("{marks[-1]}")']
    lengths = (
        'photos.select(featurize(col("content"), "efficientnet_lite0").as("f")).selectExpr("size(f) AS n").distinct()'
    )
    lines.append(f'println("lengths " + {lengths}.collect().mkString)')
    script.write_text("\n".join([*lines, "System.exit(0)\n"]), encoding="utf-8")
    command: list[str | Path] = [SPARK / "bin" / "spark-shell", "--master", "local[2]", *packages(tmp_path)]
    printed = run([*command, "-i", script], reader, shell()).stdout
    assert "error:" not in printed and "Exception" not in printed, printed[-4000:]
    for mark in marks:
        assert mark in printed, printed[-4000:]
    assert "lengths [1280]" in printed, printed[-4000:]
    assert "photos/lion.jpg" in printed or "only showing" in printed or "labels" in printed


def test_the_manifest_is_that_of_the_embedded_model() -> None:
    manifest = models.find(MODEL, []).manifest()
    for variant in manifest["variant"]:
        del variant["sha256"]
    del manifest["files"]
    whole, compiled, behind = (tomllib.loads(snippet.text) for snippet in snippets("toml") if not snippet.file)
    # Another processor rounds differently.
    assert [variant.pop("cosine") for variant in whole["variant"]] == pytest.approx(
        [variant.pop("cosine") for variant in manifest["variant"]], abs=1e-4
    )
    assert whole == manifest
    # The exporter writes the variant of this package.
    written = tomllib.loads((PACKAGES / "compiled" / "model.toml").read_text(encoding="utf-8"))["variant"]
    (aot,) = (variant for variant in written if variant["engine"] == "aot_inductor")
    (shown,) = compiled["variant"]
    assert set(shown) | {"sha256"} == set(aot)
    assert all(shown[key] == aot[key] for key in ("file", "engine", "precision", "libtorch"))
    # What a head's variant says; test_training.py fits one.
    assert set(behind["variant"][0]["head"]) | {"sha256"} == {"file", "sha256", "reads", "index"}


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_settings_that_pages_name_are_in_the_table() -> None:
    table = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `(spark\.flambeau\.[\w.]+)", table, re.MULTILINE)) | {"spark.flambeau.internal.fault"}
    for page in PAGES:
        for key in re.findall(r"spark\.flambeau\.[\w.]*\w", page.read_text(encoding="utf-8")):
            assert key in known or key.startswith("spark.flambeau.udf"), f"{page.name} names {key}"


def test_jars_are_named_as_they_are_built() -> None:
    said = versions()
    lines = {name.removeprefix("sparkLine."): value for name, value in said.items() if name.startswith("sparkLine.")}
    others = {f"flambeau-spark{line}_{value.split()[1][:4]}-{said['version']}.jar" for line, value in lines.items()}
    built = {Path(jar).name for jar in jars()} | others
    for page in PAGES:
        for name in re.findall(r"flambeau[\w.-]*?\.jar", page.read_text(encoding="utf-8")):
            assert name in built, f"{page.name} names {name}"


def test_conditions_that_the_code_raises_are_explained() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(FLAMBEAU_\w+)`", page, re.MULTILINE))
    sources = (ROOT / "jvm" / "src" / "main").rglob("*.scala")
    raised = {
        found for file in sources for found in re.findall(r'"(FLAMBEAU_[A-Z_]+)"', file.read_text(encoding="utf-8"))
    }
    assert raised == explained


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
