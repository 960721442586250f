"""run.py [OUT [PACKAGE/PRECISION...]]: what only a machine with an NVIDIA GPU can show, in less than eight minutes. Needs PyTorch 2.11 with CUDA, nothing else.

It runs `device_check` of this folder for each package and precision, and samples the GPU meanwhile. Prints a table, writes
`report.json` and `report.txt` to the folder OUT, and fails if a check fails. Without names of cases it runs all.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
CASES = [
    ("efficientnet_lite0", "tiles", ("f32", "bf16")),
    ("resnet50", "tiles", ("f32", "bf16")),
    ("vit_b_16", "tiles", ("f32", "bf16")),
    ("bert_12", "texts.json", ("f32", "bf16")),
]
SECONDS = "2"


def unpack(work: Path) -> None:
    for file in HERE.glob("*.zip"):
        with zipfile.ZipFile(file) as archive:
            archive.extractall(work / file.stem)


def fill(folder: Path) -> None:
    """Random weights for a package that has none, the same for each of its programs."""
    manifest = (folder / "model.toml").read_text(encoding="utf-8")
    for file in sorted(folder.glob("*.pt")):
        before = hashlib.sha256(file.read_bytes()).hexdigest()
        module = torch.jit.load(str(file), map_location="cpu")
        generator = torch.Generator().manual_seed(5)
        for name, tensor in sorted([*module.named_parameters(), *module.named_buffers()]):
            if not tensor.is_floating_point():
                continue
            if tensor.dim() > 1:
                fan_in = tensor[0].numel()
                values = torch.randn(tensor.shape, generator=generator) / fan_in**0.5
            else:
                values = torch.full(tensor.shape, 0.02 if "bias" in name or "mean" in name else 1.0)
            tensor.data.copy_(values)
        torch.jit.save(module, str(file))
        manifest = manifest.replace(before, hashlib.sha256(file.read_bytes()).hexdigest())
    (folder / "model.toml").write_text(manifest, encoding="utf-8")


class Busy:
    """The share of time in which a kernel ran, as nvidia-smi samples it."""

    def __enter__(self) -> Busy:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        self.samples = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *failure: object) -> None:
        self.samples.terminate()
        text, _ = self.samples.communicate()
        self.percent = [int(line) for line in text.split() if line.isdigit()]


def check(work: Path, package: str, data: str, precision: str) -> dict[str, Any]:
    source = HERE / data if data.endswith(".json") else work / data
    library_path = f"{Path(torch.__file__).parent / 'lib'}:{HERE / 'lib'}"
    command = [str(HERE / "device_check"), str(work / package), str(source), "cuda:0", precision, SECONDS]
    started = time.monotonic()
    with Busy() as busy:
        done = subprocess.run(
            command,
            env=os.environ | {"LD_LIBRARY_PATH": library_path, "LD_PRELOAD": "libtorch_cuda.so", "RUST_BACKTRACE": "0"},
            capture_output=True,
            text=True,
        )
    sys.stderr.write(done.stderr[-4000:])
    if done.returncode != 0:
        return {"package": package, "precision": precision, "failed": (done.stderr or done.stdout)[-2000:]}
    report = json.loads(done.stdout)
    # The last quarter or so is the rate of most tasks and the errors after it.
    top = sorted(busy.percent)[-max(1, len(busy.percent) // 4) :]
    return report | {
        "busy_percent_top_quarter": sum(top) / len(top) if top else None,
        "seconds": round(time.monotonic() - started, 1),
    }


def rate(report: dict[str, Any], tasks: str) -> str:
    return f"{report['by_tasks'].get(tasks, {}).get('rows_per_s', 0):.0f}"


def megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f}"


def table(reports: list[dict[str, Any]]) -> str:
    lines = [
        "| Package | Precision | Least cosine | 1 task | 4 tasks | 16 tasks | GPU busy | Weights MB | Peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        if "failed" in report:
            lines.append(f"| {report['package']} | {report['precision']} | FAILED | | | | | | |")
            continue
        busy = f"{report['busy_percent_top_quarter']:.0f} %" if report["busy_percent_top_quarter"] is not None else "?"
        cells = [report["package"], report["precision"], f"{report['least_cosine']:.7f}", rate(report, "1"), rate(report, "4"), rate(report, "16"), busy,
                 megabytes(report["weights_bytes"]), megabytes(report["device_peak_bytes_of_rates"])]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    wanted = sys.argv[2:]
    (HERE / "device_check").chmod(0o755)
    reports = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        unpack(work)
        for package, data, precisions in CASES:
            if package != "efficientnet_lite0" and (work / package).exists():
                fill(work / package)
            for precision in (p for p in precisions if not wanted or f"{package}/{p}" in wanted):
                reports.append(check(work, package, data, precision))
                print(json.dumps(reports[-1]), flush=True)
    machine = {"gpu": torch.cuda.get_device_name(0), "torch": torch.__version__, "cores": os.cpu_count()}
    (out / "report.json").write_text(json.dumps({"machine": machine, "reports": reports}, indent=1), encoding="utf-8")
    text = f"{machine['gpu']}, {machine['cores']} cores, torch {machine['torch']}\n\n{table(reports)}\n"
    (out / "report.txt").write_text(text, encoding="utf-8")
    print(text)
    if any("failed" in report for report in reports):
        raise SystemExit("a check failed")


if __name__ == "__main__":
    main()
