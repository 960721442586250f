"""The proof that a program gives the same results as its module.

What lives here: `Proof`. It runs the eager module on every batch once and looks at the results (`findings`). Then it compares
programs with them: as saved, in this process; and frozen, in a process with libtorch only (`executor`), as executors do.

The batches are single rows and several rows together, at the shortest, a middle and the longest length: a trace with a fixed size or
branch is right only for the lengths that it saw. There are batches with extreme values, for branches that depend on the data. If the
tracer warned of a branch, there are more lengths in between.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from .batches import Batch, draw, extremes
from .errors import ExportError
from .executor import run_bare
from .findings import constants, depends_on_company, fixed_shapes, not_finite
from .limits import Spans
from .program import Parity, branches, in_order, parity, run
from .report import Progress
from .specs import Input, Output
from .subject import buffers, changed_buffers

ROWS = 3
"""Rows of the batches of several; each is run alone too."""


class Proof:
    """Batches, and the module's results for them. Made once for an export; owned by one thread.

    Raises:
        ExportError: the module fails, changes its input, gives another result the second time, or an output of a varying size.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Sequence[Input],
        spans: Spans,
        outputs: Sequence[Output],
        example: Sequence[Tensor] | None,
        messages: Sequence[str],
        progress: Progress,
    ) -> None:
        self._outputs, self._progress = outputs, progress
        self._branches = branches(messages)
        self._scripted = isinstance(module, torch.jit.ScriptModule)
        before = buffers(module)

        # Longest first: in the batch of several only the rows after it are padded.
        rows = draw(inputs, [spans.between(1.0), spans.between(0.5), spans.between(0.0)], seed=ROWS)
        together = rows.batch()
        alone = [rows.batch([row]) for row in range(ROWS)]
        ordinary = [together, *(alone if spans.longest else alone[:1])]
        if example is not None:
            ordinary.append(Batch(example, f"{len(example[0])} rows of the example", len(example[0])))
        between = self._between(inputs, spans)
        self.batches = [*ordinary, *between]
        self.expected = [self._eager(module, batch) for batch in self.batches]
        fixed_shapes(outputs, self.batches, self.expected)
        by_themselves = self.expected[1 : 1 + ROWS] if spans.longest else [
            self.expected[1], *(self._eager(module, batch) for batch in alone[1:])
        ]  # fmt: skip
        # The rows for measuring reduced precision: the user's real ones, otherwise the random ones.
        self.measured = [len(ordinary) - 1] if example is not None else list(range(len(self.batches)))
        self.warnings = [
            *spans.warnings,
            *not_finite(outputs, self.batches, self.expected),
            *constants(outputs, [*self.expected, *by_themselves]),
            *depends_on_company(outputs, self.expected[0], by_themselves, together.label, bool(spans.longest)),
        ]
        self._add_extremes(module, inputs, spans)
        self._again(module)
        changed = changed_buffers(module, before)
        if changed:
            self.warnings.append(
                f"the module changes {', '.join(changed[:5])} while it runs. Tasks of an executor share one copy and run side by "
                "side: keep what a forward pass needs in local variables"
            )
        if self._branches:
            self.warnings.append(
                "the trace kept one way through the code where the tracer warns below. All batches agreed; if that way depends on the "
                "data, compile with method='script'"
            )

    def _between(self, inputs: Sequence[Input], spans: Spans) -> list[Batch]:
        """One row at lengths of every magnitude, if the tracer saw a branch that may depend on the length."""
        if not self._branches or not spans.longest:
            return []
        shares = [2.0**-power for power in range(2, 9)]
        lengths = [spans.between(share) for share in shares]
        seen = [spans.between(share) for share in (0.0, 0.5, 1.0)]
        chosen: list[Mapping[str, int]] = []
        for own in lengths:
            if own not in [*seen, *chosen]:
                chosen.append(own)
        return [draw(inputs, [own], seed=20 + index).batch() for index, own in enumerate(chosen)]

    def _eager(self, module: nn.Module, batch: Batch) -> list[Tensor]:
        """The module's results; its input is as it was afterwards."""
        self._progress.say(f"the module on {batch.label}")
        given = batch.copy()
        results = run(module, given, self._outputs)
        for own, tensor in zip(batch.tensors, given):
            if not torch.equal(own, tensor):
                raise ExportError(
                    "the module changes its input in place, which other rows and calls may share: work on a copy "
                    "(x = x.clone() first, or inplace=False in the layer that does it)"
                )
        # A result may share memory with its input, or with the module's own.
        return [value.clone() for value in results]

    def _add_extremes(self, module: nn.Module, inputs: Sequence[Input], spans: Spans) -> None:
        """The batches of extreme values that the module accepts; it may raise for others."""
        for batch in extremes(inputs, spans.between(0.25), apart=bool(self._branches)):
            try:
                expected = self._eager(module, batch)
            except ExportError as error:
                if "in place" in str(error):
                    raise
                continue
            self.batches.append(batch)
            self.expected.append(expected)
        fixed_shapes(self._outputs, self.batches, self.expected)

    def _again(self, module: nn.Module) -> None:
        """Two batches again, of several rows and of one: the module must not be random or keep state between calls. The few values of one
        row alone can be the same by chance."""
        for batch, expected in list(zip(self.batches, self.expected))[:2]:
            for output, right, given in zip(self._outputs, expected, self._eager(module, batch)):
                found = parity(output.name, False, right, given)
                if not found.holds:
                    raise ExportError(
                        f"the module does not give what the module gives a second time: output {output.name} differs by "
                        f"{found.difference:.3g} on the same input. Look for dropout that eval() does not reach "
                        "(functional.dropout(x, training=self.training)), random numbers, and state kept from one call to the next"
                    )

    def hold(self, program: bytes) -> list[Parity]:
        """The program against the module, as saved and frozen.

        Raises:
            ExportError: they differ, or no executor can load the program.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.jit.load(io.BytesIO(program)).eval()
        found: list[Parity] = []
        for batch, expected in zip(self.batches, self.expected):
            self._progress.say(f"the program on {batch.label}")
            try:
                given = run(loaded, batch.copy(), self._outputs)
            except ExportError as error:
                raise ExportError(
                    f"the program fails where the module does not, on {batch.label}: {error}. {self._advice()}"
                ) from error
            found += self._compared(batch, expected, given, frozen=False)
        for batch, expected, given in zip(self.batches, self.expected, self.bare(program)):
            found += self._compared(batch, expected, given, frozen=True)
        return found

    def bare(self, program: bytes, what: str = "the program", suffix: str = ".pt") -> list[list[Tensor]]:
        """What the frozen (`.pt`) or compiled (`.pt2`) program gives for every batch in a process with libtorch only."""
        self._progress.say(f"{what} in a process with libtorch only, on {len(self.batches)} batches")
        names = [output.name for output in self._outputs]
        return [
            in_order(result, names)
            for result in run_bare(program, [batch.tensors for batch in self.batches], what, suffix)
        ]

    def _compared(
        self, batch: Batch, expected: Sequence[Tensor], given: Sequence[Tensor], frozen: bool
    ) -> list[Parity]:
        """The comparison of each output. All must agree."""
        found = [
            parity(output.name, frozen, right, value, batch.label)
            for output, right, value in zip(self._outputs, expected, given)
        ]
        for item in found:
            if not item.holds:
                raise ExportError(
                    f"the program does not give what the module gives: output {item.output} differs by {item.difference:.3g} "
                    f"(largest value {item.magnitude:.3g}) on {batch.label}. {self._advice()}"
                )
        return found

    def _advice(self) -> str:
        """What to do about a program that differs."""
        if self._branches:
            shown = "; ".join(line.partition(" might cause")[0] for line in self._branches[:3])
            return f"A trace keeps the way that one batch took, and the tracer warned: {shown}. So try method='script', which keeps branches and loops"
        if self._scripted:
            return "The TorchScript module does not survive saving and freezing: script it again with this PyTorch"
        return "A trace keeps the sizes and branches that it saw; try method='script'"
