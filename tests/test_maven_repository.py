"""What `./gradlew publishLocalRepository` publishes, used as others use it: `--packages` of `spark-submit`, and a Gradle project elsewhere
that depends on it. (`test_docs.py` runs `spark-shell` with it.)

Ivy knows no repository but ours, so whatever a session needs must have come from there; its cache is a fresh folder each time.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from support import EXTENSION, PHOTOS, PROGRAMS, ROOT, SPARK, environment, executor_logs, run, spark_home
from test_house import versions

VERSION = versions()["version"]
LINE = ".".join(versions()["sparkVersion"].split(".")[:2])
REPOSITORY = ROOT / "build" / "repository"
ARTIFACT = f"flambeau-spark{LINE}_2.13"
COORDINATE = f"io.flambeau:{ARTIFACT}:{VERSION}"
EMPTY_IVY = (
    """<ivysettings><settings defaultResolver="none"/><resolvers><chain name="none"/></resolvers></ivysettings>"""
)


def packages(folder: Path) -> list[str]:
    """The options of a Spark command that takes Flambeau from our repository; what it fetches goes to `folder`."""
    assert REPOSITORY.is_dir(), "run ./gradlew publishLocalRepository"
    settings = folder / "ivysettings.xml"
    settings.write_text(EMPTY_IVY, encoding="utf-8")
    conf = {
        "spark.jars.ivy": folder / "ivy",
        "spark.jars.ivySettings": settings,
        "spark.sql.extensions": EXTENSION,
        "spark.flambeau.native.directory": folder / "native",
        "spark.ui.enabled": "false",
    }
    options = ["--repositories", REPOSITORY.as_uri(), "--packages", COORDINATE]
    return options + [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]


def check_labels(labels: dict[str, str], photos: dict[str, tuple[str, ...]]) -> None:
    assert labels.keys() == photos.keys()
    assert sum(labels[file] in expected for file, expected in photos.items()) >= 0.9 * len(photos)


def test_an_artifact_has_classes_sources_and_scaladoc() -> None:
    folder = REPOSITORY / "io" / "flambeau" / ARTIFACT / VERSION
    held = {}
    for ending in ("", "-sources", "-javadoc"):
        with zipfile.ZipFile(folder / f"{ARTIFACT}-{VERSION}{ending}.jar") as archive:
            held[ending] = set(archive.namelist())
    assert "io/flambeau/functions.class" in held[""]
    assert "io/flambeau/functions.scala" in held["-sources"]
    assert any(name.endswith("/SparkLine.java") for name in held["-sources"]), (
        "what the build generates is a source too"
    )
    assert "io/flambeau/functions$.html" in held["-javadoc"]


def test_a_pom_brings_libtorch_and_leaves_spark_to_the_cluster() -> None:
    space = "{http://maven.apache.org/POM/4.0.0}"
    pom = ElementTree.parse(REPOSITORY / "io" / "flambeau" / ARTIFACT / VERSION / f"{ARTIFACT}-{VERSION}.pom")
    found = {
        dependency.findtext(f"{space}artifactId"): dependency.findtext(f"{space}scope")
        for dependency in pom.iter(f"{space}dependency")
    }
    assert found == {
        "flambeau-libtorch-cpu": "runtime",
        "spark-sql_2.13": "provided",
        "spark-mllib_2.13": "provided",
    }
    assert pom.findtext(f".//{space}license/{space}name") == "Apache-2.0"


def test_spark_submit_with_packages(tmp_path: Path, photos: dict[str, tuple[str, ...]]) -> None:
    """On two executors, which get the jars from the driver."""
    home = spark_home(tmp_path)
    command: list[str | Path] = [
        home / "bin" / "spark-submit",
        "--master",
        "local-cluster[2,1,1024]",
        *packages(tmp_path),
    ]
    done = run([*command, PROGRAMS / "installed_job.py", PHOTOS], tmp_path, environment(SPARK_HOME=str(home)))
    check_labels(json.loads(done.stdout.splitlines()[-1])["labels"], photos)
    assert {jar.name for jar in (tmp_path / "ivy" / "jars").iterdir()} == {
        f"io.flambeau_{ARTIFACT}-{VERSION}.jar",
        f"io.flambeau_flambeau-libtorch-cpu-{VERSION}-linux-x86_64.jar",
    }
    logs = executor_logs(home)
    assert len(logs) == 2 and all("(flambeau-libtorch jar)" in log for log in logs.values())


BUILD = """\
plugins {{ id 'java'; id 'application' }}
repositories {{ maven {{ url = '{repository}' }} }}
dependencies {{
    implementation '{coordinate}'
    implementation fileTree('{spark}/jars') {{ include '*.jar' }}
}}
application {{
    mainClass = 'OutsideJob'
    applicationDefaultJvmArgs = [{opens}]
}}
"""


def gradle() -> str:
    """The Gradle that `./gradlew` uses: one on the PATH, otherwise the one that it has assembled."""
    return shutil.which("gradle") or str(ROOT / ".gradle-home" / "home" / "bin" / "gradle")


def test_a_build_elsewhere_depends_on_it(tmp_path: Path, photos: dict[str, tuple[str, ...]]) -> None:
    packages = ["lang", "lang.invoke", "io", "net", "nio", "util", "util.concurrent"]
    opens = ", ".join(
        f"'--add-opens=java.base/{name}=ALL-UNNAMED'" for name in [*(f"java.{name}" for name in packages), "sun.nio.ch"]
    )
    build = BUILD.format(repository=REPOSITORY.as_uri(), coordinate=COORDINATE, spark=SPARK, opens=opens)
    (tmp_path / "build.gradle").write_text(build, encoding="utf-8")
    (tmp_path / "settings.gradle").write_text("rootProject.name = 'outside'\n", encoding="utf-8")
    sources = tmp_path / "src" / "main" / "java"
    sources.mkdir(parents=True)
    shutil.copy(PROGRAMS / "OutsideJob.java", sources)
    command = [gradle(), "--no-daemon", "--console=plain", "-q", "run", f"--args={PHOTOS}"]
    done = run(command, tmp_path, environment(GRADLE_USER_HOME=str(tmp_path / "gradle")))
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    check_labels({line[1]: line[2] for line in lines if line[0] == "label"}, photos)
