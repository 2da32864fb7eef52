"""The reference of a row is computed once, and is the live one."""

import pytest
import torch
from datasets import IterableDataset
from training_cases import adapted, answers, build, collate, examples, losses, moved, objective, trainer

from balora.adapters import frozen_copy, reference_of
from balora.training.loss import ModelLoss
from balora.training.reference.keys import ROW_KEYS, KeyedRows, row_keys
from balora.training.reference.reference_cache import ReferenceCache

CONFIG = objective("nlu", consistency=0.5)


@pytest.fixture
def passes(monkeypatch):
    """Gets longer by one with every forward pass of the reference."""
    made = []
    true = ModelLoss.frozen

    def frozen(self):
        made.append(self)
        return true(self)

    monkeypatch.setattr(ModelLoss, "frozen", frozen)
    return made


def test_every_example_once_over_several_epochs(tmp_path, passes):
    made = trainer(adapted("classifier"), CONFIG, examples(10), tmp_path, max_steps=9)  # three epochs of 4, 4, 2 rows
    made.train()
    assert len(passes) == 3
    assert len(made.model_loss.reference_cache) == 10


def test_a_causal_reference_is_live_without_a_folder(tmp_path, passes):
    made = trainer(adapted("llama"), objective("nlg", consistency=0.5), answers(8), tmp_path, max_steps=5)
    made.train()
    assert len(passes) == 5
    assert made.model_loss.reference_cache is None


def test_rows_of_a_stream_are_computed_live(tmp_path, passes):
    def stream():
        for row in examples(8):
            yield {**row, "input_ids": row["input_ids"][:3], "attention_mask": [1] * 3}

    rows = IterableDataset.from_generator(stream)
    trainer(adapted("classifier"), CONFIG, rows, tmp_path, max_steps=4).train()
    assert len(passes) == 4


def test_the_training_is_that_of_a_live_reference(tmp_path):
    known, live = adapted("classifier"), adapted("classifier")
    one = trainer(known, CONFIG, examples(10), tmp_path, max_steps=9)
    other = trainer(live, CONFIG, examples(10), tmp_path, max_steps=9)
    other.model_loss.reference_cache = None
    one.train()
    other.train()
    assert losses(one) == pytest.approx(losses(other), rel=1e-4)
    assert one.telemetry.series()[-1]["consistency"] > 1e-3


def test_values_are_those_of_the_frozen_model_after_training(tmp_path):
    model, rows = adapted("classifier"), examples(10)
    made = trainer(model, CONFIG, rows, tmp_path, max_steps=6)
    made.train()
    batch = collate(rows)
    with reference_of(model):
        live = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    known = made.model_loss.reference_cache.of(row_keys(batch, causal=False), live.device)
    torch.testing.assert_close(known, live, rtol=1e-5, atol=1e-5)


def test_the_reference_of_full_fine_tuning_too(tmp_path, passes):
    model = build("classifier")
    made = trainer(model, CONFIG, examples(8), tmp_path, max_steps=4, reference=frozen_copy(model))
    made.train()
    assert len(passes) == 2
    assert made.telemetry.series()[-1]["consistency"] > 0


@pytest.mark.parametrize("name", ["classifier", "llama"])
def test_the_base_and_the_reference_are_untouched_by_training(tmp_path, name):
    family, rows = ("nlg", answers()) if name == "llama" else ("nlu", examples())
    model = adapted(name)
    frozen = {key for key, value in model.named_parameters() if not value.requires_grad}
    base = {key: value.clone() for key, value in model.named_parameters() if key in frozen}
    inputs = {key: value for key, value in collate(rows).items() if key not in ("labels", "index")}
    with reference_of(model):
        before = model(**inputs).logits.clone()
    trainer(model, objective(family, consistency=0.5), rows, tmp_path, max_steps=5).train()
    assert len(base) > 10
    after = dict(model.named_parameters())
    assert all(torch.equal(after[key], value) for key, value in base.items())
    with reference_of(model):
        assert torch.equal(model(**inputs).logits, before)
    assert not torch.allclose(model(**inputs).logits, before)


@pytest.mark.parametrize("full", [False, True])
def test_the_reference_has_no_dropout(full):
    model = build("bert") if full else adapted("bert")
    copy = frozen_copy(model).train() if full else None
    loss, batch = ModelLoss(model.train(), CONFIG, copy), collate(examples())
    (one, known, _), (other, again, _) = (loss.read(model, batch) for _ in range(2))
    assert torch.equal(known.logits, again.logits)
    assert not torch.equal(one.logits, other.logits)  # the student does have some


def test_outputs_are_known_only_if_all_are():
    kept, here = ReferenceCache(), torch.device("cpu")
    a, b, c, none = (b"a", 1), (b"b", 2), (b"c", 1), (b"none", 0)
    outputs = torch.arange(8.0).reshape(4, 2)
    kept.keep((a, b, c, none), outputs)
    assert kept.of((c, none, b), here).tolist() == [[6.0, 7.0], [2.0, 3.0], [4.0, 5.0]]
    assert kept.of((a, (b"d", 1)), here) is None
    assert kept.of((), here) is None
    assert kept.of(None, here) is None
    kept.keep(None, outputs)
    assert len(kept) == 4
    outputs.zero_()
    assert kept.of((c,), here).tolist() == [[6.0, 7.0]]  # a copy


def test_memory_has_a_limit_too(caplog):
    kept = ReferenceCache(budget=100)
    for number in range(4):
        kept.keep(((b"%d" % number, 1),), torch.zeros(1, 10))
    assert len(kept) == 2
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "reference cache: the budget of 0 MiB is used up: the reference of further rows is computed at each step"
    ]


def test_a_row_has_one_key_in_every_batch():
    rows = answers()
    alone = [row_keys(collate([row]), causal=True)[0] for row in rows]
    assert row_keys(collate(rows), causal=True) == tuple(alone)
    assert [count for _, count in alone] == [sum(label != -100 for label in row["labels"]) for row in rows]
    assert len({digest for digest, _ in alone}) == len(rows)
    assert {count for _, count in row_keys(collate(examples()), causal=False)} == {1}


@pytest.mark.parametrize("change", ["token", "mask", "counted", "length", "extra", "renamed"])
def test_another_row_has_another_key(change):
    row = answers(2)[1]
    other = {name: value[:] if isinstance(value, list) else value for name, value in row.items()}
    if change == "token":
        other["input_ids"][1] += 1
    elif change == "mask":
        other["attention_mask"][0] = 0
    elif change == "counted":
        other["labels"][-1] = -100
    elif change == "length":
        other = {name: value + value[-1:] if isinstance(value, list) else value for name, value in other.items()}
    batch = collate([other])
    if change == "extra":
        batch["token_type_ids"] = torch.zeros_like(batch["input_ids"])
    elif change == "renamed":
        batch["another_mask"] = batch.pop("attention_mask")  # in the same place of their order
    assert row_keys(batch, causal=True)[0][0] != row_keys(collate([row]), causal=True)[0][0]


def test_padding_at_the_left_is_part_of_a_row_and_takes_nothing_from_its_end():
    batch = {"input_ids": torch.tensor([[0, 0, 5, 6], [0, 0, 5, 7], [5, 6, 0, 0]]), "labels": torch.zeros(3)}
    batch["attention_mask"] = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]])
    assert len({digest for digest, _ in row_keys(batch, causal=False)}) == 3


def test_inputs_that_have_no_positions_are_taken_whole():
    batch = collate(examples(2))
    digests = set()
    for last in (0.0, 1.0):
        for shape in ((2, 30), (2,)):
            extra = torch.zeros(shape)
            extra[..., -1] = last
            digests |= {digest for digest, _ in row_keys({**batch, "extra": extra}, causal=False)}
    assert len(digests) == 7, "four pairs, of which two share the row that is 0 in both"


def test_what_a_label_says_is_no_part_of_a_classifiers_row():
    batch = collate(examples(2))
    assert row_keys({**batch, "labels": batch["labels"] + 1}, causal=False) == row_keys(batch, causal=False)


def test_no_keys_where_rows_hold_several_examples_or_inputs_are_not_one_a_row():
    batch = collate(answers(2))
    assert ROW_KEYS not in KeyedRows(lambda rows: {**batch, "position_ids": batch["input_ids"]}, causal=True)([])
    assert row_keys({**batch, "shared": torch.zeros(5)}, causal=True) is None
    assert row_keys({"input_ids": batch["input_ids"]}, causal=True) is None


def test_a_moved_student_is_not_its_own_reference():
    model = moved(adapted("classifier"))
    terms, _, _ = ModelLoss(model, CONFIG)(model, collate(examples()))
    assert terms.consistency > 1e-3
