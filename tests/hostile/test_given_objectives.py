"""One meaning of `objective` everywhere: None is the task loss alone, a text a preset, anything else is refused."""

from itertools import product

import pytest
import torch
from datasets import Dataset
from trainer_cases import TINY, classifier, decoder, row, rows, settings, trainer
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, TrainingArguments
from trl import SFTConfig

from balora import BALoraSFTTrainer, BALoraTrainer, ConfigError, ModelError, Objective, ObjectiveConfig
from balora.objective.config import chosen_objective
from balora.training.loss import ModelLoss

pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")

OWN = ObjectiveConfig.preset("ba-lora", family="nlg", edition="arxiv-v5")
WRONG = {
    "a misspelt preset": ("ba-loar", "unknown objective preset 'ba-loar': did you mean 'ba-lora'?"),
    "an empty name": ("", "unknown objective preset ''"),
    "capitals": ("BA-LoRA", "unknown objective preset 'BA-LoRA'"),
    "settings": ({"preset": "ba-lora"}, "objective: expected an ObjectiveConfig, the name of a preset"),
    "a number": (0, "or None for the task loss alone, got 0"),
    "no": (False, "got False"),
    "a list": ([], "got []"),
    "the class": (ObjectiveConfig, "objective: expected an ObjectiveConfig"),
    "an objective": (Objective(OWN), "objective: expected an ObjectiveConfig"),
    "a long text": ("x" * 100_000, "more characters"),
    "control characters": ("ba\x1b[2J", "unknown objective preset 'ba\\x1b[2J'"),
}


@pytest.fixture(scope="module")
def makers(checkpoint, tmp_path_factory):
    """Ways to give an objective, each to what it becomes."""
    folder, tokenizer = tmp_path_factory.mktemp("out"), AutoTokenizer.from_pretrained(checkpoint)
    data = Dataset.from_list([{"input_ids": row(0)["input_ids"].tolist()}] * 4)

    def transformers_trainer(**given):
        return BALoraTrainer(decoder(), TrainingArguments(**settings(folder)), train_dataset=rows([0]), **given)

    def trl_trainer(**given):
        arguments = SFTConfig(**settings(folder, bf16=False, gradient_checkpointing=False, max_length=None))
        return BALoraSFTTrainer(decoder(), arguments, train_dataset=data, processing_class=tokenizer, **given)

    def classifying(**given):
        arguments = TrainingArguments(**settings(folder))
        return BALoraTrainer(classifier(), arguments, train_dataset=rows([0, 1]), **given)

    return {
        "transformers": (transformers_trainer, "nlg"),
        "TRL": (trl_trainer, "nlg"),
        "classifier": (classifying, "nlu"),
    }


@pytest.mark.parametrize(("name", "way"), [*product(("ba-lora", "full+reg", "none", "pissa", None), ("transformers",
                         "TRL", "classifier"))])  # fmt: skip
def test_names_and_none_mean_the_same_in_every_trainer(name, way, makers):
    make, family = makers[way]
    assert make(objective=name).model_loss.config == ObjectiveConfig.preset(name or "none", family=family)


@pytest.mark.parametrize("way", ["transformers", "TRL", "classifier"])
def test_a_trainer_called_ba_lora_is_that_if_nothing_is_given(way, makers):
    make, family = makers[way]
    assert make().model_loss.config == ObjectiveConfig.preset("ba-lora", family=family)
    assert make(objective=OWN).model_loss.config is OWN


@pytest.mark.parametrize(("case", "way"), [*product(WRONG, ("transformers", "TRL", "classifier", "loss"))])
def test_anything_else_is_refused_in_one_line(case, way, makers):
    value, words = WRONG[case]
    make = (lambda objective: ModelLoss(decoder(), objective)) if way == "loss" else makers[way][0]
    with pytest.raises(ConfigError) as caught:
        make(objective=value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["none", None])
def test_a_loss_of_ones_own_takes_names_too(name):
    loss = ModelLoss(classifier(), name)
    assert loss.config == ObjectiveConfig.preset("none", family="nlu")
    assert ModelLoss(decoder(), "ba-lora").config == ObjectiveConfig.preset("ba-lora", family="nlg")


@pytest.mark.parametrize("value", [None, "ba-lora", {}, 3])
def test_an_objective_alone_knows_no_family_and_takes_a_configuration(value):
    with pytest.raises(ConfigError, match=r"Objective: expected an ObjectiveConfig, got .*family='nlg' or 'nlu'"):
        Objective(value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "objective preset: name must be a name, got None"),
        ({"name": ["ba-lora"]}, "objective preset: name must be a name"),
        ({"family": ["nlg"]}, "objective preset: family must be a name"),
        ({"family": "vision"}, "no edition 'iclr-2026' for family 'vision'"),
        ({"edition": 2026}, "objective preset: edition must be a name, got 2026"),
        ({"formulation": {}}, "objective preset: formulation must be a name, got {}"),
        ({"formulation": "nlp"}, "no formulation 'nlp' in edition 'iclr-2026'"),
    ],
)
def test_a_preset_is_named_by_texts(changes, words):
    given = {"name": "ba-lora", "family": "nlg", **changes}
    with pytest.raises(ConfigError) as caught:
        ObjectiveConfig.preset(given.pop("name"), **given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"telemetry_every": -1}, "telemetry_every: expected a whole number of steps, or 0 for never, got -1"),
        ({"telemetry_every": 2.5}, "got 2.5"),
        ({"telemetry_every": True}, "got True"),
        ({"telemetry_every": "10"}, "got '10'"),
        ({"l2_start": -1.0}, "l2_start: expected a number of at least 0, got -1.0"),
        ({"l2_start": float("nan")}, "got nan"),
        ({"l2_start": "0.1"}, "got '0.1'"),
        ({"reference_cache": "/tmp/cache"}, "reference_cache: expected a ReferenceFolder (of a path) or None"),
        ({"reference": "model"}, "reference: expected a model, such as frozen_copy(model), or None, got 'model'"),
    ],
)
def test_other_arguments_of_wrong_types_are_refused_at_construction(own, words, tmp_path):
    with pytest.raises(ConfigError) as caught:
        trainer(decoder(), rows([torch.arange(6)] * 4), tmp_path, balora=own)
    assert words in str(caught.value)


def test_full_fine_tuning_without_a_word_is_told_what_the_objective_needs(tmp_path):
    model = LlamaForCausalLM(LlamaConfig(**TINY))
    with pytest.raises(ModelError, match="consistency needs the pre-trained model"):
        BALoraTrainer(model, TrainingArguments(**settings(tmp_path)), train_dataset=rows([0]))
    assert chosen_objective(None, "nlg") == trainer(model, rows([0]), tmp_path).model_loss.config
