"""Names the machine that a number was measured on, and keeps results by version."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


def describe() -> dict[str, object]:
    """Processor, cores, memory in GiB, versions, and the commit that was measured."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    field = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in info.splitlines())}
    flags = field.get("flags", "").split()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "cpu": f"{field.get('model name', 'unknown')} (family {field.get('cpu family')}, model {field.get('model')})",
        "cores": os.cpu_count(),
        "features": [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "os": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "commit": commit.stdout.strip(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    }


def keep(name: str, version: str, content: dict[str, object]) -> Path:
    """Writes bench/results/<version>/<name>.json and returns its path."""
    path = RESULTS / version / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
