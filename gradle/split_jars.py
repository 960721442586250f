#!/usr/bin/env python3
"""split_jars.py OUT JAR…: the jars of all lines of Spark without what is the same in each, and one jar with that.

Native libraries and embedded models are 25 of the 27 MB of a Flambeau jar. A wheel that holds the jars of several lines has
them once, in `flambeau-native-VERSION.jar`. Spark puts all jars of a session on one class path, so any of them may hold a file.
OUT is replaced as a whole.
"""

import argparse
import pathlib
import re
import shutil
import zipfile

SHARED = ("flambeau/native/", "flambeau/models/")
LICENSES = ("META-INF/LICENSE", "META-INF/LICENSE-pillow-libraries")


def copy(source: zipfile.ZipFile, names: list[str], out: pathlib.Path) -> None:
    """Writes these entries into a jar of their own."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in names:
            entry = zipfile.ZipInfo(name, source.getinfo(name).date_time)
            target.writestr(entry, source.read(name), zipfile.ZIP_DEFLATED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("jars", type=pathlib.Path, nargs="+")
    options = parser.parse_args()

    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    first: dict[str, int] = {}
    for jar in sorted(options.jars):
        with zipfile.ZipFile(jar) as archive:
            files = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            shared = {name: archive.getinfo(name).CRC for name in files if name.startswith(SHARED)}
            if not shared or (first and shared != first):
                raise SystemExit(
                    f"split_jars: {jar} has other native libraries or models than the first jar: build all anew"
                )
            if not first:
                first = shared
                version = re.sub(r".*-([^-]+)\.jar$", r"\1", jar.name)
                copy(archive, [*shared, *LICENSES], options.out / f"flambeau-native-{version}.jar")
            copy(archive, [name for name in files if name not in shared], options.out / jar.name)


if __name__ == "__main__":
    main()
