"""The rate of a run is the one at which its first steps move the outputs as far as those of PiSSA's start."""

import math

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file
from torch import nn
from training_cases import adapted, answers, build, collate, examples, objective, real_spec, trainer
from transformers.modeling_outputs import SequenceClassifierOutput

from balora.adapters import AdapterConfig, attach
from balora.errors import ConfigError, TrainingError
from balora.objective import ObjectiveConfig
from balora.training import run as run_module
from balora.training.rows import next_token_rows
from balora.training.run import run
from balora.training.spec import TrainingConfig, resolve
from balora.training.step_matching import FirstSteps, matched_rate, root_mean_square, search, weight_sharing_copy

NONE = {family: ObjectiveConfig.preset("none", family=family) for family in ("nlu", "nlg")}


def spec_of(family, *, rank=2, init="standard", rate=1e-3, seed=3, **more):
    """A specification of which the matching reads adapter and training only."""
    settings = {"task": "cola" if family == "nlu" else "gsm8k", "model": "m", "method": "lora"}
    given = {"adapter.rank": rank, "adapter.init": init, "training.learning_rate": rate, "training.seed": seed}
    given["training.step_matching"] = "pissa"
    return resolve({**settings, **given, **more})


def batches_of(rows, size=3, most=4):
    return [collate(rows[start : start + size]) for start in range(0, len(rows), size)][:most]


# The root mean square


def test_each_row_is_centred_unless_it_has_one_output():
    parts = [torch.tensor([[3.0, 1.0]]), torch.tensor([[5.0, 5.0], [0.0, 4.0]])]
    assert root_mean_square(parts) == pytest.approx(math.sqrt((1 + 1 + 0 + 0 + 4 + 4) / 6), rel=1e-15)
    assert root_mean_square([torch.tensor([[3.0], [4.0]])]) == pytest.approx(math.sqrt(12.5), rel=1e-15)
    assert root_mean_square([]) == root_mean_square([torch.zeros(0, 3)]) == 0.0


def test_a_constant_added_to_a_row_moves_nothing():
    change = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shifted = change + torch.arange(5.0).double()[:, None]
    assert root_mean_square([shifted]) == pytest.approx(root_mean_square([change]), rel=1e-12)


# The search


def watched(formula):
    tried = []
    return tried, lambda rate: tried.append(rate) or formula(rate)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("wanted", [1e-5, 3e-4, 1.9e-3, 2e-3, 2.1e-3, 0.009, 0.5, 7.9])
def test_the_search_inverts_a_power(power, wanted):
    tried, distance = watched(lambda rate: rate**power)
    found = search(distance, wanted**power, 2e-3)
    assert found == tried[-1]
    assert distance(found) == pytest.approx(wanted**power, rel=0.05)
    assert found == 2e-3 or found == float(f"{found:.3g}")
    assert len(tried) <= 1 + 1 + 6 + 2


def test_the_rate_stays_where_it_matches_already():
    tried, distance = watched(lambda rate: rate)
    assert search(distance, 0.00123456 * 1.04, 0.00123456) == 0.00123456
    assert len(tried) == 1
    assert search(distance, 0.00123456 * 1.06, 0.00123456) == pytest.approx(0.00123456 * 1.06, rel=0.05)


def test_a_bent_curve_is_found_too():
    """Flat, then steep: chords alone would creep."""
    tried, distance = watched(lambda rate: 0.9 * max(1.0, math.exp(5 * (math.log(rate / 1e-3, 4) - 0.6))))
    found = search(distance, 1.0, 1e-3)
    assert distance(found) == pytest.approx(1.0, rel=0.05)
    assert 1 + len(set(tried)) <= 12


@pytest.mark.parametrize("formula", [lambda rate: 0.0, lambda rate: 1.0, lambda rate: 3.0])
def test_no_rate_is_found_where_none_matches(formula):
    tried, distance = watched(formula)
    assert search(distance, 2.0, 1e-3) is None
    outermost = 1e-3 * 4 ** (6 if formula(0) < 2 else -6)
    assert tried[-1] == pytest.approx(outermost, rel=0.005)
    assert len(tried) == 7


def test_a_jump_over_the_target_ends_the_search():
    tried, distance = watched(lambda rate: 1.0 if rate < 0.0123 else 9.0)
    assert search(distance, 3.0, 1e-3) is None
    assert len(tried) == 12


# A layer on which Adam's first step is known


class LinearForSequenceClassification(tf.PreTrainedModel):
    """Logits W·x of one adapted layer under a head that is the identity."""

    config_class = tf.PretrainedConfig
    base_model_prefix = "body"

    def __init__(self, weight, inputs):
        super().__init__(tf.PretrainedConfig(num_labels=len(weight)))
        self.body = nn.Sequential(nn.Linear(weight.shape[1], len(weight), bias=False))
        self.score = nn.Linear(len(weight), len(weight), bias=False)
        self.register_buffer("inputs", inputs)
        with torch.no_grad():
            self.body[0].weight.copy_(weight)
            self.score.weight.copy_(torch.eye(len(weight)))

    def forward(self, input_ids, **_):
        return SequenceClassifierOutput(logits=self.score(self.body(self.inputs[input_ids[:, 0]])))


def linear():
    weight, inputs = torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 2.0]])
    return LinearForSequenceClassification(weight, inputs).double().eval()


ONE_STEP = [{"input_ids": torch.tensor([[0]]), "labels": torch.tensor([1])}]


def measured(model, start, rate, batches, config=NONE["nlu"], steps=10, **training):
    return FirstSteps(model, start, config, TrainingConfig(**training), batches, steps).distance(rate)


def test_one_step_of_pissa_by_hand():
    """A0 = √3·e1ᵀ, B0 = √3·e1, x = (1, 2), label 1: sign ∇B = (+, −), sign ∇A = (+, +).

    A1·x = √3 − 3η, so Δ = ((√3 − η)(√3 − 3η) − 3, η(√3 − 3η)), and D = |Δ_0 − Δ_1|/2 = |5√3·η − 6η²|/2.
    """
    attached = attach(linear(), AdapterConfig(rank=1), seed=3)
    expected = (5 * math.sqrt(3) * 0.1 - 6 * 0.1**2) / 2
    assert measured(attached, "pissa", 0.1, ONE_STEP) == pytest.approx(expected, rel=1e-6)


def test_one_step_of_the_standard_start_by_hand():
    """B = 0, so A stands still and B becomes ∓η·(1, −1): Δ = ∓η·(a·x)·(1, −1), D = η·|a·x|."""
    attached = attach(linear(), AdapterConfig(rank=1, init="standard"), seed=3)
    a = attached.get_base_model().body[0].lora_A["default"].weight.detach()[0]
    expected = 0.1 * abs(a[0] + 2 * a[1]).item()
    assert measured(attached, "standard", 0.1, ONE_STEP) == pytest.approx(expected, rel=1e-6)
    rate, note = matched_rate(linear(), spec_of("nlu", rank=1, rate=0.1), NONE["nlu"], ONE_STEP, 10)
    target = (5 * math.sqrt(3) * 0.1 - 6 * 0.1**2) / 2
    assert rate * expected / 0.1 == pytest.approx(target, rel=0.05)
    assert note == (
        f"step matching: learning rate {rate:g} instead of 0.1: its first 1 steps move the outputs as far (0.403) as "
        "PiSSA's"
    )


# An independent oracle: torch's AdamW and whole matrices of logits


def logits_of(model, batches):
    found = []
    for batch in batches:
        with torch.no_grad():
            logits = model(**{key: batch[key] for key in ("input_ids", "attention_mask")}).logits
        if logits.ndim == 3:
            logits = logits[:, :-1][next_token_rows(batch["labels"])[0]]
        found.append(logits)
    return torch.cat(found)


def centred(change):
    change = change - change.mean(dim=1, keepdim=True) if change.shape[1] > 1 else change
    return change.square().mean().sqrt().item()


def by_hand(model, rate, batches, clip=1.0):
    """D of the task loss alone, by transformers' own loss."""
    before = logits_of(model, batches)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    factors = [p for name, p in model.named_parameters() if p.requires_grad and "lora" in name]
    optimizer = torch.optim.AdamW(factors, lr=rate, weight_decay=0)
    for batch in batches:
        model.zero_grad()
        model(**{key: value for key, value in batch.items() if key != "index"}).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, clip)
        optimizer.step()
    return centred(logits_of(model, batches) - before)


def rows_of(name, count=12):
    return answers(count) if name in ("llama", "gemma2") else examples(count, regression=name == "regressor")


def family_of(name):
    return "nlg" if name in ("llama", "gemma2") else "nlu"


@pytest.mark.parametrize("name", ["llama", "gemma2", "classifier", "bert", "regressor"])
@pytest.mark.parametrize("init", ["pissa", "standard"])
def test_the_distance_is_that_of_steps_by_hand(name, init):
    """With clipping that acts, and a head whose gradient counts in it but that stays."""
    batches = batches_of(rows_of(name))
    model = adapted(name, init=init, dtype=torch.float64)
    first = FirstSteps(model, init, NONE[family_of(name)], TrainingConfig(max_grad_norm=0.3), batches, 10)
    expected = by_hand(adapted(name, init=init, dtype=torch.float64).eval(), 0.02, batches, clip=0.3)
    close = 1e-5  # norms compute in float32, and Adam turns the rounding of tiny gradients into steps
    assert first.distance(0.02) == pytest.approx(expected, rel=close)
    assert first.distance(0.05) != pytest.approx(expected, rel=0.1)
    assert first.distance(0.02) == pytest.approx(expected, rel=close)  # back at its start in between


@pytest.mark.parametrize("init", ["pissa", "standard"])
def test_the_distance_is_that_of_the_trainer(tmp_path, init):
    """All that a run's loss has: regularizers that ramp, smoothing, L2 to the start, clipping."""
    rows, changes = answers(16), {"max_steps": 4, "label_smoothing_factor": 0.2, "max_grad_norm": 0.4}
    config = objective("nlg", consistency=2.0, diversity=0.5, spectral=0.3)
    config = config.replace(
        diversity=config.diversity.replace(schedule="two-phase").model_dump(),
        consistency=config.consistency.replace(schedule="cosine", every=2).model_dump(),
    )
    model = adapted("llama", init=init, dtype=torch.float64)
    made = trainer(model, config, rows, tmp_path, learning_rate=0.03, **changes)
    made.start_penalty = run_module.BALoraTrainer(
        model, made.args, objective=config, l2_start=0.7, train_dataset=rows, data_collator=collate
    ).start_penalty
    order = [
        batch["index"].tolist() for batch in trainer(adapted("llama"), None, rows, tmp_path).get_train_dataloader()
    ]
    batches = [collate([rows[index] for index in indices]) for indices in order]
    before = logits_of(model, batches)
    made.train()
    expected = centred(logits_of(model.eval(), batches) - before)
    training = {"label_smoothing": 0.2, "l2_start": 0.7, "max_grad_norm": 0.4}
    other = adapted("llama", init=init, dtype=torch.float64)
    assert measured(other, init, 0.03, batches, config, steps=4, **training) == pytest.approx(expected, rel=1e-5)
    for less in (
        {"training": {**training, "l2_start": 0.0}},
        {"training": {**training, "label_smoothing": 0.0}},
        {"training": {**training, "max_grad_norm": 1e9}},
        {"config": NONE["nlg"]},
        {"steps": 400},
    ):
        given = {"config": config, "steps": 4, "training": training} | less
        other = adapted("llama", init=init, dtype=torch.float64)
        found = measured(other, init, 0.03, batches, given["config"], given["steps"], **given["training"])
        assert found != pytest.approx(expected, rel=1e-4), less


# The property that identifies the matching


@pytest.mark.parametrize(
    ("name", "rank", "rate"),
    [("llama", 1, 1e-3), ("llama", 4, 0.02), ("bert", 2, 1e-3), ("classifier", 4, 0.02), ("regressor", 1, 1e-3)],
)
def test_the_found_rate_moves_the_outputs_as_far_as_pissa(name, rank, rate):
    batches = batches_of(rows_of(name))
    base, spec = build(name, dtype=torch.float64), spec_of(family_of(name), rank=rank, rate=rate)
    found, _ = matched_rate(base, spec, NONE[family_of(name)], batches, 10)
    target = by_hand(adapted(name, rank=rank, dtype=torch.float64).eval(), rate, batches)
    own = {"rank": rank, "init": "standard", "dtype": torch.float64}
    assert by_hand(adapted(name, **own).eval(), found, batches) == pytest.approx(target, rel=0.0501)
    assert by_hand(adapted(name, **own).eval(), rate, batches) != pytest.approx(target, rel=0.06) or found == rate


@pytest.mark.parametrize("variant", ["rslora", "dora"])
def test_every_variant_is_matched_and_its_magnitudes_stay(variant):
    batches, spec = batches_of(answers(12)), spec_of("nlg", rate=0.01, **{"adapter.variant": variant})
    found, _ = matched_rate(build("llama", dtype=torch.float64), spec, NONE["nlg"], batches, 10)
    distances = []
    for init, rate in (("pissa", 0.01), ("standard", found)):
        model = adapted("llama", init=init, dtype=torch.float64, variant=variant)
        for name, parameter in model.named_parameters():
            if "magnitude" in name:
                parameter.requires_grad_(False)
        distances.append(by_hand(model.eval(), rate, batches, clip=1e9))
    assert distances[1] == pytest.approx(distances[0], rel=0.06)  # magnitudes are out of the clipped norm here


# What it leaves alone


def test_one_answer_whatever_the_global_state_and_weights_as_they_were():
    base, spec, batches = build("bert").train(), spec_of("nlu", rate=0.01), batches_of(examples(12))
    weights = {name: value.clone() for name, value in base.state_dict().items()}
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        found.append(matched_rate(weight_sharing_copy(base), spec, NONE["nlu"], batches, 10))
        assert torch.equal(torch.get_rng_state(), state)
    assert found[0] == found[1]
    assert all(torch.equal(value, weights[name]) for name, value in base.state_dict().items())
    assert base.training
    assert not any("lora" in name for name, _ in base.named_modules())
    assert all(parameter.grad is None for parameter in base.parameters())


def test_a_copy_shares_weights_and_nothing_else():
    base = build("bert")
    copy = weight_sharing_copy(base)
    assert [*map(id, copy.parameters())] == [*map(id, base.parameters())]
    assert not set(map(id, copy.modules())) & set(map(id, base.modules()))
    assert not set(map(id, copy.buffers())) & set(map(id, base.buffers()))


# Errors


def frozen_outputs(name="classifier"):
    """A head of zeros: no gradient reaches the adapter, and no step moves the outputs."""
    base = build(name, dtype=torch.float64)
    with torch.no_grad():
        base.score.weight.zero_()
    return base


def test_a_start_that_moves_nothing_is_refused():
    text = (
        r"step matching: the first 4 steps from the 'pissa' start at learning rate 0.01 move the outputs by 0, no "
        r"more than the rounding of float32 can \(0\): raise training.learning_rate, or set "
        r"training.step_matching to none"
    )
    with pytest.raises(TrainingError, match=text):
        matched_rate(frozen_outputs(), spec_of("nlu", rate=0.01), NONE["nlu"], batches_of(examples(12)), 10)


def test_outputs_that_are_not_finite_are_refused():
    text = (
        r"step matching: the first 4 steps from the 'pissa' start at learning rate 1e\+200 make outputs that are not "
        r"finite \(nan or inf\): lower training.learning_rate, or set training.step_matching to none"
    )
    batches = batches_of(answers(12))
    with pytest.raises(TrainingError, match=text):
        matched_rate(build("llama", dtype=torch.float64), spec_of("nlg", rate=1e200), NONE["nlg"], batches, 10)


def test_a_start_that_cannot_follow_is_refused(monkeypatch):
    true = FirstSteps.distance
    monkeypatch.setattr(
        FirstSteps, "distance", lambda self, rate: 0.0 if "standard" in self._name else true(self, rate)
    )
    text = (
        r"step matching: the first 4 steps from PiSSA's start at learning rate 0.01 move the outputs by \S+, and those "
        r"from the 'standard' start at no rate that was tried between 2.44e-06 and 41: change training.learning_rate "
        r"or the start, or set training.step_matching to none"
    )
    with pytest.raises(TrainingError, match=text):
        matched_rate(build("bert"), spec_of("nlu", rate=0.01), NONE["nlu"], batches_of(examples(12)), 10)


def test_pissa_itself_is_not_measured():
    given = spec_of("nlu", init="pissa", rate=0.01), NONE["nlu"], batches_of(examples(12)), 10
    text = "step matching: the run starts at PiSSA itself, so its learning rate stays 0.01"
    assert matched_rate(build("bert"), *given) == (None, text)


def test_full_fine_tuning_has_no_start_to_match():
    text = "training.step_matching: compares the starts of an adapter, and full fine-tuning has none: leave it out"
    with pytest.raises(ConfigError, match=text):
        resolve({"task": "cola", "model": "m", "method": "full", "training.step_matching": "pissa"})


def test_a_name_of_no_start_is_refused():
    with pytest.raises(ConfigError, match=r"training\.step_matching"):
        resolve({"task": "cola", "model": "m", "training.step_matching": "standard"})


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({"epochs": 2.5, "batch_size": 4, "accumulation": 3}, 30),
        ({"epochs": 1.0, "batch_size": 4, "stretch": 1.3}, 9),
        ({"steps": 5, "batch_size": 4, "stretch": 1.3}, 9),
    ],
)
def test_the_steps_of_a_run_are_the_trainers(tmp_path, settings, rows):
    training = TrainingConfig(**settings)
    made = trainer(
        adapted("llama"),
        None,
        answers(rows),
        tmp_path,
        max_steps=training.stretched_steps or -1,
        num_train_epochs=training.stretched_epochs,
        gradient_accumulation_steps=training.accumulation,
    )
    assert made.set_initial_training_values(made.args, made.get_train_dataloader())[-1] == training.steps_on(rows)


# Runs


def trained(folder):
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def test_what_is_matched_is_the_run_as_it_will_be(tmp_path, checkpoint, data, monkeypatch):
    """The λ are those after `objective.matching`, the rows the first four batches, the base has no adapter yet."""
    asked = []

    def matched(base, *given, on_weight):
        asked.append((any("lora" in name for name, _ in base.named_modules()), *given))
        return 0.5, "step matching: told"

    def fail(*_):
        raise RuntimeError("enough")

    monkeypatch.setattr(run_module, "matched_rate", matched)
    monkeypatch.setattr(run_module, "train_or_take", fail)
    swapped = {"objective.formulation": "nlu", "objective.matching": "gradient", "training.batch_size": 1}
    settings = {"method": "lora+reg", "training.step_matching": "pissa", "training.steps": 7}
    spec = real_spec(checkpoint, data, task="gsm8k", **settings, **swapped)
    record = run(spec, tmp_path / "run")
    (has_adapter, of, config, batches, steps), *more = asked
    assert not has_adapter
    assert not more
    assert of == spec
    assert steps == 7
    assert [len(batch["labels"]) for batch in batches] == [1] * 4
    assert config.diversity.weight != spec.objective.diversity.weight
    assert (record.status, record.error.message, record.learning_rate) == ("failed", "enough", 0.5)
    assert record.notes[-1] == "step matching: told"


@pytest.mark.parametrize(
    "settings",
    [
        {"task": "cola", "method": "lora+reg", "adapter.dropout": 0.1},
        {"task": "gsm8k", "method": "lora", "training.seed": 1},
        {"task": "gsm8k", "method": "lora+reg", "objective.formulation": "nlu", "objective.matching": "gradient"},
    ],
)
def test_a_matched_run_is_the_run_at_the_found_rate_bit_for_bit(tmp_path, checkpoint, data, settings):
    spec = real_spec(checkpoint, data, **settings, **{"training.step_matching": "pissa"})
    matched = run(spec, tmp_path / "matched")
    assert matched.status == "ok", matched.error
    assert matched.learning_rate not in (None, 1e-3)
    assert any(f"learning rate {matched.learning_rate:g} instead of 0.001" in note for note in matched.notes)
    plain = run(
        real_spec(checkpoint, data, **settings, **{"training.learning_rate": matched.learning_rate}), tmp_path / "plain"
    )
    assert plain.learning_rate is None
    assert plain.terms == matched.terms
    assert plain.score == matched.score
    series = [(tmp_path / name / "series.jsonl").read_text() for name in ("matched", "plain")]
    assert series[0] == series[1]
    expected = trained(tmp_path / "plain")
    assert all(torch.equal(value, expected[name]) for name, value in trained(tmp_path / "matched").items())
    assert plain.cost.trained_parameters == matched.cost.trained_parameters


def test_a_run_from_pissa_keeps_its_rate(tmp_path, checkpoint, data):
    settings = {"method": "pissa", "training.step_matching": "pissa"}
    record = run(real_spec(checkpoint, data, **settings), tmp_path / "run")
    assert record.learning_rate is None
    assert "step matching: the run starts at PiSSA itself, so its learning rate stays 0.001" in record.notes
    run(real_spec(checkpoint, data, method="pissa"), tmp_path / "plain")
    expected = trained(tmp_path / "plain")
    assert all(torch.equal(value, expected[name]) for name, value in trained(tmp_path / "run").items())


def test_half_precision_is_matched_too(tmp_path, checkpoint, data):
    settings = {"method": "lora+reg", "training.step_matching": "pissa", "training.precision": "bfloat16"}
    record = run(real_spec(checkpoint, data, **settings), tmp_path / "run")
    assert record.status == "ok", record.error
    assert record.learning_rate > 1e-3


def test_a_run_that_cannot_be_matched_fails_with_one_line(tmp_path, checkpoint, data):
    settings = {"method": "lora", "training.step_matching": "pissa", "training.learning_rate": 1e-10}
    record = run(real_spec(checkpoint, data, **settings), tmp_path / "run")
    assert record.status == "failed"
    assert record.error.kind == "TrainingError"
    assert record.error.message.startswith(
        "step matching: the first 4 steps from the 'pissa' start at learning rate 1e-10 move the outputs by "
    )
    assert record.error.message.endswith("): raise training.learning_rate, or set training.step_matching to none")
