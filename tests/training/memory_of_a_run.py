"""As a program: estimate what a run of a random model takes, carry it out, and print both peaks in MiB as JSON."""

import json
import sys
import warnings
from pathlib import Path

import transformers as tf

from balora.training.memory import estimate_memory
from balora.training.run import run
from balora.training.spec import resolve

LENGTH = 128
SIZES = {"vocab_size": 8000, "max_position_embeddings": 256, "pad_token_id": 0}
BLOCKS = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 4, "num_attention_heads": 6}
MODELS = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**SIZES, **BLOCKS, bos_token_id=1, eos_token_id=2)),
    "bert": lambda: tf.BertForSequenceClassification(tf.BertConfig(**SIZES, **BLOCKS)),
    "gpt2": lambda: tf.GPT2LMHeadModel(
        tf.GPT2Config(vocab_size=8000, n_positions=256, n_embd=384, n_layer=4, n_head=6, bos_token_id=1, eos_token_id=2)
    ),
}


def task_file(folder: Path, family: str, tokenizer: object, rows: int = 32) -> Path:
    """Write a task whose rows are as long as they may be, and return its file."""
    text = "a" + " a" * (LENGTH // 2)
    while len(tokenizer(text + " a")["input_ids"]) < LENGTH - 12:  # type: ignore[operator]
        text += " a"
    made = [{"text": f"{text} {row % 2}", "label": f"l{row // 2 % 2}"} for row in range(rows)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    nlg = "prompt: '{label}'\nanswer: text\nscore: exact_match\n"
    nlu = "text: text\nlabel: label\nlabels: [l0, l1]\nscore: accuracy\n"
    read = "read: {file: rows.jsonl, validation: 0.5, seed: 1}\n"
    file = folder / "task.yaml"
    file.write_text(f"task: long\nfamily: {family}\n{read}{nlu if family == 'nlu' else nlg}")
    return file


def main(kind: str, method: str, checkpoint: str, folder: Path) -> None:
    tokenizer = tf.AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.save_pretrained(folder / "model")
    MODELS[kind]().save_pretrained(folder / "model")
    task = task_file(folder, "nlu" if kind == "bert" else "nlg", tokenizer)
    data = {"max_length": LENGTH, "max_new_tokens": 4}
    training = {"steps": 1, "batch_size": 16, "eval_batch_size": 16, "checkpoint_minutes": 0}
    given = {"model": str(folder / "model"), "task": str(task), "method": method, "data": data, "training": training}
    spec = resolve(given | {"adapter": None if method.startswith("full") else {"rank": 8}})
    need = estimate_memory(spec)
    record = run(spec, folder / "run")
    assert record.status == "ok", record.error
    print(record.notes, record.inactive, file=sys.stderr)
    print(json.dumps({"estimated": need.peak / 2**20, "measured": record.cost.peak_memory_mb, **need._asdict()}))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
