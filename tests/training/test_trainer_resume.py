"""A training interrupted after a checkpoint goes on as if it had not been."""

import pytest
import torch
from training_cases import adapted, answers, build, examples, losses, objective, trained_weights, trainer

from balora.adapters import frozen_copy
from balora.objective import ObjectiveConfig

STEPS, AT = 6, 3
SAVED = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": AT, "per_device_train_batch_size": 2}


def regularized(family):
    """All terms, with the schedules of the published NLG runs and a spectrum that tiny models have."""
    published = ObjectiveConfig.preset("ba-lora", family="nlg")
    config = objective(family, consistency=0.5, diversity=0.3, spectral=0.7)
    schedules = {
        term: {**getattr(config, term).model_dump(), "schedule": getattr(published, term).schedule}
        for term in ("consistency", "diversity", "spectral")
    }
    return config.replace(**schedules)


CASES = {
    "pissa": ("llama", {"init": "pissa"}, None),
    "standard": ("llama", {"init": "standard"}, None),
    "standard with dropout": ("llama", {"init": "standard", "dropout": 0.3}, None),
    "pissa with dropout": ("llama", {"init": "pissa", "dropout": 0.3}, None),
    "pissa with terms": ("llama", {"init": "pissa"}, "nlg"),
    "standard with terms": ("llama", {"init": "standard"}, "nlg"),
    "random-matched with terms": ("llama", {"init": "random-matched"}, "nlg"),
    "minor with terms": ("llama", {"init": "minor"}, "nlg"),
    "dora with terms": ("llama", {"init": "pissa", "variant": "dora"}, "nlg"),
    "classifier": ("classifier", {"init": "pissa"}, "nlu"),
    "encoder with dropout": ("bert", {"init": "pissa"}, "nlu"),
}


@pytest.mark.parametrize(("name", "adapter", "family"), CASES.values(), ids=CASES)
def test_resume_repeats_the_uninterrupted_losses(tmp_path, name, adapter, family):
    rows = examples(9) if name in ("classifier", "bert") else answers()
    config = regularized(family) if family else None
    whole = trainer(adapted(name, **adapter), config, rows, tmp_path, **SAVED)
    whole.train()
    model = adapted(name, **adapter)
    again = trainer(model, config, rows, tmp_path, **SAVED)
    again.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{AT}"))
    assert losses(again) == losses(whole)  # to the last printed digit
    assert len(set(losses(whole))) == STEPS
    rest = whole.telemetry.series()[AT:]
    ended, expected = trained_weights(model), trained_weights(whole.model)
    if family == "nlu":  # reference logits known from an earlier epoch were made with other padding: rounding
        assert again.telemetry.series() == [pytest.approx(row, rel=1e-5) for row in rest]
        assert all(torch.allclose(ended[key], value, rtol=1e-5, atol=1e-7) for key, value in expected.items())
    else:
        assert again.telemetry.series() == rest  # values, λ on their schedules, shares: to the last bit
        assert all(torch.equal(ended[key], value) for key, value in expected.items())
    if family == "nlg":
        weights = [row["consistency_weight"] for row in rest]
        assert weights == sorted(set(weights), reverse=True)
        assert ["diversity" in row for row in whole.telemetry.series()] == [False, False, True, True, True, True]


def test_full_fine_tuning_resumes_with_the_pre_trained_reference(tmp_path):
    config = regularized("nlg")

    def fresh():
        model = build("llama")
        return trainer(model, config, answers(), tmp_path, reference=frozen_copy(model), **SAVED)

    whole, again = fresh(), fresh()
    whole.train()
    again.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{AT}"))
    assert losses(again) == losses(whole)
    assert again.telemetry.series() == whole.telemetry.series()[AT:]


def test_resume_in_the_middle_of_an_accumulated_epoch(tmp_path):
    changes = {**SAVED, "gradient_accumulation_steps": 3, "per_device_train_batch_size": 1}
    whole = trainer(adapted("llama"), regularized("nlg"), answers(), tmp_path, **changes)
    whole.train()
    again = trainer(adapted("llama"), regularized("nlg"), answers(), tmp_path, **changes)
    again.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{AT}"))
    assert losses(again) == losses(whole)
