"""Classification and regression: tokens, truncation, drawing, and scoring with models whose outputs are known."""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from balora.errors import ConfigError, ModelError, TrainingError
from balora.tasks.catalogue import TASKS
from balora.tasks.collate import Collator
from balora.tasks.config import DataConfig
from balora.tasks.nlu import evaluate_nlu, prepare_nlu
from balora.tasks.prepared import Prepared

WORDS = {word: number for number, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"abcdefgh"])}


def bert_like() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def gpt2_like() -> PreTrainedTokenizerFast:
    """Bytes, no special token around a text, and the end token in the place of a padding token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|end|>": 0} | {byte: number for number, byte in enumerate(alphabet, 1)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", model_input_names=["input_ids", "attention_mask"]
    )


def write(folder: Path, train: str, validation: str = "") -> DataConfig:
    (folder / "train.tsv").write_text(train)
    (folder / "dev.tsv").write_text(validation or train)
    return DataConfig(folder=str(folder))


RTE = "sentence1\tsentence2\tlabel\na b\tc\tentailment\nd\te f g\tnot_entailment\n"
SST2 = "sentence\tlabel\n" + "".join(f"{word}\t{number % 2}\n" for number, word in enumerate("abcdefgh"))
STSB = "sentence1\tsentence2\tscore\na\tb\t2.5\nc d\te\t5\n"


def test_a_pair_becomes_tokens(tmp_path: Path) -> None:
    prepared = prepare_nlu(TASKS["rte"], write(tmp_path, RTE), bert_like(), seed=0)
    assert prepared.train == prepared.eval
    assert prepared.train[0] == {
        "input_ids": [1, 4, 5, 2, 6, 2],
        "token_type_ids": [0, 0, 0, 0, 1, 1],
        "attention_mask": [1] * 6,
        "labels": 0,
        "index": 0,
    }
    assert prepared.train[1]["labels"] == 1
    assert (prepared.pad_id, prepared.task.labels) == (0, ("entailment", "not_entailment"))


def test_a_line_end_parts_a_pair_where_the_tokenizer_would_run_it_together(tmp_path: Path) -> None:
    tokenizer = gpt2_like()
    prepared = prepare_nlu(TASKS["rte"], write(tmp_path, RTE), tokenizer, seed=0)
    assert tokenizer.decode(prepared.train[0]["input_ids"]) == "a b\nc"
    assert "token_type_ids" not in prepared.train[0]
    assert prepared.pad_id == 0


def test_regression_labels_are_numbers(tmp_path: Path) -> None:
    prepared = prepare_nlu(TASKS["stsb"], write(tmp_path, STSB), bert_like(), seed=0)
    assert [row["labels"] for row in prepared.train] == [2.5, 5.0]
    batch = Collator(0)(prepared.train)
    assert batch["labels"].dtype == torch.float32
    assert prepared.task.labels == ()


def test_long_rows_are_cut_to_the_limit_and_counted(tmp_path: Path) -> None:
    data = write(tmp_path, RTE).replace(max_length=6)
    prepared = prepare_nlu(TASKS["rte"], data, bert_like(), seed=0)
    assert [row["input_ids"] for row in prepared.train] == [[1, 4, 5, 2, 6, 2], [1, 7, 2, 8, 9, 2]]
    assert prepared.notes[0] == "1 of 2 training rows are longer than data.max_length = 6 and were truncated"
    cut = prepare_nlu(TASKS["rte"], data, bert_like(), seed=0, max_positions=5)
    assert cut.notes[1] == "2 of 2 evaluation rows are longer than the model's 5 positions and were truncated"
    assert max(len(row["input_ids"]) for row in cut.train + cut.eval) == 5


def test_a_limit_without_room_for_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        prepare_nlu(TASKS["rte"], write(tmp_path, RTE).replace(max_length=3), bert_like(), seed=0)
    assert str(caught.value) == (
        "data.max_length = 3: every row needs at least 4 tokens (special tokens and one of text): raise it"
    )


def test_drawn_rows_depend_on_the_seed_alone(tmp_path: Path) -> None:
    data = write(tmp_path, SST2).replace(train_rows=3, eval_rows=2)

    def drawn(seed: int) -> list[int]:
        random.seed(seed * 7)
        torch.manual_seed(seed * 5)
        before = random.getstate()
        prepared = prepare_nlu(TASKS["sst2"], data, bert_like(), seed=seed)
        assert random.getstate() == before
        assert [row["index"] for row in prepared.train] == [0, 1, 2]
        assert [row["input_ids"][1] for row in prepared.eval] == [4, 5]
        return [row["input_ids"][1] for row in prepared.train]

    samples = {seed: drawn(seed) for seed in range(20)}
    assert samples == {seed: drawn(seed) for seed in range(20)}
    assert all(len(set(sample)) == 3 and sample == sorted(sample) for sample in samples.values())
    assert set().union(*samples.values()) == set(range(4, 12))


def test_rows_asked_for_beyond_the_file_are_noted(tmp_path: Path) -> None:
    data = write(tmp_path, SST2).replace(train_rows=9, eval_rows=1000)
    prepared = prepare_nlu(TASKS["sst2"], data, bert_like(), seed=0)
    assert len(prepared.train) == len(prepared.eval) == 8
    assert prepared.notes[:2] == [
        "data.eval_rows is 1,000, but the split has 8 rows: all are used",
        "data.train_rows is 9, but the split has 8 rows: all are used",
    ]


def test_repeated_rows_and_rows_seen_in_training_are_noted(tmp_path: Path) -> None:
    data = write(tmp_path, "sentence\tlabel\na\t1\nb\t0\na\t0\n", "sentence\tlabel\nb\t1\nc\t1\n")
    assert prepare_nlu(TASKS["sst2"], data, bert_like(), seed=0).notes == [
        "1 of 3 training rows repeat the text of an earlier one",
        "1 of 2 evaluation rows have a text that is also trained on",
    ]


class Oracle(nn.Module):
    """Answers with fixed logits per first word of a row, so that a test knows every prediction."""

    def __init__(self, answer: Callable[[int], list[float]]) -> None:
        super().__init__()
        self.answer, self.weight = answer, nn.Parameter(torch.zeros(1))
        self.frozen = nn.Dropout()
        self.batches: list[tuple[int, ...]] = []

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Any:
        assert not self.training
        assert not torch.is_grad_enabled()
        assert torch.equal(attention_mask.bool(), input_ids != 0)
        self.batches.append(tuple(input_ids.shape))
        return SimpleNamespace(logits=torch.tensor([self.answer(int(row[1])) for row in input_ids]))


def test_evaluation_puts_rows_back_in_order_and_modules_back_in_their_modes(tmp_path: Path) -> None:
    table = "sentence1\tsentence2\tlabel\n" + "".join(
        f"{word}{' h' * (number % 3)}\tb\t{number % 2}\n" for number, word in enumerate("abcdefg")
    )
    prepared = prepare_nlu(TASKS["mrpc"], write(tmp_path, table), bert_like(), seed=0)
    model = Oracle(lambda word: [0.0, 1.0] if word in (5, 7, 8) else [1.0, 0.0]).train()  # b, d, e are called 1
    model.frozen.eval()
    seen: list[tuple[int, int]] = []
    result = evaluate_nlu(model, prepared, batch_size=3, on_rows=lambda *done: seen.append(done))
    assert [item["prediction"] for item in result.items] == [0, 1, 0, 1, 1, 0, 0]
    assert result.items[4] == {"index": 4, "prediction": 1, "label": 0, "correct": False}
    assert result.metrics == pytest.approx({"accuracy": 5 / 7, "f1": 4 / 6})
    assert result.score == pytest.approx(500 / 7)
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert model.batches == [(3, 7), (3, 6), (1, 5)]
    assert model.training
    assert not model.frozen.training


def test_regression_is_scored_by_its_number(tmp_path: Path) -> None:
    prepared = prepare_nlu(TASKS["stsb"], write(tmp_path, STSB), bert_like(), seed=0)
    result = evaluate_nlu(Oracle(lambda word: [float(word)]), prepared, batch_size=8)
    assert result.items[0] == {"index": 0, "prediction": 4.0, "label": 2.5, "score": -2.25}
    assert result.metrics["pearson"] == pytest.approx(1.0)
    assert result.score == pytest.approx(100.0)


def test_a_head_of_another_size_is_refused(tmp_path: Path) -> None:
    prepared = prepare_nlu(TASKS["rte"], write(tmp_path, RTE), bert_like(), seed=0)
    with pytest.raises(ModelError) as caught:
        evaluate_nlu(Oracle(lambda word: [0.0, 1.0, 2.0]), prepared, batch_size=8)
    assert str(caught.value) == "task 'rte' needs 2 outputs, the model's head has 3: load it with num_labels=2"


def test_an_output_that_is_not_finite_stops_the_evaluation(tmp_path: Path) -> None:
    prepared = prepare_nlu(TASKS["rte"], write(tmp_path, RTE), bert_like(), seed=0)
    model = Oracle(lambda word: [float("nan"), 1.0] if word == 7 else [0.0, 1.0]).train()
    with pytest.raises(TrainingError) as caught:
        evaluate_nlu(model, prepared, batch_size=1)
    assert str(caught.value) == ("the model's output for evaluation row 2 of task 'rte' is not finite: [nan, 1.0]")
    assert model.training


def test_padding_is_at_the_right_and_masked_by_position() -> None:
    rows = [
        {"input_ids": [5, 0], "attention_mask": [1, 1], "labels": [-100, 0], "index": 3, "prompt_ids": [5]},
        {"input_ids": [5, 6, 0], "attention_mask": [1, 1, 1], "labels": [-100, 6, 0], "index": 1, "answer": "x"},
    ]
    batch = Collator(pad_id=0)(rows)  # the padding token is the end token
    assert {name: value.tolist() for name, value in batch.items()} == {
        "input_ids": [[5, 0, 0], [5, 6, 0]],
        "attention_mask": [[1, 1, 0], [1, 1, 1]],
        "labels": [[-100, 0, -100], [-100, 6, 0]],
        "index": [3, 1],
    }


def test_scoring_alone_needs_no_training_split(tmp_path: Path) -> None:
    data = write(tmp_path, RTE).replace(train_rows=9)
    whole = prepare_nlu(TASKS["rte"], data, bert_like(), seed=0)
    (tmp_path / "train.tsv").unlink()
    prepared = prepare_nlu(TASKS["rte"], data, bert_like(), seed=0, train=False)
    assert isinstance(prepared, Prepared)
    assert (prepared.train, prepared.eval, prepared.notes) == ([], whole.eval, [])
