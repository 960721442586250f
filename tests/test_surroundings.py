"""Where a process finds itself: users without a name, folders that were damaged, address space that is limited."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import COMMAND_DEADLINE_S, PACKAGES, ROOT, environment


def run_tiny(folder: Path, *before: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The model `tiny` in a JVM of its own, which unpacks the libraries into `folder`; `before` starts the command."""
    (folder / "row.json").write_text("[1, 2, 3, 4]")
    command = [
        *before,
        sys.executable,
        "-m",
        "flambeau.models",
        "run",
        "--json",
        str(PACKAGES / "tiny"),
        str(folder / "row.json"),
    ]
    more = environment(PYTHONPATH=str(ROOT / "python"), JAVA_TOOL_OPTIONS=f"-Djava.io.tmpdir={folder}", **variables)
    return subprocess.run(
        command,
        cwd=folder,
        env=more,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=COMMAND_DEADLINE_S,
        check=False,
    )


def test_a_user_without_a_name(tmp_path: Path) -> None:
    """OpenShift and `docker run --user 12345` give a process a number that /etc/passwd does not know."""
    nobody = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]
    name = subprocess.run([*nobody, "id", "-un"], capture_output=True, text=True, check=False)
    assert "cannot find name" in name.stderr, name
    done = run_tiny(tmp_path, *nobody)
    assert done.returncode == 0 and '"features"' in done.stdout, done.stderr[-4000:]
    assert [folder.name for folder in tmp_path.glob("flambeau-*")] == ["flambeau-12345"]


def test_damaged_libraries_are_unpacked_anew(tmp_path: Path) -> None:
    right = run_tiny(tmp_path)
    assert right.returncode == 0, right.stderr[-4000:]
    [own] = tmp_path.glob(f"flambeau-{os.geteuid()}/flambeau-*/libflambeau_bridge.so")
    [torch] = tmp_path.glob(f"flambeau-{os.geteuid()}/libtorch-*/libc10.so")
    with own.open("r+b") as file:
        file.truncate(own.stat().st_size // 2)
    torch.unlink()
    again = run_tiny(tmp_path)
    assert again.returncode == 0 and again.stdout == right.stdout, again.stderr[-4000:]


@pytest.mark.parametrize("mib", [1000, 1600, 1800, 2000, 2200, 2600])
def test_scarce_address_space_is_an_error_or_enough(tmp_path_factory: pytest.TempPathFactory, mib: int) -> None:
    """Never an abort of OpenBLAS, never a signal."""
    folder = tmp_path_factory.getbasetemp() / "address-space"
    folder.mkdir(exist_ok=True)
    small = f"-Djava.io.tmpdir={folder} -Xmx128m -Xss1m -XX:CompressedClassSpaceSize=64m -XX:ReservedCodeCacheSize=64m -XX:+UseSerialGC"
    done = run_tiny(folder, "bash", "-c", f'ulimit -v {mib * 1024}; exec "$@"', "bash", JDK_JAVA_OPTIONS=small)
    assert done.returncode in (0, 1), (done.returncode, done.stdout[-2000:], done.stderr[-4000:])
    assert "OpenBLAS" not in done.stdout + done.stderr and "SIG" not in done.stdout + done.stderr
    if done.returncode == 1:
        assert "address space" in done.stderr, done.stderr[-4000:]
    else:
        assert '"features"' in done.stdout
