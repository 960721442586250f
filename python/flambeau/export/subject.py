"""The exported module, in eval mode, on the CPU; or an error that tells what to pass instead.

What lives here: `as_module`, which checks the argument of `package` before anything is run, and `hint`, which adds
advice to a module's own error message.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from .errors import ExportError


def as_module(given: object) -> nn.Module:
    """The module itself, in eval mode. A result of `torch.compile` is unwrapped; a program of `torch.export` is a module then.

    Raises:
        ExportError: it is not a module, or its weights are missing or on another device.
    """
    module = getattr(given, "_orig_mod", given)
    if isinstance(module, torch.export.ExportedProgram):
        module = module.module()
    if not isinstance(module, nn.Module):
        raise ExportError(f"the model is {_kind(given)}")
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        raise ExportError(f"the model is wrapped in {type(module).__name__}: pass model.module, the network inside")
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if isinstance(value, (UninitializedParameter, UninitializedBuffer)):
            raise ExportError(f"{name} has no shape yet: run the lazy module once on a batch before the export")
        if value.device.type == "meta":
            raise ExportError(f"{name} has no values (device meta): load the weights before the export")
        if value.device.type != "cpu":
            raise ExportError(f"{name} is on {value.device}: the export runs on the CPU, so pass model.cpu()")
    for part in module.modules():
        # torch.export puts methods there that only raise: its program does not change with the mode.
        for name in ("train", "eval"):
            vars(part).pop(name, None)
    return module.eval()


def _kind(given: object) -> str:
    """What was passed, and what to pass instead."""
    load = "build the network, load the weights with network.load_state_dict(…) and pass the network"
    if isinstance(given, Mapping):
        return f"a {type(given).__name__} of weights (a state dict), not a module: {load}"
    if isinstance(given, (str, PathLike, bytes)):
        return (
            f"a file name ({given!r}), not a module: for a TorchScript file pass torch.jit.load(file), for a program of torch.export "
            f"torch.export.load(file); for a file of weights, {load}"
        )
    if isinstance(given, type) and issubclass(given, nn.Module):
        return f"the class {given.__name__}, not a module: pass an instance, {given.__name__}(…)"
    if isinstance(getattr(given, "model", None), nn.Module):
        return (
            f"a {type(given).__name__}, not a module: pass its .model, and describe what it does before "
            "(tokenizer, image size) with the inputs"
        )
    if callable(given):
        return f"a {type(given).__name__}, not a module: put it into the forward method of a torch.nn.Module"
    return f"a {type(given).__name__}, not a torch.nn.Module"


def hint(module: nn.Module, batch: list[Tensor], reason: str) -> str:
    """Advice about the module's own error, if there is any; otherwise nothing."""
    low = {value.dtype for value in module.parameters() if value.dtype in (torch.float16, torch.bfloat16)}
    if low and "dtype" in reason and any(value.dtype == torch.float32 for value in batch):
        return (
            f" (its weights are {', '.join(sorted(map(str, low)))}, its inputs f32: pass model.float(), and let "
            "precisions=['bf16'] make a variant of reduced precision)"
        )
    if "device" in reason and ("cuda" in reason or "meta" in reason):
        return " (the export runs on the CPU: do not make tensors on another device in forward)"
    if "Guard failed" in reason:
        return (
            " (torch.export keeps the sizes that it saw: export it again with dynamic_shapes=({0: torch.export.Dim('rows', min=1)},) for "
            "each input)"
        )
    if "index out of range" in reason and any(not value.is_floating_point() for value in batch):
        return (
            " (if an input holds ids, say which ones the module takes: TensorInput(name, shape, dtype, min=…, max=…))"
        )
    if isinstance(module, torch.jit.ScriptModule):
        return " (if torch.jit.trace made it: a trace keeps the sizes that it saw, so use torch.jit.script, or pass the module)"
    return ""


def changed_buffers(module: nn.Module, before: Mapping[str, object]) -> list[str]:
    """Names of the buffers and parameters that are not as `buffers` saw them."""
    now = buffers(module)
    return sorted(name for name in now if before.get(name) != now[name])


def buffers(module: nn.Module) -> dict[str, object]:
    """For each buffer and parameter where its numbers lie and how often they were changed."""

    def state(value: Tensor) -> object:
        return None if value.is_inference() else (value.data_ptr() if value.numel() else 0, value._version)

    return {name: state(value) for name, value in [*module.named_parameters(), *module.named_buffers()]}
