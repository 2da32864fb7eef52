"""Convert all-MiniLM-L6-v2 as sentence-transformers stores it into a folder of transformers."""

import json
from pathlib import Path
from shutil import copyfile

from safetensors.numpy import load_file, save

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("config.json", "tokenizer_config.json", "README.md", "LICENSE.package")
NO_WEIGHT = "embeddings.position_ids"
"""The numbers 0 to 511, which older transformers stored with the weights."""


def convert(members: Path, into: Path) -> None:
    """Write the folder of the encoder: weights stay the float32 numbers that they are.

    The fixed padding to 128 tokens and the truncation to 128 leave `tokenizer.json`: who encodes decides. The
    model's licence is Apache-2.0 (see its README.md); the package adds its own, MIT, for its code.
    """
    tensors = load_file(members / "model.safetensors")
    del tensors[NO_WEIGHT]
    (into / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    tokenizer = json.loads((members / "tokenizer.json").read_bytes())
    text = json.dumps(tokenizer | {"truncation": None, "padding": None}, indent=1)
    (into / "tokenizer.json").write_text(text + "\n", encoding="ascii", newline="\n")
    for name in COPIED:
        copyfile(members / name, into / name)
    copyfile(ROOT / "LICENSE", into / "LICENSE")
