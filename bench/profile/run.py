"""`.venv/bin/python bench/profile/run.py`: where the time of a batch goes, as a table and as a picture.

Photos of 1024 x 683 (`--set` takes another) through EfficientNet-Lite0 in f32, two tasks on two cores. Reading is timed by a job
without the model, prepare, forward and convert by the operator's own metrics, the boundary is the rest of the tasks'
time. Inside, Linux's `perf` samples the engine without Spark (rust/engine/examples/engine_alone.rs): decode, resize
and the rest of preparing, and the functions that take longest. Needs `perf` with the clock of the CPU (no hardware
counters). Writes bench/results/<version>/profile.json and profile.png.
"""

from __future__ import annotations

import argparse
import collections
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "images"), str(HERE.parent), str(ROOT / "python")]
import data

import harness
import networks
from flambeau.version import __version__

NETWORK, CORES, HERTZ = "efficientnet_lite0", 2, 499
DECODE = ("jpeg", "jsimd", "decode_mcu", "huff", "idct", "ycc_", "upsample", "jdhuff", "consume_markers")
RESIZE = ("resize", "resample", "horizontal", "vertical", "convolve")
COLORS = {
    "read": "#7f8c8d",
    "decode": "#c0392b",
    "resize": "#e67e22",
    "assemble": "#f1c40f",
    "forward": "#2980b9",
    "convert": "#27ae60",
    "boundary and waiting": "#bdc3c7",
}


def in_spark(folder: Path, rows: int) -> dict[str, float]:
    """ms of a task's time for each row, by phase, of a warm job."""
    from pyspark.sql import DataFrame, SparkSession

    import flambeau
    from flambeau import functions as F

    builder = (
        SparkSession.builder.master(f"local[{CORES}]")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
    )
    builder = builder.config("spark.driver.memory", "3g").config("spark.flambeau.models.path", str(networks.PACKAGES))
    spark = flambeau.configure(builder).getOrCreate()
    files = [str(path) for path in sorted(folder.iterdir())[:rows]]
    table = spark.read.format("binaryFile").load(files).select("content").repartition(8).cache()
    rows = table.count()

    def seconds(frame: DataFrame) -> float:
        started = time.perf_counter()
        frame.write.format("noop").mode("overwrite").save()
        return time.perf_counter() - started

    described = table.select(F.featurize("content", NETWORK).alias("features"))
    seconds(described)
    read = min(seconds(table.selectExpr("length(content)")) for _ in range(2))
    execution = described._jdf.queryExecution()
    started = time.perf_counter()
    execution.toRdd().count()
    whole = time.perf_counter() - started
    plan, found = [execution.executedPlan()], {}
    while plan:
        node = plan.pop()
        if node.nodeName().startswith("EvalModel"):
            found = {
                name: node.metrics().apply(f"{name}Time").value() / 1e6 / rows
                for name in ("prepare", "forward", "convert")
            }
        children = node.children()
        plan += [children.apply(index) for index in range(children.size())]
    spark.stop()
    found["read"] = read * 1000 * CORES / rows
    found["whole"] = whole * 1000 * CORES / rows
    return found


def phase(thread: str, library: str, symbol: str) -> str:
    """The phase of the engine that a sample belongs to."""
    name = symbol.lower()
    if "jpeg" in library or any(part in name for part in DECODE):
        return "decode"
    if any(part in name for part in RESIZE):
        return "resize"
    if "flambeau-decode" in thread:
        return "assemble"
    return "forward"


def sampled(folder: Path, rows: int) -> dict[tuple[str, str], float]:
    """(phase, function) -> share of the engine's samples."""
    program = ROOT / "target" / "release" / "examples" / "engine_alone"
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "-p", "flambeau-engine", "--example", program.name],
        cwd=ROOT,
        check=True,
    )
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as temporary:
        record = Path(temporary) / "perf.data"
        engine: list[str | Path] = [
            program,
            networks.PACKAGES / NETWORK,
            folder,
            str(CORES),
            "32",
            "3",
            "f32",
            str(rows),
        ]
        subprocess.run(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(HERTZ), "-o", record, *engine],
            check=True,
            capture_output=True,
        )
        script: list[str | Path] = ["perf", "script", "-i", record, "-F", "comm,dso,sym,ip"]
        lines = subprocess.run(script, check=True, capture_output=True, text=True).stdout.splitlines()
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for line in lines:
        # "flambeau-decode 7f… symbol (library)"
        place, _, library = line.rpartition("(")
        words = place.split()
        if len(words) >= 3:
            thread, symbol = words[0], " ".join(words[2:])
            shown = symbol if symbol != "[unknown]" else "kernels made at run time"
            counts[phase(thread, library, symbol), shown[:60]] += 1
    total = sum(counts.values())
    return {key: count / total for key, count in counts.items()}


def together(spark: dict[str, float], samples: dict[tuple[str, str], float]) -> dict[str, float]:
    """ms a row of each phase, in their order."""
    preparing = {
        name: sum(share for (of, _), share in samples.items() if of == name)
        for name in ("decode", "resize", "assemble")
    }
    all_of_it = sum(preparing.values()) or 1.0
    parts = {"read": spark["read"]}
    parts |= {name: spark["prepare"] * share / all_of_it for name, share in preparing.items()}
    parts |= {"forward": spark["forward"], "convert": spark["convert"]}
    parts["boundary and waiting"] = max(0.0, spark["whole"] - sum(parts.values()))
    return parts


def draw(parts: dict[str, float], samples: dict[tuple[str, str], float], title: str, path: Path) -> None:
    """A flame graph: the row below, its phases on it, the functions of each on top."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    whole = sum(parts.values())
    figure, axes = pyplot.subplots(figsize=(12, 3.6))

    def box(left: float, width: float, level: int, text: str, color: str) -> None:
        axes.barh(level, width, left=left, height=0.96, color=color, edgecolor="white")
        if width > whole * 0.02:
            room = int(width / whole * 150)
            axes.text(
                left + width / 2,
                level,
                text if len(text) <= room else text[: max(0, room - 1)] + "…",
                ha="center",
                va="center",
                fontsize=8,
            )

    box(0, whole, 0, f"{title}: {whole:.2f} ms of a core for each", "#ecf0f1")
    left = 0.0
    for name, width in parts.items():
        box(left, width, 1, f"{name} {width:.2f} ms", COLORS[name])
        inside = sorted(((share, symbol) for (of, symbol), share in samples.items() if of == name), reverse=True)
        at, all_of_it = left, sum(share for share, _ in inside) or 1.0
        for share, symbol in inside[:12]:
            box(at, width * share / all_of_it, 2, symbol, COLORS[name])
            at += width * share / all_of_it
        left += width
    axes.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="photos", choices=list(data.SETS))
    parser.add_argument("--rows", type=int, default=400)
    chosen = parser.parse_args()
    networks.package(NETWORK)
    folder, about = data.provide(chosen.set)
    spark, samples = in_spark(folder, chosen.rows), sampled(folder, min(chosen.rows, 200))
    parts = together(spark, samples)
    whole = sum(parts.values())
    print(f"\n{'phase':24} {'ms a row':>9} {'share':>7}")
    for name, milliseconds in parts.items():
        print(f"{name:24} {milliseconds:9.2f} {milliseconds / whole:7.1%}")
    longest = sorted(samples.items(), key=lambda item: -item[1])[:15]
    print("\nthe engine's longest functions:")
    for (name, symbol), share in longest:
        print(f"  {share:6.1%}  {name:9} {symbol}")
    kept = {
        "machine": harness.describe(),
        "about": about,
        "ms_per_row": parts,
        "longest": [[*key, share] for key, share in longest],
    }
    path = harness.keep("profile", __version__, json.loads(json.dumps(kept)))
    draw(parts, samples, about, path.with_suffix(".png"))
    print(f"kept in {path.relative_to(ROOT)} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    main()
