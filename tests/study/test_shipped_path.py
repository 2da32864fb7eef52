"""Every shipped study trains its generation tasks from hidden states: no run of them makes the logits of its rows."""

import fakes
import pytest
import torch

from balora.adapters import attach
from balora.adapters.config import AdapterConfig
from balora.objective.config import ObjectiveConfig
from balora.study.design.reading import shipped
from balora.study.plan.prepare import prepare
from balora.tasks.catalogue import find_task
from balora.training.loading import load_model, load_tokenizer, with_model_folder
from balora.training.loss import ModelLoss
from balora.training.shares import shared_config
from balora.training.spec import RunSpec


@pytest.fixture(scope="module")
def decoder() -> RunSpec:
    """A run on the testbed's shipped decoder; texts of other dials make models of the same shape."""
    runs = prepare("adapters", fingerprints=fakes.fingerprints).runs
    return with_model_folder(
        next(run.spec for run in runs if find_task(run.task).family == "nlg"), lambda progress: None
    )


@pytest.mark.parametrize("study", shipped())
def test_a_shipped_study_makes_no_logits_of_generation(study: str, decoder: RunSpec) -> None:
    settings: dict[AdapterConfig, list[ObjectiveConfig]] = {}
    for run in prepare(study, fingerprints=fakes.fingerprints).runs:
        if find_task(run.task).family == "nlg":
            assert run.spec.adapter is not None, "full fine-tuning trains the head"
            objectives = settings.setdefault(run.spec.adapter, [])
            objectives += [] if run.spec.objective in objectives else [run.spec.objective]
    assert settings or study == "reference-head"  # which is about classification alone
    for adapter, objectives in settings.items():
        model = attach(load_model(decoder, find_task(decoder.task), load_tokenizer(decoder)), adapter, seed=0)
        made: list[int] = []
        model.get_output_embeddings().register_forward_hook(
            lambda head, args, logits, made=made: made.append(logits[..., 0].numel())
        )
        labels = torch.randint(5, 100, (2, 12), generator=torch.Generator().manual_seed(0))
        for objective in objectives:
            loss = ModelLoss(model, objective)
            batch = {"input_ids": labels, "attention_mask": torch.ones_like(labels), "labels": labels}
            loss.objective.config = shared_config(loss, [batch], seed=0)[0] if objective.shares else objective
            loss(model, batch)
            assert loss.notes() == []
        assert set(made) == {len(labels)}  # the head is asked for the last position of each sequence alone
