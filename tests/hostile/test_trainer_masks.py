"""A training without one counted row refuses; one with some rows without a label says how many, and trains on."""

import logging
from itertools import product

import pytest
import torch
from datasets import Dataset
from trainer_cases import classifier, decoder, losses, row, rows, settings, trainer
from transformers import default_data_collator
from trl import SFTConfig

from balora import BALoraSFTTrainer, DataError, ObjectiveConfig
from balora.training.counted_rows import CountedRows, without_label

pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")

NONE = torch.full((6,), -100)
FIRST = torch.tensor([5, -100, -100, -100, -100, -100])
"""A label that no position predicts."""
SOME = torch.tensor([-100, -100, 7, 8, -100, -100])
REFUSED = "of the 8 training rows has a counted label: every label is −100"


class Stream(torch.utils.data.IterableDataset):
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter(self.data)


def masking(batch):
    """A collator that finds no answer in any row, as one with the wrong template does."""
    made = default_data_collator(batch)
    return {**made, "labels": torch.full_like(made["labels"], -100)}


def label_making(batch):
    """A collator whose labels are the tokens, whatever the rows hold."""
    made = default_data_collator(batch)
    return {**made, "labels": made["input_ids"].clone()}


KINDS = {
    "masked": (decoder, [NONE] * 8, {}),
    "first position only": (decoder, [FIRST] * 8, {}),
    "both": (decoder, [NONE, FIRST] * 4, {}),
    "masked by the collator": (decoder, [SOME] * 8, {"collate": masking}),
    "without classes": (classifier, [-100] * 8, {}),
    "without classes, in a column": (classifier, [torch.tensor([-100])] * 8, {}),
}
WAYS = {
    "plain": {},
    "accumulated": {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
    "one row a step": {"per_device_train_batch_size": 1},
    "epochs": {"max_steps": -1, "num_train_epochs": 1},
}


@pytest.mark.parametrize(("kind", "way"), [*product(KINDS, WAYS)])
def test_a_training_without_one_counted_row_is_refused_before_its_first_step(kind, way, tmp_path):
    build, labels, more = KINDS[kind]
    made = trainer(build(), rows(labels), tmp_path, "ba-lora" if way == "plain" else None, **WAYS[way], **more)
    with pytest.raises(DataError, match=f"^none {REFUSED}") as caught:
        made.train()
    assert "\n" not in str(caught.value)
    assert made.state.global_step == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_without_one_counted_row_is_refused_at_the_end(kind, tmp_path, caplog):
    build, labels, more = KINDS[kind]
    made = trainer(build(), Stream(rows(labels)), tmp_path, **more)
    with pytest.raises(DataError, match=r"^none of the 8 rows seen in training has a counted label"):
        made.train()
    assert "the first rows have no counted label" in caplog.text


SPARSE = {
    "the first row": (decoder, [NONE, *[SOME] * 7], 1),
    "all but the last": (decoder, [*[FIRST] * 7, SOME], 7),
    "classes": (classifier, [-100, -100, -100, -100, 1, 2, -100, 0], 5),
}


@pytest.mark.parametrize(("kind", "streamed"), [*product(SPARSE, (False, True))])
def test_some_rows_without_a_label_are_said_and_the_rest_is_trained_on(kind, streamed, tmp_path, caplog):
    build, labels, empty = SPARSE[kind]
    data = Stream(rows(labels)) if streamed else rows(labels)
    made = trainer(build(), data, tmp_path, "none", train_sampling_strategy="sequential")
    with caplog.at_level(logging.WARNING, logger="balora"):
        made.train()
    assert f"{empty} of the 8 rows seen in training have no counted label: they teach nothing" in caplog.text
    assert made.state.global_step == 2
    assert max(losses(made)) > 0


def test_a_collator_that_makes_labels_is_believed_and_not_the_rows(tmp_path, caplog):
    made = trainer(decoder(), rows([NONE] * 8), tmp_path, collate=label_making)
    made.train()
    assert min(losses(made)) > 0
    assert "no counted label" not in caplog.text


def test_a_training_of_labelled_rows_says_nothing(tmp_path, caplog):
    trainer(decoder(), rows([SOME] * 8), tmp_path).train()
    assert "no counted label" not in caplog.text


def test_a_second_training_counts_anew(tmp_path):
    made = trainer(decoder(), rows([SOME] * 8), tmp_path)
    made.train()
    made.train_dataset = rows([NONE] * 8)
    with pytest.raises(DataError, match=REFUSED):
        made.train()


TRL = {
    "masked": ([NONE] * 8, {"max_length": None}, "none of the 8 training rows has a counted label"),
    "first position only": ([FIRST] * 8, {"max_length": None}, "none of the 8 training rows has a counted label"),
    "packed": ([NONE] * 8, {"packing": True, "packing_strategy": "wrapped"}, "training rows has a counted label"),
    "dropped by TRL": ([NONE] * 8, {}, "the training data has no rows"),
}


@pytest.mark.parametrize("case", TRL)
def test_trls_rows_are_counted_alike(case, tmp_path, checkpoint):
    from transformers import AutoTokenizer

    labels, changes, words = TRL[case]
    ids = row(0)["input_ids"].tolist()
    data = Dataset.from_list([{"input_ids": ids, "labels": one.tolist()} for one in labels])
    given = settings(tmp_path, bf16=False, gradient_checkpointing=False, **{"max_length": 32, **changes})
    made = BALoraSFTTrainer(
        decoder(), SFTConfig(**given), train_dataset=data, processing_class=AutoTokenizer.from_pretrained(checkpoint)
    )
    with pytest.raises(DataError, match=words):
        made.train()
    assert made.state.global_step == 0


def test_counting_by_hand():
    labels = torch.stack([NONE, FIRST, SOME])
    assert without_label(labels).tolist() == [True, True, False]
    counted = CountedRows()
    counted.add(labels, 2, causal=True)
    counted.add(torch.tensor([-100, 1, 2]), 2, causal=False)
    assert (counted.rows, counted.counted) == (6, 4)
    assert counted.notes() == ["3 of the 6 rows seen in training have no counted label: they teach nothing"]


def test_the_published_objective_is_unchanged_by_masked_rows(tmp_path):
    """Rows without a label add nothing to a step: its loss is that of the other rows alone."""
    config = ObjectiveConfig.preset("ba-lora", family="nlg")
    one = trainer(decoder(), rows([SOME] * 2), tmp_path, config, max_steps=1, per_device_train_batch_size=2)
    data = [*rows([SOME] * 2), row(NONE, 8), row(FIRST, 9)]
    other = trainer(decoder(), data, tmp_path, config, max_steps=1)
    for made in (one, other):
        made.train()
    assert losses(one) == pytest.approx(losses(other), rel=1e-5)
