"""`flambeau.export` rejects programs that an executor could not run, or that give different results each time, with advice."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flambeau import export
from test_export_lengths import tokenizer

X = [export.TensorInput("x", [4])]
Y = [export.Output("y")]
QUANTIZED = torch.backends.quantized.engine


def write(module: Any, path: Path, **changes: Any) -> export.ExportReport:
    """A package of four numbers in and `y` out."""
    arguments: dict[str, Any] = {"name": "net", "inputs": X, "outputs": Y, "license": "MIT", "quiet": True, **changes}
    return export.package(module, path / "net", **arguments)


class Pipeline:
    """Has a network inside, as a pipeline of transformers has."""

    def __init__(self) -> None:
        self.model = nn.Linear(4, 4)

    def __call__(self, x: object) -> object:
        return x


def lazy() -> nn.Module:
    """A layer whose weights have no shape yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.LazyLinear(4)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(4, 4).state_dict(), r"state dict.*load_state_dict"),
        ("model.h5", r"file name \('model.h5'\).*torch\.jit\.load"),
        (Path("weights.pth"), "file name"),
        (Pipeline(), r"a Pipeline, not a module: pass its \.model"),
        (nn.Identity, "pass an instance, Identity"),
        (lambda x: x, r"into the forward method of a torch\.nn\.Module"),
        (None, r"a NoneType, not a torch\.nn\.Module"),
        (nn.DataParallel(nn.Linear(4, 4)), "pass model.module"),
        (nn.Linear(4, 4, device="meta"), "load the weights before the export"),
        (lazy(), "run the lazy module once"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_module_is_told_what_to_hand_over(tmp_path: Path, model: Any, message: str) -> None:
    with pytest.raises(export.ExportError, match=message):
        write(model, tmp_path)
    with pytest.raises(export.ExportError, match=message):
        export.trainable(model, tmp_path / "net", name="net", license="MIT", inputs=X, outputs=Y)
    assert list(tmp_path.iterdir()) == []


def test_what_torch_compile_wraps_is_unwrapped(tmp_path: Path) -> None:
    write(torch.compile(nn.Linear(4, 4)), tmp_path)
    assert (tmp_path / "net" / "model.pt").is_file()


@pytest.mark.parametrize("license", ["", "  ", None, "MIT\nno"])
def test_a_licence_is_asked_for(tmp_path: Path, license: object) -> None:
    with pytest.raises(export.ExportError, match=r"SPDX expression, such as 'Apache-2\.0'"):
        write(nn.Linear(4, 4), tmp_path, license=license)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (torch.rand(0, 4), "0 rows.*at least 1"),
        ([torch.rand(2, 4), torch.rand(2, 4)], "holds 2 tensors, but the program takes 1"),
        (torch.rand(2, 4).double(), r"float64 \[2, 4\]; the input is torch.float32 \[rows, 4\]"),
        (torch.rand(4), r"\[4\]; the input is"),
        ([[1.0, 2.0, 3.0, 4.0]], "is a list, not a tensor"),
    ],
)
def test_an_example_fits_the_inputs(tmp_path: Path, example: object, message: str) -> None:
    with pytest.raises(export.ExportError, match=message):
        write(nn.Linear(4, 4), tmp_path, example=example)


class OnData(nn.Module):
    """A different branch for large values."""

    def forward(self, x: Tensor) -> Tensor:
        if x.max() > 50:
            return x * 2
        return x + 1


class OnSign(nn.Module):
    """A different branch for a negative sum, of floats or whole numbers."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() < 0:
            return x * 2
        return x + 1


class OnNothing(nn.Module):
    """A different branch for a row of zeros."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if bool((x != 0).any()) else x + 1


class OnDarkness(nn.Module):
    """A different branch for black pictures."""

    def forward(self, image: Tensor) -> Tensor:
        if image[0].sum() == 0:
            return image.mean((2, 3)) + 1
        return image.mean((2, 3))


def test_a_branch_on_the_data_is_refused_with_the_tracers_words(tmp_path: Path) -> None:
    said = r"test_export_refusals\.py:\d+: Converting a tensor to a Python boolean.*try method='script'"
    with pytest.raises(export.ExportError, match=said):
        write(OnData(), tmp_path)
    with pytest.raises(export.ExportError, match=said):
        write(OnDarkness(), tmp_path, inputs=[export.ImageInput(crop=4, resize=4)])
    for dtype in ("f32", "f64", "i64", "i8"):
        for module in (OnData(), OnSign(), OnNothing()):
            with pytest.raises(export.ExportError, match=said):
                write(module, tmp_path, inputs=[export.TensorInput("x", [4], dtype)])
    write(OnData(), tmp_path, method="script")


class Counting(nn.Module):
    """Adds the number of its calls to its result."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


class Remembering(Counting):
    """Counts its calls, but not in its result."""

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * 2


class AlwaysDropping(nn.Module):
    """Dropout that does not check whether it is training."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5)


class InPlace(nn.Module):
    """Writes into its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.add_(1) * 2


class Complex(nn.Module):
    """Returns a complex spectrum."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x)


class Quantized(nn.Module):
    """Forgets to convert back from int8."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)


class Sparse(nn.Module):
    """Keeps only what is not zero."""

    def forward(self, x: Tensor) -> Tensor:
        return x.to_sparse()


class Half(nn.Module):
    """Weights in f16."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4).half()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class ByRows(nn.Module):
    """Other names for batches of several rows."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": x} if x.shape[0] < 3 else {"z": x}


@pytest.mark.parametrize("method", ["trace", "script"])
@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Counting(), "a second time.*state kept from one call"),
        (AlwaysDropping(), r"a second time.*training=self\.training"),
        (InPlace(), r"changes its input in place.*x\.clone\(\)"),
        (Complex(), "view_as_real"),
        (Quantized(), "dequantize"),
        (Sparse(), "to_dense"),
        (Half(), r"float16.*model\.float\(\)"),
        (ByRows(), r"returns \['z'\], but \['y'\] are declared"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_modules_that_are_not_functions_of_their_rows(
    tmp_path: Path, module: nn.Module, message: str, method: str
) -> None:
    with pytest.raises(export.ExportError, match=message):
        write(module, tmp_path, method=method)
    assert list(tmp_path.iterdir()) == []


class Baked(nn.Module):
    """A trace of it keeps the rows that it saw."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(int(x.shape[0]), 2, 2).sum(2)


def test_a_trace_that_is_handed_over_is_run_at_other_sizes(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Baked(), torch.rand(2, 4))
    with pytest.raises(export.ExportError, match=r"fails on inputs \[3, 4\].*use torch\.jit\.script"):
        write(traced, tmp_path)
    write(torch.jit.script(Baked()), tmp_path)


class ByNumPy(nn.Module):
    """Computes outside of torch."""

    def forward(self, x: Tensor) -> Tensor:
        return x * float(x.numpy().mean())


class ByRow(nn.Module):
    """Processes the rows one by one."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([row * 2 for row in x])


def test_what_a_trace_takes_for_constants_is_refused_with_the_tracers_words(tmp_path: Path) -> None:
    with pytest.raises(export.ExportError, match=r"the tracer warned: .*NumPy"):
        write(ByNumPy(), tmp_path)
    with pytest.raises(export.ExportError, match=r"the tracer warned: .*Iterating over a tensor.*try method='script'"):
        write(ByRow(), tmp_path)
    write(ByRow(), tmp_path, method="script")


def test_state_that_does_not_show_is_said(tmp_path: Path) -> None:
    assert "changes calls while it runs" in str(write(Remembering(), tmp_path, method="script"))


class OverRows(nn.Module):
    """A softmax over the wrong dimension."""

    def forward(self, x: Tensor) -> Tensor:
        return x.softmax(0)


class Zero(nn.Module):
    """A head whose weights are zero."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.linear(x), self.linear(x) + 3, x.log()


class View(nn.Module):
    """Returns a part of its own input, which is not changed."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 1:3]


@pytest.mark.parametrize("method", ["trace", "script"])
def test_what_is_no_error_but_must_be_heard(tmp_path: Path, method: str) -> None:
    found = write(OverRows(), tmp_path, method=method).warnings
    assert len(found) == 1 and "depends on the other rows of its batch" in found[0]
    outputs = [export.Output("zero"), export.Output("same"), export.Output("bad")]
    found = write(Zero(), tmp_path, outputs=outputs, method=method, overwrite=True).warnings
    for part in ("output zero is zero", "output same is the same", "output bad is NaN or infinite"):
        assert any(part in warning for warning in found), found
    assert write(View(), tmp_path, method=method, overwrite=True).warnings == []


class Exact(nn.Module):
    """A whole number that f64 cannot distinguish from the next one."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0].long() + (1 << 53) + 1


def test_whole_numbers_are_compared_exactly(tmp_path: Path) -> None:
    write(Exact(), tmp_path)
    from flambeau.export.program import parity

    near = parity("y", False, torch.tensor([1 << 53]), torch.tensor([(1 << 53) + 1]))
    assert near.difference >= 1
    assert parity("y", False, torch.tensor([torch.nan, torch.inf]), torch.tensor([torch.nan, torch.inf])).holds
    assert not parity("y", False, torch.tensor([torch.nan]), torch.tensor([1.0])).holds
    assert not parity("y", False, torch.tensor([torch.inf]), torch.tensor([-torch.inf])).holds


OPERATORS = torch.library.Library("flambeau_test", "DEF")
OPERATORS.define("twice(Tensor x) -> Tensor")
OPERATORS.impl("twice", lambda x: x * 2, "CompositeImplicitAutograd")
OPERATORS.define("nms(Tensor x) -> Tensor")
OPERATORS.impl("nms", lambda x: x.clone(), "CompositeExplicitAutograd")


class Foreign(nn.Module):
    """Calls an operator that this process has and an executor has not, as torchvision's detectors do."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.flambeau_test.nms(x)


@pytest.mark.parametrize("method", ["trace", "script"])
def test_operators_that_executors_lack_are_named(tmp_path: Path, method: str) -> None:
    message = r"no executor can load the program: it calls flambeau_test::nms.*plain torch operations.*boxes"
    with pytest.raises(export.ExportError, match=message):
        write(Foreign(), tmp_path, method=method)
    with pytest.raises(export.ExportError, match=message):
        write(torch.jit.script(Foreign()), tmp_path)
    assert list(tmp_path.iterdir()) == []
    write(nn.Linear(4, 4), tmp_path)  # The process that tried them continues.


class Trap(nn.Module):
    """Divides the least whole number by -1, which the processor answers with a signal."""

    def forward(self, x: Tensor) -> Tensor:
        rows = x.shape[0]
        return x * ((-9223372036854775807 - rows) // -rows)


def test_a_program_that_ends_its_process_is_refused_and_harms_no_other(tmp_path: Path) -> None:
    from flambeau.export.executor import run_bare

    torch.jit.script(Trap()).save(str(tmp_path / "trap.pt"))
    program = (tmp_path / "trap.pt").read_bytes()
    with pytest.raises(export.ExportError, match="ended the process that ran it"):
        run_bare(program, [[torch.rand(1, 4)]])
    torch.jit.script(nn.Identity()).save(str(tmp_path / "same.pt"))
    assert run_bare((tmp_path / "same.pt").read_bytes(), [[torch.ones(1)]])[0].tolist() == [1.0]


class Deep(nn.Module):
    """A layer that can be quantized; halved above `bend` tokens."""

    def __init__(self, bend: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bend = bend
        self.quant, self.dequant = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        self.words = nn.Embedding(300, 8)
        self.linear = nn.Linear(8, 8)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        own = attention_mask.unsqueeze(2).float()
        x = self.linear(self.quant((self.words(input_ids) * own).sum(1)))
        x = self.dequant(x)
        if input_ids.shape[1] > self.bend:
            x = x * 0.5
        return x


def dynamic(bend: int) -> nn.Module:
    """int8 weights, scales of the moment."""
    return torch.ao.quantization.quantize_dynamic(Deep(bend).eval(), {nn.Linear}, dtype=torch.qint8)


def static(bend: int) -> nn.Module:
    """int8 weights and activations, calibrated."""
    module = Deep(bend).eval()
    module.linear.qconfig = module.quant.qconfig = module.dequant.qconfig = torch.ao.quantization.get_default_qconfig(
        QUANTIZED
    )
    prepared = torch.ao.quantization.prepare(module)
    prepared(torch.arange(40).view(4, 10), torch.ones(4, 10))
    return torch.ao.quantization.convert(prepared)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [Deep, dynamic, static])
def test_quantized_models_are_held_to_the_same(tmp_path: Path, make: Callable[[int], nn.Module]) -> None:
    shared: dict[str, Any] = {
        "inputs": [export.TextInput(tokenizer(tmp_path), max_length=64)],
        "outputs": [export.Output("y", "features")],
    }
    with pytest.raises(export.ExportError, match="try method='script'"):
        write(make(20), tmp_path, **shared)
    report = write(make(20), tmp_path, method="script", **shared)
    assert "padding changes" in report.warnings[0], "what is halved beside a longer row"
    report = write(make(1000), tmp_path, method="script", overwrite=True, **shared)
    assert report.cosine > 0.9999
    assert len(report.warnings) == (make is dynamic), report.warnings
    assert make is not dynamic or "dynamic quantization" in report.warnings[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is not JSON"),
        ("\x00\x01", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "has an object 'model'"),
        ('{"model": "BPE"}', "has an object 'model'"),
        ('{"model": {"type": "Magic", "vocab": {}}}', "model is of the type 'Magic'"),
        ('{"model": {"type": "WordLevel", "vocab": {"a": 0}}}', "has no unk_token"),
        ('{"model": {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a"}}', "has no continuing_subword_prefix"),
        ('{"model": {"type": "WordLevel", "vocab": {"a": -1}, "unk_token": "a"}}', "-1 is not the id"),
        ('{"model": {"type": "BPE", "vocab": {"a": 0}}}', "'merges'"),
        (
            '{"added_tokens": [{"id": 1, "content": "b"}], "model": {"type": "BPE", "vocab": {}, "merges": []}}',
            "single_word",
        ),
        ('{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}}', "needs the token 'ab'"),
        ('{"model": {"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": 4}}', "unk_id is 4"),
        (
            json.dumps({"model": {"type": "Unigram", "vocab": [["a" * 2_000, -1.0]], "unk_id": 0}}),
            "longer than 1024 bytes",
        ),
        (
            json.dumps(
                {
                    "model": {
                        "type": "WordPiece",
                        "vocab": {"a": 0},
                        "unk_token": "a",
                        "continuing_subword_prefix": "##",
                        "max_input_chars_per_word": 100_000,
                    }
                }
            ),
            "set it to 100",
        ),
        ('{"version": "2.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}', "version is '2.0'"),
        ('{"normalizer": {"type": "Upper"}, "model": {"type": "BPE", "vocab": {}, "merges": []}}', "normalizer is of"),
    ],
)
def test_tokenizers_that_cannot_be_loaded_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(export.ExportError, match=message):
        export.TextInput(path)


def test_a_template_may_only_use_tokens_that_it_lists(tmp_path: Path) -> None:
    single = [{"SpecialToken": {"id": "[X]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    template = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}
    with pytest.raises(export.ExportError, match=r"puts '\[X\]' into texts"):
        export.TextInput(tokenizer(tmp_path, post_processor=template))
    template["special_tokens"] = {"[X]": {"id": "[X]", "ids": [5, 6], "tokens": ["a", "b"]}}
    assert export.TextInput(tokenizer(tmp_path, post_processor=template)).shortest == 2
    with pytest.raises(export.ExportError, match="leaves no room for text beside 2 special tokens"):
        export.TextInput(tokenizer(tmp_path, post_processor=template), max_length=2)


class FromTokenizers:
    """As `tokenizers.Tokenizer`."""

    def __init__(self, text: str) -> None:
        self._text = text

    def to_str(self) -> str:
        return self._text


class FromTransformers:
    """As a fast tokenizer of `transformers`."""

    def __init__(self, text: str) -> None:
        self.backend_tokenizer, self.model_max_length = FromTokenizers(text), 77


def test_tokenizers_come_as_files_folders_and_objects(tmp_path: Path) -> None:
    path = tokenizer(tmp_path)
    text = path.read_text(encoding="utf-8")
    for source in (path, str(path), tmp_path, str(tmp_path), FromTokenizers(text), FromTransformers(text)):
        item = export.TextInput(source)
        assert json.loads(item.loaded.content) == json.loads(text)
        assert item.longest == (77 if isinstance(source, FromTransformers) else None)
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "vocab.txt").write_text("[UNK]")
    with pytest.raises(export.ExportError, match=r"no tokenizer\.json \(it has vocab\.txt\).*save_pretrained"):
        export.TextInput(tmp_path / "slow")
    with pytest.raises(export.ExportError, match=r"not a dict.*save_pretrained"):
        export.TextInput({"a": 1})


class Looked(nn.Module):
    """A vector for each id from 1000 to 1007."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.table(x - 1000)


def test_ids_are_drawn_from_what_the_input_takes(tmp_path: Path) -> None:
    def ids(**limits: int) -> export.ExportReport:
        return write(
            Looked(), tmp_path / "ids", inputs=[export.TensorInput("x", [], dtype="i64", **limits)], quiet=True
        )

    with pytest.raises(
        export.ExportError, match=r"index out of range.*TensorInput\(name, shape, dtype, min=…, max=…\)"
    ):
        ids()
    assert not ids(min=1000, max=1007).warnings
