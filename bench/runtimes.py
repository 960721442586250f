"""Runs a network in a Python worker: `load(runtime, network)` gives a function of arrays, on one thread.

`torch`: the eager module. `onnxruntime` and `openvino`: the ONNX file, all graph optimizations on. `…-bf16`: the same in that
precision (PyTorch: the weights converted; OpenVINO: its inference precision; ONNX Runtime has none on CPUs). A worker loads
once, however many tasks it serves.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ONNX = ROOT / "build" / "bench-onnx"
Run = Callable[..., np.ndarray]


@functools.cache
def load(runtime: str, network: str) -> Run:
    """Arrays of one batch to features f32 `[n, width]`."""
    kind, _, precision = runtime.partition("-")
    return {"torch": _torch, "onnxruntime": _onnxruntime, "openvino": _openvino}[kind](network, precision or "f32")


def _torch(network: str, precision: str) -> Run:
    sys.path.insert(0, str(ROOT / "bench"))
    import torch

    import networks

    torch.set_num_threads(1)
    module = networks.module(network)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
    module = module.to(dtype)

    def run(*arrays: np.ndarray) -> np.ndarray:
        tensors = [torch.from_numpy(array) for array in arrays]
        tensors = [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in tensors]
        with torch.inference_mode():
            return module(*tensors).float().numpy()

    return run


def _onnxruntime(network: str, precision: str) -> Run:
    import onnxruntime

    if precision != "f32":
        raise ValueError("ONNX Runtime has no bf16 kernels for CPUs")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(ONNX / f"{network}.onnx", options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays)))[0]


def _openvino(network: str, precision: str) -> Run:
    import openvino

    # Not pinned: two workers would be pinned to the same core.
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(ONNX / f"{network}.onnx"), "CPU", {**settings, "INFERENCE_PRECISION_HINT": precision}
    )
    request = compiled.create_infer_request()

    def run(*arrays: np.ndarray) -> np.ndarray:
        request.infer(list(arrays), share_inputs=True)
        return request.get_output_tensor(0).data.astype(np.float32)

    return run
