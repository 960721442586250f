"""How the wheels of this folder and of `libtorch` come to their jars: hatchling calls it.

What lives here: `JarsHook` puts jars into the wheel and names the platform that their native libraries need; `LibtorchHook`
decides whether libtorch's jar comes with the package or from the wheel `flambeau-libtorch-cpu`. Without variables (as in
`pip install ./python`) the jars are those that `./gradlew pythonJars` built, and the wheel is for this machine's kind;
`./gradlew wheel` names other jars and the platform.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

HERE = Path(__file__).resolve().parent
JARS_VARIABLE = "FLAMBEAU_WHEEL_JARS"
PLATFORM_VARIABLE = "FLAMBEAU_WHEEL_PLATFORM"
LIBTORCH = "flambeau-libtorch-cpu"


def jars(pattern: str) -> list[Path]:
    """The jars of this name in the folder that the build names, or where `./gradlew pythonJars` leaves them."""
    return sorted(Path(os.environ.get(JARS_VARIABLE, HERE / "flambeau" / "jars")).glob(pattern))


class JarsHook(BuildHookInterface[BuilderConfig]):
    """Its settings are in pyproject.toml: `jars`, the pattern of their names, and `into`, their folder in the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the jars and the tag. An editable installation has the jars where they lie."""
        found = jars(self.config["jars"])
        if not any(jar.name.startswith(self.config["needs"]) for jar in found):
            raise SystemExit(
                f"{self.config['needs']}*.jar is not built, and the Python package does nothing without it: "
                "run ./gradlew pythonJars in the checkout first"
            )
        if version == "editable":
            return
        platform = os.environ.get(PLATFORM_VARIABLE) or sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["force_include"].update({str(jar): f"{self.config['into']}/{jar.name}" for jar in found})


class LibtorchHook(MetadataHookInterface):
    """Sets the dependencies."""

    def update(self, metadata: dict[str, Any]) -> None:
        """A package without libtorch's jar needs the wheel that has it, of the same version."""
        needed = ["tomli>=2; python_version < '3.11'"]
        if not jars(f"{LIBTORCH}-*.jar"):
            needed.append(f"{LIBTORCH}=={metadata['version']}")
        metadata["dependencies"] = needed
