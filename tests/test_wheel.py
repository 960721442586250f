"""`pip install flambeau` somewhere without this checkout: the wheels of `./gradlew wheel` in a fresh environment, a query, and what
mypy sees of the package. PySpark comes from the environment that runs the tests, by a .pth file, to spare the network.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from support import PHOTOS, PROGRAMS, ROOT, environment, jars, run
from test_house import versions

WHEELS = ROOT / "build" / "wheels"
LIMIT_BYTES = 100_000_000
"""The size of a file that PyPI takes from anyone."""


def wheel(name: str) -> Path:
    found = list(WHEELS.glob(f"{name}-{versions()['version']}-*.whl"))
    assert len(found) == 1, f"{found}: run ./gradlew wheel"
    return found[0]


def fresh(folder: Path) -> Path:
    """The Python of a new environment, which finds PySpark in ours and no flambeau."""
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).stdout.strip()
    (Path(site) / "of-the-tests.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def pip(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, *arguments]
    return run(command, python.parent)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheels, the second one found as a dependency of the first."""
    python = fresh(tmp_path_factory.mktemp("installed"))
    pip(python, "install", "--quiet", "--no-index", "--find-links", WHEELS, "flambeau")
    return python


def test_the_wheels_hold_what_their_names_say() -> None:
    main, libtorch = wheel("flambeau"), wheel("flambeau_libtorch_cpu")
    assert max(main.stat().st_size, libtorch.stat().st_size) < LIMIT_BYTES
    line = ".".join(versions()["sparkVersion"].split(".")[:2])
    with zipfile.ZipFile(main) as archive:
        held = [Path(name).name for name in archive.namelist() if name.startswith("flambeau/jars/")]
        told = archive.read(f"flambeau-{versions()['version']}.dist-info/METADATA").decode()
    assert f"flambeau-spark{line}_2.13-{versions()['version']}.jar" in held
    assert f"flambeau-native-{versions()['version']}.jar" in held
    assert all(name.startswith(("flambeau-spark", "flambeau-native")) for name in held), held
    assert f"Requires-Dist: flambeau-libtorch-cpu=={versions()['version']}" in told
    assert re.search(r"^Requires-Dist: torch>=.*extra == 'export'", told, re.MULTILINE)
    with zipfile.ZipFile(libtorch) as archive:
        held = [name for name in archive.namelist() if name.endswith(".jar")]
    assert len(held) == 1 and held[0].startswith("flambeau_libtorch_cpu/jars/flambeau-libtorch-cpu-linux-x86_64-")


def test_the_platforms_of_the_wheels_are_what_their_libraries_need() -> None:
    """manylinux_2_28: no library in the jars asks for a newer glibc, and one asks for this one."""
    program = ROOT / "gradle" / "old_linux" / "needed_glibc.py"
    folders = [ROOT / "build" / "torch-resources", ROOT / "build" / "native-resources"]
    for name, folder in zip(("flambeau_libtorch_cpu", "flambeau"), folders, strict=True):
        assert "-py3-none-manylinux_2_28_x86_64." in wheel(name).name
        run([sys.executable, program, "GLIBC_2.28", folder], ROOT)
        with pytest.raises(AssertionError, match=r"ABOVE THE FLOOR: GLIBC_2\.28"):
            run([sys.executable, program, "GLIBC_2.27", folder], ROOT)


def test_a_query_in_a_fresh_environment(installed: Path, tmp_path: Path, photos: dict[str, tuple[str, ...]]) -> None:
    printed = run([installed, PROGRAMS / "installed_job.py", PHOTOS, "python"], tmp_path, environment()).stdout
    found = json.loads(printed.splitlines()[-1])
    assert Path(found["package"]).is_relative_to(installed.parent.parent)
    assert all(Path(jar).is_relative_to(installed.parent.parent) for jar in found["jars"])
    assert len(found["jars"]) == 3
    assert found["labels"].keys() == photos.keys()
    right = sum(found["labels"][file] in expected for file, expected in photos.items())
    assert right >= 0.9 * len(photos)


RIGHT = """\
import flambeau
from flambeau import functions as F
from flambeau.ml import DeepImageFeaturizer, TorchClassifier
from pyspark.sql import Column, SparkSession

spark: SparkSession = flambeau.configure(SparkSession.builder.appName("photos")).getOrCreate()
labels: Column = F.classify("content", "efficientnet_lite0", 3)
featurizer = DeepImageFeaturizer(inputCol="content", outputCol="features", modelName="efficientnet_lite0")
classifier = TorchClassifier(featuresCol="features", labelCol="label", maxEpochs=3)
flambeau.register(spark, "look", "efficientnet_lite0")
"""
WRONG = """\
import flambeau
from flambeau import functions as F

F.classify("content", "efficientnet_lite0", "three")
flambeau.configure(1)
"""


def test_mypy_sees_the_types_of_the_installed_package(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    mypy: list[str | Path] = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed]
    mypy += ["--cache-dir", tmp_path / "cache"]
    with pytest.raises(AssertionError) as failure:
        run([*mypy, "right.py", "wrong.py"], tmp_path)
    told = str(failure.value)
    assert 'wrong.py:4: error: Argument 3 to "classify" has incompatible type "str"' in told
    assert 'wrong.py:5: error: Value of type variable "Builder" of "configure" cannot be "int"' in told
    assert "Found 2 errors in 1 file (checked 2 source files)" in told


def test_pip_installs_the_folder_of_a_checkout(tmp_path: Path) -> None:
    """With the jars that are built there, libtorch's among them; so the package needs no other."""
    python = fresh(tmp_path)
    pip(python, "install", "--quiet", "--no-build-isolation", "--no-index", ROOT / "python")
    ask = "import flambeau; print(*flambeau.find_jars(), sep='\\n')"
    found = [Path(line) for line in run([python, "-c", ask], tmp_path, environment()).stdout.splitlines()]
    assert [jar.name for jar in found] == [Path(jar).name for jar in jars()]
    assert all(jar.is_relative_to(tmp_path) for jar in found)


def test_pip_says_what_to_build_first(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "python", tmp_path / "python", ignore=shutil.ignore_patterns("jars", "tests", "build"))
    with pytest.raises(AssertionError, match=r"does nothing without it: run \./gradlew pythonJars"):
        pip(fresh(tmp_path), "install", "--no-build-isolation", "--no-index", tmp_path / "python")
