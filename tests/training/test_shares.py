"""λ of a term with a share is the one at which the term has this share of the gradient at the last hidden state."""

import pytest
import torch
from training_cases import adapted, answers, arguments, build, collate, examples, trained_weights, trainer

from balora.adapters import frozen_copy
from balora.errors import ConfigError, InputError, TrainingError
from balora.maths import consistency_kl, consistency_mse
from balora.objective import Objective, ObjectiveConfig
from balora.training import shares
from balora.training.loss import ModelLoss
from balora.training.rows import Rows, base_of, next_token_rows
from balora.training.shares import set_shares, shared_config, start_sizes, weights_for_shares
from balora.training.trainer import BALoraTrainer

SEED = 7
MODELS = {
    "hidden": ("llama", {}, answers(6)),
    "logits": ("llama", {"target_modules": ["q_proj", "lm_head"]}, answers(6)),
    "classifier": ("classifier", {}, examples(9)),
    "encoder": ("still-bert", {}, examples(9)),
}


def batches(rows, size=3):
    return [collate(rows[start : start + size]) for start in range(0, len(rows), size)]


def config_of(family, edition="iclr-2026", formulation=None, **terms):
    """All terms off but those given, whose schedule is constant; a covariance and spectrum of three classes can act."""
    config = ObjectiveConfig.preset("none", family=family, edition=edition, formulation=formulation)
    given = {name: {"schedule": "constant", **settings} for name, settings in terms.items()}
    if family == "nlu" and "spectral" in given:
        given["spectral"]["k"] = 2
    return config.replace(**{name: getattr(config, name).replace(**settings) for name, settings in given.items()})


def consistency_size(model, batch, config, noise):
    """‖∂consistency/∂H‖ at outputs moved by ``noise`` standard deviations, by plain autograd; and the noise's shape."""
    base, form = base_of(model), config.consistency
    hidden = []
    hook = base.base_model.register_forward_hook(lambda module, args, output: hidden.append(output[0]))
    outputs = model(**{key: batch[key] for key in ("input_ids", "attention_mask")}).logits
    hook.remove()
    at, read = hidden[0], lambda rows: rows
    if config.family == "nlg":
        counted, _ = next_token_rows(batch["labels"])
        outputs = outputs[:, :-1][counted]
        if type(base.lm_head) is torch.nn.Linear:
            outputs, read = at[:, :-1][counted].detach(), base.lm_head
            at = outputs.requires_grad_()
    drawn = torch.randn(outputs.shape, generator=noise)
    moved = outputs + shares.DISTANCE * outputs.detach().std() * drawn
    student, reference = read(moved), read(outputs).detach()
    value = consistency_kl(student, reference, form.temperature) if form.form == "kl" else None
    value = consistency_mse(student, reference) if value is None else value
    return torch.autograd.grad(value, at)[0].norm().item()


def measured_shares(name, config, rows):
    """Each term's share on the batches: the gradients as telemetry gets them, consistency's by plain autograd."""
    kind, more, _ = MODELS[name]
    model = adapted(kind, **more)
    loss, noise = ModelLoss(model, config), torch.Generator().manual_seed(SEED)
    sizes = {}
    for batch in batches(rows):
        _, _, norms = loss(model, batch, norms=True)
        size = config.consistency.weight * consistency_size(model, batch, config, noise)
        for term, norm in {**norms, "consistency": size}.items():
            sizes[term] = sizes.get(term, 0.0) + float(norm)
    return {term: size / sum(sizes.values()) for term, size in sizes.items()}


def test_one_term_by_hand():
    assert weights_for_shares({"task": 9.0, "a": 2.0}, {"a": 0.1}, {}) == pytest.approx({"a": 0.5})


def test_two_terms_beside_a_fixed_one_by_hand():
    sizes = {"task": 8.0, "a": 2.0, "b": 4.0, "c": 1.0}
    found = weights_for_shares(sizes, {"a": 0.1, "b": 0.4}, {"c": 2.0})  # T = (8 + 2) / 0.5 = 20
    assert found == pytest.approx({"a": 1.0, "b": 2.0})


def test_one_row_of_two_classes_by_hand():
    """Logits (log 3, 0) and label 1: ∂task/∂z = p − e_1 = (¾, −¾)."""
    logits = torch.tensor([[3.0, 1.0]]).log()
    config = ObjectiveConfig.preset("none", family="nlu", formulation="nlg")
    loss = ModelLoss(adapted("classifier"), config)
    given = (Rows(logits=logits), torch.tensor([1]), torch.Generator(), 1.0)
    task = shares.gradient_sizes(loss, shares.alone(config, "task"), *given)
    both = shares.gradient_sizes(loss, shares.alone(config, "diversity"), *given)
    assert task == pytest.approx({"task": 0.75 * 2**0.5})
    # −H = Σ p·log p has the gradient p_i·(log p_i + H), here ±¾·¼·log 3
    assert both == pytest.approx({"task": 0.75 * 2**0.5, "diversity": 0.1875 * 1.0986123 * 2**0.5}, rel=1e-6)


CASES = [
    ({"consistency": {"share": 0.2}}, {"consistency": 0.2}),
    ({"diversity": {"share": 0.3}, "consistency": {"share": 0.05}}, {"diversity": 0.3, "consistency": 0.05}),
    (
        {"diversity": {"share": 0.1}, "consistency": {"share": 0.2}, "spectral": {"share": 0.3}},
        {"diversity": 0.1, "consistency": 0.2, "spectral": 0.3},
    ),
    (
        {"diversity": {"share": 0.1}, "consistency": {"weight": 0.3}, "spectral": {"weight": 0.5}},
        {"diversity": 0.1},
    ),
]


@pytest.mark.parametrize(("terms", "targets"), CASES, ids=["one", "two", "three", "beside-fixed"])
@pytest.mark.parametrize("name", MODELS)
def test_the_share_measured_afterwards_is_the_target(name, terms, targets):
    kind, more, rows = MODELS[name]
    config = config_of("nlg" if kind == "llama" else "nlu", **terms)
    loss = ModelLoss(adapted(kind, **more), config)
    found, notes = shared_config(loss, batches(rows), SEED)
    assert (loss.causal_rows().fallback is None) == (name == "hidden") if kind == "llama" else True
    assert found.shares == {}
    measured = measured_shares(name, found, rows)
    assert {term: measured[term] for term in targets} == pytest.approx(targets, rel=1e-4)
    fixed = {term: settings["weight"] for term, settings in terms.items() if "weight" in settings}
    assert {term: getattr(found, term).weight for term in fixed} == fixed
    assert len(notes) == len(targets)


@pytest.mark.parametrize(("family", "edition"), [("nlg", "arxiv-v5"), ("nlu", "arxiv-v5"), ("nlu", "iclr-2026")])
def test_the_share_is_reached_with_the_other_familys_formulas_too(family, edition):
    name, other = ("hidden", "nlu") if family == "nlg" else ("classifier", "nlg")
    terms = {"diversity": {"share": 0.1}, "consistency": {"share": 0.2}}
    config = config_of(family, edition, other, **terms)
    rows = MODELS[name][2]
    found, _ = shared_config(ModelLoss(adapted(MODELS[name][0]), config), batches(rows), SEED)
    measured = measured_shares(name, found, rows)
    assert (measured["diversity"], measured["consistency"]) == pytest.approx((0.1, 0.2), rel=1e-4)


def test_the_weight_is_the_full_one_whatever_the_schedule():
    terms = {"diversity": {"share": 0.1, "schedule": "two-phase"}, "consistency": {"share": 0.2, "schedule": "cosine"}}
    found, notes = shared_config(ModelLoss(adapted("llama"), config_of("nlg", **terms)), batches(answers(6)), SEED)
    constant = {name: {"share": given["share"]} for name, given in terms.items()}
    same, _ = shared_config(ModelLoss(adapted("llama"), config_of("nlg", **constant)), batches(answers(6)), SEED)
    assert found.diversity.schedule == "two-phase"
    assert found.diversity.weight == pytest.approx(same.diversity.weight)
    assert found.consistency.weight == pytest.approx(same.consistency.weight)
    assert notes == [
        f"share: λ of the {name} term is {getattr(found, name).weight:.3g} for a share of {percent} % of the gradient "
        f"on the first 2 batches (published: {published})"
        for name, percent, published in (("consistency", 20, 0.025), ("diversity", 10, 0.005))
    ]


def test_label_smoothing_and_dropout_are_those_of_training():
    config = config_of("nlu", diversity={"share": 0.1})
    plain, smooth = (ModelLoss(adapted("bert"), config, label_smoothing=epsilon) for epsilon in (0.0, 0.3))
    rows = batches(examples(9))
    assert start_sizes(smooth, rows, ["task"], SEED)["task"] < 0.95 * start_sizes(plain, rows, ["task"], SEED)["task"]
    torch.manual_seed(1)
    plain.model.eval()
    state, found = torch.get_rng_state(), shared_config(plain, rows, SEED)
    assert torch.equal(torch.get_rng_state(), state)
    assert not plain.model.training
    torch.manual_seed(2)
    assert shared_config(plain, rows, SEED) == found
    assert shared_config(plain, rows, SEED + 1)[0].diversity.weight != found[0].diversity.weight  # other dropout


def test_batches_without_a_counted_label_are_passed_over():
    config = config_of("nlg", consistency={"share": 0.1})
    empty = [{**row, "labels": [-100] * len(row["labels"])} for row in answers(3)]
    one = shared_config(ModelLoss(adapted("llama"), config), batches(answers(3)), SEED)[0]
    two = shared_config(ModelLoss(adapted("llama"), config), [*batches(empty), *batches(answers(3))], SEED)[0]
    assert one == two


UNREACHED = (
    "objective.{}.share: 10 % of the gradient cannot be reached: the {} loss has {} gradient on the first {} batc"
)


def test_a_term_or_task_without_a_gradient_is_an_error():
    config = config_of("nlu", diversity={"share": 0.1})
    with pytest.raises(TrainingError) as caught:  # the covariance of one row
        shared_config(ModelLoss(adapted("classifier"), config), batches(examples(2), 1), SEED)
    assert str(caught.value) == (
        UNREACHED.format("diversity", "diversity", "no", 2)
        + "hes: set a weight in its place, or 0 to switch the term off"
    )
    rows = [{**row, "labels": [-100] * len(row["labels"])} for row in answers(3)]
    with pytest.raises(TrainingError) as caught:
        shared_config(ModelLoss(adapted("llama"), config_of("nlg", consistency={"share": 0.1})), batches(rows), SEED)
    assert UNREACHED.format("consistency", "task", "no", 1) in str(caught.value)


def test_a_gradient_that_is_not_finite_is_an_error():
    model = adapted("classifier")
    model.get_base_model().score.modules_to_save["default"].weight.data.fill_(float("nan"))
    loss = ModelLoss(model, config_of("nlu", diversity={"share": 0.1}))
    with pytest.raises(TrainingError) as caught:
        shared_config(loss, batches(examples(6)), SEED)
    assert UNREACHED.format("diversity", "task", "no finite", 2) in str(caught.value)


@pytest.mark.parametrize("name", ["hidden", "encoder"])
def test_a_trainer_sets_the_weight_and_then_trains_as_if_it_had_been_given(tmp_path, name):
    kind, more, rows = MODELS[name]
    config = config_of("nlg" if kind == "llama" else "nlu", consistency={"share": 0.2}, diversity={"share": 0.1})
    one = trainer(adapted(kind, **more), config, rows, tmp_path)
    one.train()
    found = one.model_loss.config
    assert found == shared_config(ModelLoss(adapted(kind), config), batches(rows, 4), 5)[0]  # batch size and seed
    two = trainer(adapted(kind, **more), found, rows, tmp_path)
    two.train()
    assert all(torch.equal(value, trained_weights(two.model)[key]) for key, value in trained_weights(one.model).items())
    assert one.telemetry.series() == two.telemetry.series()
    assert set_shares(one) == []  # they are set once


def test_the_first_four_batches_count(tmp_path):
    config = config_of("nlu", diversity={"share": 0.1})
    made = trainer(adapted("classifier"), config, examples(40), tmp_path)
    (note,) = set_shares(made)
    assert "on the first 4 batches" in note
    assert (
        made.model_loss.config
        == shared_config(ModelLoss(adapted("classifier"), config), batches(examples(40)[:16], 4), 5)[0]
    )


def test_full_fine_tuning_needs_its_copy_and_sets_the_weight(tmp_path):
    config = config_of("nlu", consistency={"share": 0.2})
    with pytest.raises(InputError, match="pass reference=frozen_copy"):
        trainer(build("still-bert"), config, examples(), tmp_path)
    model = build("still-bert")
    made = trainer(model, config, examples(), tmp_path, reference=frozen_copy(model))
    made.train()
    assert made.telemetry.series()[-1]["consistency_share"] > 0


def test_a_trainer_refuses_rows_that_it_can_read_once_and_sharded_models(tmp_path):
    config = config_of("nlu", diversity={"share": 0.1})

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(examples())

    made = BALoraTrainer(
        adapted("classifier"), arguments(tmp_path), objective=config, train_dataset=Stream(), data_collator=collate
    )
    with pytest.raises(ConfigError, match=r"objective.diversity.share: streamed rows can be read once"):
        made.train()
    made = trainer(adapted("classifier"), config, examples(), tmp_path)
    made.is_fsdp_enabled = True
    with pytest.raises(ConfigError, match=r"objective.diversity.share: FSDP and DeepSpeed share out the model"):
        set_shares(made)


def test_an_objective_alone_refuses_a_share_that_nothing_has_set():
    made = Objective(config_of("nlu", diversity={"share": 0.1}))
    with pytest.raises(
        ConfigError, match=r"^objective.diversity.share = 0.1: λ is not set yet. Runs and trainers set "
    ):
        made.from_logits(torch.randn(4, 3), None, torch.zeros(4, dtype=torch.long))
