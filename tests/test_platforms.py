"""What the pages in docs/platforms say, where it can be tried on one machine: the content of the container image."""

from __future__ import annotations

import shlex
from pathlib import Path

from support import EXTENSION, PHOTOS, ROOT, SPARK, environment, jars, run, spark_home

DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def image(folder: Path) -> tuple[Path, dict[str, str]]:
    """The Dockerfile's COPY and ENV lines, applied to Spark in `folder`: its SPARK_HOME, and the variables."""
    context = {"jars": [Path(jar) for jar in jars() if "libtorch" not in Path(jar).name], "libtorch": []}
    context["libtorch"] = sorted((ROOT / ".libtorch" / "lib").iterdir())
    home, variables = spark_home(folder), {}
    (home / "jars").unlink()
    (home / "jars").mkdir()
    for jar in (SPARK / "jars").iterdir():
        (home / "jars" / jar.name).symlink_to(jar)
    places = {"/opt/spark": home, "/opt/libtorch": folder / "libtorch"}

    def placed(path: str) -> Path:
        root = next(root for root in places if path.startswith(root))
        return places[root] / path.removeprefix(root).lstrip("/")

    for line in DOCKERFILE.read_text(encoding="utf-8").splitlines():
        instruction, *words = shlex.split(line, comments=True) or [""]
        if instruction == "COPY":
            source, target = words
            placed(target).mkdir(parents=True, exist_ok=True)
            for file in context[source]:
                (placed(target) / file.name).symlink_to(file)
        elif instruction == "ENV":
            name, _, value = words[0].partition("=")
            variables[name] = str(placed(value))
        else:
            assert instruction in ("", "ARG", "FROM"), f"the test does not know {instruction}"
    return home, variables


def test_the_image_has_what_a_query_needs(tmp_path: Path, photos: dict[str, tuple[str, ...]]) -> None:
    """Without --jars; in two executor processes, as in pods."""
    home, variables = image(tmp_path)
    query = f"SELECT classify(content, 'efficientnet_lite0', 1)[0].label FROM binaryFile.`{PHOTOS / 'chelsea.png'}`"
    command: list[str | Path] = [home / "bin" / "spark-sql", "--master", "local-cluster[2,1,1024]"]
    command += ["--conf", f"spark.sql.extensions={EXTENSION}", "--conf", "spark.ui.enabled=false"]
    command += ["--conf", f"spark.flambeau.native.directory={tmp_path / 'native'}", "-e", query]
    done = run(command, tmp_path, environment(SPARK_HOME=str(home), **variables))
    assert done.stdout.strip() in photos["chelsea.png"], done.stdout
    assert not list((tmp_path / "native").glob("libtorch-*")), "libtorch is in the image"
