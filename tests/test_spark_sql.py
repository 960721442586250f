"""The `spark-sql` shell with only `--jars` and `--conf`, in a shell that knows none of our variables."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from support import EXTENSION, MODEL, PACKAGES, PHOTOS, QUICK_START, ROOT, SPARK, jars, run


def java_home() -> str:
    """Where the JDK of the PATH lies."""
    given = os.environ.get("JAVA_HOME")
    java = Path(given) / "bin" / "java" if given else Path(shutil.which("java") or "java")
    return str(java.resolve().parent.parent)


def fresh_shell(home: Path) -> dict[str, str]:
    """The variables of a newcomer's shell, all of them (what `env -i` leaves, and what anybody's shell has)."""
    quick = {QUICK_START: os.environ[QUICK_START]} if QUICK_START in os.environ else {}
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "JAVA_HOME": java_home(),
        **quick,
    }


def spark_sql(folder: Path, statements: str, *conf: str, with_jars: list[str] | None = None) -> list[list[str]]:
    """What `spark-sql -e` prints, split into lines and columns."""
    command: list[str | Path] = [
        SPARK / "bin" / "spark-sql",
        "--master",
        "local[2]",
        "--jars",
        ",".join(with_jars or jars()),
    ]
    command += ["--conf", f"spark.sql.extensions={EXTENSION}", "--conf", "spark.ui.enabled=false"]
    for setting in conf:
        command += ["--conf", setting]
    done = run([*command, "-e", statements], folder, fresh_shell(folder))
    return [line.split("\t") for line in done.stdout.splitlines() if line]


def test_spark_sql_with_jars_and_conf_only(tmp_path: Path, photos: dict[str, tuple[str, ...]]) -> None:
    files = f"binaryFile.`{PHOTOS.as_uri()}`"
    lines = spark_sql(
        tmp_path,
        f"""SELECT 'photo', regexp_extract(path, '[^/]+$', 0), classify(content, '{MODEL}', 1)[0].label, size(featurize(content, '{MODEL}'))
            FROM {files} WHERE path LIKE '%/chelsea.png' OR path LIKE '%/lion.jpg' ORDER BY path;
            SELECT 'named', vectors(array(1, 2, 3, 4)), vectors(CAST(NULL AS ARRAY<INT>));
            CREATE TEMPORARY VIEW pictured AS SELECT picture(content) AS features FROM {files} WHERE path LIKE '%/chelsea.png';
            SELECT 'view', size(features) FROM pictured;
            SELECT 'own', classify(array(1, 2, 3, 4), '{PACKAGES}/tiny')[0].label;
            DESCRIBE FUNCTION featurize""",
        f"spark.flambeau.udf.vectors={PACKAGES}/tiny",
        f"spark.flambeau.udf.picture={MODEL}",
    )
    rows = {(line[0], line[1]): line[2:] for line in lines if line[0] in ("photo", "view", "own")}
    label, length = rows["photo", "chelsea.png"]
    assert label in photos["chelsea.png"] and length == "1280"
    assert rows["photo", "lion.jpg"][0] in photos["lion.jpg"]
    assert ("own", "c") in rows
    assert ("view", "1280") in rows
    assert ["named", "[2.0,4.0,6.0]", "NULL"] in lines
    assert any("featurize(input, model)" in line[0] for line in lines), "DESCRIBE FUNCTION tells how to call it"


def test_libtorch_from_a_folder_instead_of_its_jar(tmp_path: Path) -> None:
    (ours,) = [jar for jar in jars() if "libtorch" not in Path(jar).name]
    query = f"SELECT 'own', classify(array(1, 2, 3, 4), '{PACKAGES}/tiny')[0].label"
    setting = f"spark.flambeau.libtorch={ROOT / '.libtorch'}"
    assert ["own", "c"] in spark_sql(tmp_path, query, setting, with_jars=[ours])
    with pytest.raises(
        AssertionError,
        match=r"\[FLAMBEAU_SETUP\].*no libtorch: spark\.flambeau\.libtorch and the environment's LIBTORCH are not set",
    ):
        spark_sql(tmp_path, query, with_jars=[ours])
    with pytest.raises(
        AssertionError,
        match=r"\[FLAMBEAU_SETUP\].*no libtorch_cpu\.so in /nowhere \(from spark\.flambeau\.libtorch=/nowhere\)",
    ):
        spark_sql(tmp_path, query, "spark.flambeau.libtorch=/nowhere", with_jars=[ours])
