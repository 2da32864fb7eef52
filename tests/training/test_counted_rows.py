"""Which positions count, and that hidden states and materialised logits give the same loss (method.md §5)."""

import logging

import peft
import pytest
import torch
import torch.nn.functional as F
import transformers as tf
from training_cases import EOS, IGNORED, PAD, adapted, answers, build, collate, examples, moved, objective

from balora.adapters import AdapterConfig, attach, frozen_copy, reference_of
from balora.errors import AdapterError, InputError, ModelError
from balora.maths import consistency_kl, diversity_entropy, spectral_ratio
from balora.tasks.collate import Collator
from balora.training.loss import ModelLoss
from balora.training.rows import model_kind, next_token_rows

ALL = {"consistency": 0.5, "diversity": 0.3, "spectral": 0.7}
NLG = objective("nlg", **ALL).replace(spectral={"weight": 0.7, "k": 2, "norm": "nuclear"})
"""k = 2, because the tiny models have 16 singular values."""


def by_hand(model, batch, config):
    """The objective from the model's own logits, position by position; independent of how rows are read."""

    def rows(logits):
        counted = [
            logits[b, t] for b in range(len(logits)) for t in range(logits.shape[1] - 1) if labels[b][t + 1] != IGNORED
        ]
        return torch.stack(counted)

    labels = batch["labels"].tolist()
    tokens = torch.tensor([label for row in labels for label in row[1:] if label != IGNORED])
    fed = {name: batch[name] for name in ("input_ids", "attention_mask")}
    student = rows(model(**fed).logits)
    with reference_of(model):
        reference = rows(model(**fed).logits)
    return (
        F.cross_entropy(student, tokens)
        + config.consistency.weight * consistency_kl(student, reference, config.consistency.temperature)
        + config.diversity.weight * diversity_entropy(student, config.diversity.top_k)
        + config.spectral.weight * spectral_ratio(student, config.spectral.k, config.spectral.norm)
    )


def gradients(model, loss):
    chosen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.autograd.grad(loss, chosen)


def test_the_first_answer_token_is_in_and_the_position_after_the_end_is_out():
    # prompt 7 8, answer 9 10, end 2, padding 0: the logits at 8, 9 and 10 count, those at 7, 2 and 0 do not
    labels = torch.tensor([[IGNORED, IGNORED, 9, 10, 2, IGNORED], [IGNORED, 11, 2, IGNORED, IGNORED, IGNORED]])
    counted, tokens = next_token_rows(labels)
    assert counted.tolist() == [[False, True, True, True, False], [True, True, False, False, False]]
    assert tokens.tolist() == [9, 10, 2, 11, 2]


def test_a_label_at_the_first_position_is_predicted_by_nothing():
    counted, tokens = next_token_rows(torch.tensor([[5, 6, 7]]))
    assert counted.tolist() == [[True, True]]
    assert tokens.tolist() == [6, 7]


def test_the_end_counts_where_it_is_also_the_padding_token():
    model = adapted("llama", dtype=torch.float64)
    batch = Collator(EOS)(answers())
    rows, _, tokens = ModelLoss(model, objective("nlg")).read(model, batch)
    assert (tokens == EOS).sum() == 8  # one end a row, although the rows are filled up with the same token
    assert len(rows.hidden) == len(tokens) == sum(length for length in (1, 20, 2, 3, 17, 1, 5, 9))


def test_more_padding_changes_nothing():
    model, rows = moved(adapted("llama", dtype=torch.float64)), answers()
    loss = ModelLoss(model, NLG)
    short = collate(rows)
    long = {
        name: F.pad(value, (0, 7), value={"labels": IGNORED, "input_ids": PAD}.get(name, 0))
        if name != "index"
        else value
        for name, value in short.items()
    }
    one, other = loss(model, short)[0], loss(model, long)[0]
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-12, atol=0)
    for a, b in zip(gradients(model, one.loss), gradients(model, other.loss), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["llama", "tied", "gpt2"])
def test_hidden_states_give_the_loss_and_the_gradient_of_the_logits(name):
    model, batch = moved(adapted(name, dtype=torch.float64)), collate(answers())
    loss = ModelLoss(model, NLG)
    terms, count, _ = loss(model, batch)
    assert loss.causal_rows().fallback is None
    assert count == 58
    expected = by_hand(model, batch, NLG)
    torch.testing.assert_close(terms.loss, expected, rtol=1e-10, atol=0)
    for a, b in zip(gradients(model, terms.loss), gradients(model, expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2"])
def test_the_task_loss_is_transformers_own(name):
    model, batch = moved(adapted(name, dtype=torch.float64)), collate(answers())
    terms, count, _ = ModelLoss(model, objective("nlg"))(model, batch)
    fed = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
    theirs = model(**fed, num_items_in_batch=torch.tensor(2 * count)).loss
    # they compute the loss in float32, whatever the model's precision
    torch.testing.assert_close(terms.loss / 2, theirs, rtol=1e-6, atol=0, check_dtype=False)


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_capped_logits_under_a_term_of_the_whole_matrix_are_materialised_and_said_once(scale, caplog):
    model = moved(attach(build("gemma2", dtype=torch.float64, scale=scale), AdapterConfig(rank=2)))
    batch = collate(answers())
    with caplog.at_level(logging.WARNING, logger="balora"):
        loss = ModelLoss(model, NLG)
        terms = [loss(model, batch, norms=True) for _ in range(2)][1][0]
    said = [record.message for record in caplog.records if "materialised" in record.message]
    assert len(said) == 1
    assert "soft-capped logits are no product" in said[0]
    assert "which the spectral term on a vocabulary needs" in said[0]
    assert loss.notes() == [f"logits are materialised, since {loss.causal_rows().fallback}"]
    torch.testing.assert_close(terms.loss, by_hand(model, batch, NLG), rtol=1e-10, atol=0)


ROWWISE = NLG.replace(spectral={"weight": 0.0})
READOUTS = {
    ("granite", 1.0): (0.25, None),  # divides by its `logits_scaling` of 4
    ("cohere", 1.0): (0.0625, None),  # multiplies by its `logit_scale`
    ("gemma2", 1.0): (1.0, 30.0),
    ("gemma2", 300.0): (1.0, 30.0),  # logits beyond the cap
}


@pytest.mark.parametrize(("name", "scale"), READOUTS)
def test_scaled_and_capped_logits_are_made_from_hidden_states(name, scale):
    model = moved(attach(build(name, dtype=torch.float64, scale=scale), AdapterConfig(rank=2)))
    batch, config = collate(answers()), ROWWISE if name == "gemma2" else NLG
    loss = ModelLoss(model, config)
    terms, _, sizes = loss(model, batch, norms=True)
    assert loss.causal_rows().fallback is None
    assert loss.causal_rows().readout == READOUTS[name, scale]
    config = config.replace(spectral=config.spectral.replace(k=2))
    expected = by_hand(model, batch, config)
    torch.testing.assert_close(terms.loss, expected, rtol=1e-10, atol=0)
    for a, b in zip(gradients(model, terms.loss), gradients(model, expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)
    loss.causal_rows().fallback = "compared with logits"
    for term, size in loss(model, batch, norms=True)[2].items():
        torch.testing.assert_close(sizes[term], size, rtol=1e-5, atol=1e-7, msg=term)


def test_logits_of_another_make_are_materialised():
    model = moved(adapted("granite"))
    model.get_base_model().config.logits_scaling = 4.0
    loss = ModelLoss(model, NLG)
    model.get_base_model().config.logits_scaling = 3.0  # what the configuration said is not what is done
    loss(model, collate(answers()))
    assert loss.causal_rows().fallback == OTHERS


OTHERS = "the logits are not made from the last hidden state by the head, a factor and a soft cap"


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("llama", {"modules_to_save": ("lm_head",)}, "ModulesToSaveWrapper"),
        ("llama", {"target_modules": ("q_proj", "lm_head")}, "adapted or not a plain linear layer"),
    ],
)
def test_a_trained_or_adapted_head_is_materialised(name, more, reason, caplog):
    model = moved(adapted(name, dtype=torch.float64, **more))
    batch = collate(answers())
    loss = ModelLoss(model, NLG)
    assert reason in caplog.text
    torch.testing.assert_close(loss(model, batch)[0].loss, by_hand(model, batch, NLG), rtol=1e-10, atol=0)


def test_full_fine_tuning_with_a_frozen_head_reads_its_reference_from_the_copy():
    model = build("llama", dtype=torch.float64)
    model.lm_head.requires_grad_(False)
    loss = ModelLoss(model, NLG, frozen_copy(model))
    moved(model)
    terms, _, _ = loss(model, collate(answers()), norms=True)
    assert loss.causal_rows().fallback is None
    assert terms.consistency > 1e-3


def test_a_batch_without_answers_weighs_nothing():
    model = adapted("llama")
    batch = collate(answers())
    batch["labels"] = torch.full_like(batch["labels"], IGNORED)
    terms, count, norms = ModelLoss(model, NLG)(model, batch, norms=True)
    assert (count, terms.loss.item(), norms) == (0, 0.0, {})
    assert all(torch.equal(g, torch.zeros_like(g)) for g in gradients_or_zeros(model, terms.loss))
    assert terms.inactive["consistency"] == "no rows"


def gradients_or_zeros(model, loss):
    chosen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss, chosen, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(chosen, found, strict=True)]


@pytest.mark.parametrize("name", ["llama", "granite"])
def test_bad_hidden_states_do_not_settle_how_logits_are_made(name):
    model, batch = adapted(name), collate(answers())
    loss = ModelLoss(model, objective("nlg"))
    weight = model.get_base_model().model.norm.weight
    with torch.no_grad():
        kept = weight.clone()
        weight.fill_(float("nan"))
        assert loss(model, batch)[0].task.isnan()
        assert loss.causal_rows().fallback is None
        weight.copy_(kept)
        assert loss(model, batch)[0].task.isfinite()
    assert loss.causal_rows().fallback is None
    assert loss.causal_rows().readout.scale == (0.25 if name == "granite" else 1.0)


def test_a_head_that_full_fine_tuning_trains_is_materialised():
    model, batch = build("llama", dtype=torch.float64), collate(answers())
    loss = ModelLoss(model, objective("nlg"))
    terms, _, _ = loss(model, batch)
    assert loss.causal_rows().fallback == "the output head is trained"
    assert torch.autograd.grad(terms.loss, model.lm_head.weight)[0].norm() > 1e-3


def test_one_output_is_regression_even_with_whole_numbers():
    model = moved(adapted("regressor", dtype=torch.float64))
    batch = collate(examples(6))  # classes as whole numbers
    terms, _, _ = ModelLoss(model, objective("nlu"))(model, batch)
    fed = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
    torch.testing.assert_close(terms.loss, model(**fed).loss, rtol=1e-6, atol=0)


def test_what_cannot_be_trained_is_refused():
    t5 = tf.T5ForConditionalGeneration(tf.T5Config(vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))
    with pytest.raises(ModelError, match="cannot train T5ForConditionalGeneration: give a …ForCausalLM"):
        model_kind(attach(t5, AdapterConfig(rank=1)))
    with pytest.raises(ModelError, match="full fine-tuning overwrites it: pass reference=frozen_copy"):
        ModelLoss(build("llama"), NLG)
    model = adapted("llama")
    with pytest.raises(InputError, match="the batch has no `labels`, only input_ids: give each row"):
        ModelLoss(model, NLG)(model, {"input_ids": torch.ones(1, 3, dtype=torch.long)})
    model.get_base_model().config.output_router_logits = True
    with pytest.raises(ModelError, match="adds a router loss"):
        ModelLoss(model, NLG)


@pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")
def test_an_overwritten_base_is_refused_before_training():
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights="pissa")
    model = peft.get_peft_model(build("llama"), config)
    with pytest.raises(AdapterError, match="overwrote the base"):
        ModelLoss(model, NLG)
    ModelLoss(model, objective("nlg"))  # the task loss alone needs no reference


def test_a_model_that_passes_by_its_own_backbone_gets_its_logits():
    sizes = {"hidden_size": 16, "ffn_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = tf.OPTConfig(vocab_size=31, max_position_embeddings=32, word_embed_proj_dim=16, **sizes)
    model = attach(tf.OPTForCausalLM(config).eval(), AdapterConfig(rank=2))
    tokens = torch.arange(3, 15).reshape(2, 6)
    batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": tokens}
    loss = ModelLoss(model, "ba-lora")
    assert loss(model, batch)[0].task.item() == pytest.approx(model(**batch).loss.item(), rel=1e-5)
    assert "passes by its own backbone" in loss.notes()[0]
