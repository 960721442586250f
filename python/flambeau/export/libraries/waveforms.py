"""Networks of transformers that take the samples of a sound: wav2vec 2.0, HuBERT, WavLM and others of their kind.

What lives here: `Waves`, which prepares samples as `Wav2Vec2FeatureExtractor` does, and `alone`, which makes the network's result for
a clip the same beside longer clips. transformers pads clips with zeros. Where the first normalization of a network takes its
statistics over time (`feat_extract_norm="group"`), the zeros would change them, so transformers' results depend on the batch. Executors
make batches as rows come. So here that layer counts real samples only, and each row has the result that transformers gives for it alone.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .described import LOGITS
from .transformers_parts import pooled

VARIANCE = 1e-7
"""What `Wav2Vec2FeatureExtractor` adds to a clip's variance."""


def real(length: int, counts: Tensor) -> Tensor:
    """Which of `length` positions of each row are below its count, bool `[n, length]`."""
    return torch.arange(length, device=counts.device).unsqueeze(0) < counts.unsqueeze(1)


def normalized(samples: Tensor, lengths: Tensor) -> Tensor:
    """Each clip with mean 0 and variance 1 over its real samples, and zeros after them."""
    mask = real(samples.shape[1], lengths).type_as(samples)
    count = lengths.unsqueeze(1).type_as(samples)
    centered = (samples - (samples * mask).sum(1, keepdim=True) / count) * mask
    return centered / (centered.square().sum(1, keepdim=True) / count + VARIANCE).sqrt()


class _First(nn.Module):
    """The convolutions over samples. The group normalization of the first counts the frames of real samples only."""

    def __init__(self, convolutions: Any) -> None:
        super().__init__()
        self.first: Any = convolutions[0]
        self.others = nn.ModuleList(convolutions[1:])

    def forward(self, given: tuple[Tensor, Tensor]) -> Tensor:
        samples, lengths = given
        frames = self.first.conv(samples[:, None])
        kernel, stride = self.first.conv.kernel_size[0], self.first.conv.stride[0]
        counts = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        found: Tensor = self.first.activation(self._norm(frames, real(frames.shape[2], counts), counts))
        for layer in self.others:
            found = layer(found)
        return found

    def _norm(self, frames: Tensor, mask: Tensor, counts: Tensor) -> Tensor:
        norm = self.first.layer_norm
        grouped = frames.unflatten(1, (norm.num_groups, -1))
        only = mask.type_as(frames)[:, None, None]
        count = (counts * grouped.shape[2]).type_as(frames).view(-1, 1, 1, 1)
        centered = grouped - (grouped * only).sum((2, 3), keepdim=True) / count
        variance = (centered * only).square().sum((2, 3), keepdim=True) / count
        whole = (centered / (variance + norm.eps).sqrt()).flatten(1, 2)
        found: Tensor = whole * norm.weight[:, None] + norm.bias[:, None]
        return found


def alone(network: Any) -> tuple[Any, bool]:
    """The network, or a copy with the same weights whose first layer takes `(samples, lengths)`; and whether it is that copy."""
    layers = network.base_model.feature_extractor.conv_layers
    if not isinstance(getattr(layers[0], "layer_norm", None), nn.GroupNorm):
        return network, False
    shared = {id(value): value for value in (*network.parameters(), *network.buffers())}
    copied = copy.deepcopy(network, shared)
    copied.base_model.feature_extractor = _First(copied.base_model.feature_extractor.conv_layers)
    return copied, True


class Waves(nn.Module):
    """Samples f32 `[n, longest]` and their lengths i64 `[n]`; logits, logits of frames with their number, or pooled hidden states.

    Args:
        network: takes `input_values` and `attention_mask`.
        normalizes: whether the feature extractor gives each clip mean 0 and variance 1.
        pooling: None: the network's logits.
        counts: whether the logits are of frames, so that their number is a result too.
    """

    def __init__(self, network: Any, normalizes: bool, pooling: str | None, counts: bool) -> None:
        super().__init__()
        self.network, self.paired = alone(network)
        self.normalizes = normalizes
        self.pooling = pooling
        self.counts = counts
        self.least = 1
        for kernel, stride in reversed(list(zip(network.config.conv_kernel, network.config.conv_stride))):
            self.least = (self.least - 1) * stride + kernel

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if self.normalizes:
            samples = normalized(samples, lengths)
        # A clip that is too short for one frame becomes one, with silence after it.
        samples = nn.functional.pad(samples, (0, self.least))
        lengths = lengths.clamp(min=self.least)
        mask = real(samples.shape[1], lengths)
        values: Any = (samples, lengths) if self.paired else samples
        result = self.network(input_values=values, attention_mask=mask.long())
        frames: Tensor = self.network._get_feat_extract_output_lengths(lengths).long()
        if self.pooling is not None:
            return pooled(result, real(result.last_hidden_state.shape[1], frames).long(), self.pooling)
        logits: Tensor = result[LOGITS]
        return (logits, frames) if self.counts else logits
