"""`python -m flambeau.export hf ./folder --out …`: the model's own files say everything; if not, the message names an option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomllib
import torch
import torchvision
import transformers as hf

import library_models
import library_sounds
import support
from flambeau.export.cli import main

CARD = "---\nlicense: apache-2.0\n---\n# A model\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(folder: Path, *parts: Any, card: str | None = CARD) -> Path:
    """The folder of a model with its tokenizer or processor, as the library saves them."""
    for part in parts:
        part.save_pretrained(folder)
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def manifest(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))


def test_a_text_classifier(here: Path) -> None:
    saved(here / "moods", library_models.moods(), library_models.tokenizer(types=True))
    assert (here / "moods" / "model.safetensors").is_file()
    environment = support.environment(PYTHONPATH=str(support.ROOT / "python"))
    command = [sys.executable, "-m", "flambeau.export", "hf", "./moods", "--out", "packages/moods"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=here)
    assert done.returncode == 0, done.stderr
    assert "parity with the eager module" in done.stdout
    written = manifest(here / "packages" / "moods")
    assert (written["name"], written["license"]) == ("moods", "Apache-2.0")
    assert written["input"][0]["text"]["max_length"] == 24
    assert written["output"][0]["activation"] == "sigmoid"
    labels = (here / "packages" / "moods" / "labels.txt").read_text(encoding="utf-8")
    assert labels.splitlines() == ["happy", "sad", "lazy"]


def test_features_of_a_model_with_a_head(here: Path) -> None:
    saved(here / "moods", library_models.moods(), library_models.tokenizer(types=True))
    assert main(["hf", "moods", "--pooling", "mean", "--max-length", "12", "--out", "mean", "--name", "words"]) == 0
    written = manifest(here / "mean")
    assert written["name"] == "words" and written["input"][0]["text"]["max_length"] == 12
    assert [(output["role"], output["shape"]) for output in written["output"]] == [("features", [32])]


def test_a_model_of_sounds(here: Path) -> None:
    network = hf.HubertForSequenceClassification(hf.HubertConfig(**library_sounds.WAVES, id2label={0: "dog", 1: "cat"}))
    saved(here / "barks", network, hf.Wav2Vec2FeatureExtractor(sampling_rate=8000))
    rate = ["--sample-rate", "8000", "--max-seconds", "4"]
    assert main(["hf", "barks", *rate, "--out", "out", "--license", "MIT"]) == 0
    written = manifest(here / "out")
    assert written["license"] == "MIT"
    assert (written["input"][0]["audio"]["sample_rate"], written["input"][0]["audio"]["max_seconds"]) == (8000, 4.0)
    assert (here / "out" / "labels.txt").read_text(encoding="utf-8") == "dog\ncat\n"


def test_spectrograms_have_the_extractors_window(here: Path) -> None:
    network = hf.WhisperForConditionalGeneration(hf.WhisperConfig(**library_sounds.WHISPER))
    saved(here / "whisper", network, hf.WhisperFeatureExtractor(chunk_length=3))
    assert main(["hf", "whisper", "--pooling", "mean", "--out", "out", "--precision", "bf16"]) == 0
    written = manifest(here / "out")
    assert written["variant"][0]["precision"] == "bf16" and written["variant"][0]["cosine"] > 0.9
    audio = written["input"][0]["audio"]
    assert (audio["sample_rate"], audio["window_samples"], audio["pool"]) == (16_000, 48_000, "first")


def test_a_folder_of_sentence_transformers_says_its_pooling(here: Path) -> None:
    library_models.sentences(here / "source")
    assert main(["hf", "source", "--out", "hf"]) == 0
    assert main(["sentence-transformers", "source", "--out", "sentences", "--max-length", "10"]) == 0
    one, other = manifest(here / "hf"), manifest(here / "sentences")
    assert one["output"] == other["output"] and one["license"] == other["license"] == "MIT"
    assert (one["input"][0]["text"]["max_length"], other["input"][0]["text"]["max_length"]) == (24, 10)


def test_a_folder_of_timm(here: Path) -> None:
    import timm

    network = timm.create_model("mobilenetv3_small_050", num_classes=3)
    timm.models.save_for_hf(network, "birds", model_config={"label_names": ["owl", "crow", "wren"]})
    assert main(["timm", "birds", "--out", "out"]) == 0
    written = manifest(here / "out")
    assert written["license"] == "Apache-2.0" and written["input"][0]["image"]["resize"] == 256
    assert (here / "out" / "labels.txt").read_text(encoding="utf-8") == "owl\ncrow\nwren\n"


def test_a_model_of_torchvision(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(here / "home"))
    network = torchvision.models.squeezenet1_1(weights=None)
    url = torchvision.models.get_model_weights("squeezenet1_1")["DEFAULT"].url
    kept = here / "home" / "hub" / "checkpoints" / url.rpartition("/")[2]
    kept.parent.mkdir(parents=True)
    torch.save(network.state_dict(), kept)  # random weights where torchvision keeps those that it downloaded
    own = ["--resize", "64x48", "--interpolation", "nearest"]
    assert main(["torchvision", "squeezenet1_1", "--license", "BSD-3-Clause", "--out", "out", *own]) == 0
    written = manifest(here / "out")
    assert written["input"][0]["image"]["resize"] == [64, 48] and "crop" not in written["input"][0]["image"]
    assert len((here / "out" / "labels.txt").read_text(encoding="utf-8").splitlines()) == 1000


def test_what_is_missing_is_asked_for_by_the_name_of_its_option(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = library_models.tokenizer(types=True)
    bert = library_models.plain("BertModel", "BertConfig")
    saved(here / "bert", bert, words, card=None)
    saved(here / "bare", bert)
    saved(here / "clip", library_models.clip(), words)
    sized = {"size": {"shortest_edge": 36}, "do_center_crop": False}
    vit = hf.ViTForImageClassification(hf.ViTConfig(**library_models.VISION))
    saved(here / "vit", vit, hf.BitImageProcessor(**sized))
    saved(here / "blind", vit)
    sounds = hf.Wav2Vec2Model(hf.Wav2Vec2Config(**library_sounds.WAVES))
    saved(here / "deaf", sounds, hf.Wav2Vec2FeatureExtractor(sampling_rate=8000))
    cases = [
        (["hf", "bert"], "with --pooling one of mean, cls, last, pooler"),
        (["hf", "bert", "--pooling", "mean"], "do not say the license of its weights: give --license as an SPDX"),
        (["hf", "bare", "--pooling", "mean"], "the tokenizer of bare has no words: give --tokenizer"),
        (["hf", "clip"], "CLIPModel has two towers: give --tower text or --tower image"),
        (["hf", "bert", "--tower", "text"], "BertModel has no towers: leave out --tower"),
        (["hf", "vit"], "give --resize, --crop and the other options of images with --resize or --crop"),
        (["hf", "vit", "--mean", "0,0,0"], "an image input needs --crop, or an exact --resize (height, width)"),
        (["hf", "blind"], "blind has no processor"),
        (["hf", "blind"], "give --processor"),
        (["hf", "deaf", "--pooling", "mean", "--max-seconds", "9"], "give --sample-rate 8000"),
        (["hf", "./absent"], "there is no folder ./absent"),
        (["timm", "nosuchnet"], "timm cannot load 'nosuchnet'"),
        (["torchvision", "nosuchnet"], "torchvision has no model 'nosuchnet'"),
        (["torchvision", "resnet18", "--weights", "best"], "give --weights one of IMAGENET1K_V1, DEFAULT"),
    ]
    for arguments, message in cases:
        assert main([*arguments, "--out", "out"]) == 1, arguments
        said = capsys.readouterr().err.splitlines()[-1]  # after transformers' progress bars
        assert said.startswith("flambeau.export: ") and message in said, (arguments, said)
        assert not (here / "out").exists()


def test_a_library_that_is_not_installed_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert main(["timm", "resnet18", "--out", "out"]) == 1
    assert "timm needs the package timm, which is not installed here" in capsys.readouterr().err


def test_help_names_the_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    page = capsys.readouterr().out
    for name in ("hf", "sentence-transformers", "timm", "torchvision"):
        assert f"python -m flambeau.export {name} " in page
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert "(needed if the model's files do not say it)" in " ".join(capsys.readouterr().out.split())
