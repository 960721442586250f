"""The plots of the examples: a confusion matrix, and who speaks when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

FIRE = "#e25822"


def confusion_matrix(path: Path, title: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
    """`counts[i][j]`: rows of class i that were classified as class j; colors are shares of the class."""
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    figure, axes = pyplot.subplots(figsize=(1.6 + 0.72 * len(labels), 1.4 + 0.62 * len(labels)), dpi=120)
    axes.imshow(shares, cmap="Oranges", vmin=0, vmax=1)
    for i, row in enumerate(counts):
        for j, n in enumerate(row):
            if n:
                axes.text(j, i, str(n), ha="center", va="center", color="white" if shares[i][j] > 0.6 else "#241c15")
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.set_title(title, fontsize=11)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)


def voices(
    path: Path, files: Sequence[str], probabilities: Mapping[str, Sequence[float]], window_seconds: float,
    turns: Mapping[str, Sequence[tuple[float, float]]],
) -> None:  # fmt: skip
    """One row per file: probability of speech as a line, the annotated turns as bars below it."""
    figure, all_axes = pyplot.subplots(len(files), 1, figsize=(11, 0.9 + 0.95 * len(files)), dpi=110, squeeze=False)
    for file, axes in zip(files, all_axes[:, 0]):
        times = [index * window_seconds for index in range(len(probabilities[file]))]
        axes.plot(times, probabilities[file], color=FIRE, linewidth=0.8)
        axes.broken_barh(list(turns[file]), (-0.3, 0.2), color="#7d7166")
        axes.set_ylim(-0.35, 1.05)
        axes.set_xlim(0, max(times, default=1.0))
        axes.set_yticks([0, 1])
        axes.set_ylabel(file.removesuffix(".wav"), rotation=0, ha="right", va="center")
        if file != files[-1]:
            axes.set_xticks([])
    all_axes[-1, 0].set_xlabel("seconds (line: probability of speech; bars: annotated turns)")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)
