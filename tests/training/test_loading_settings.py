"""The settings `model.…`: in which forms they are given, that each acts, and what cannot be."""

from typing import Any

import pytest
import torch
from torch._dynamo.eval_frame import OptimizedModule
from training_cases import real_spec
from transformers import AutoModelForSequenceClassification

from balora.cli.assignments import gather
from balora.errors import ConfigError, ModelError
from balora.settings import merge
from balora.study.plan.prepare import prepare
from balora.training import quantised_loading, trainer_arguments
from balora.training import run as run_module
from balora.training.loading import load_model, load_tokenizer, place
from balora.training.machine import less_memory
from balora.training.model_settings import LoadingConfig
from balora.training.quantised_loading import refuse_spread, refuse_untrainable_model
from balora.training.run import run
from balora.training.spec import RunSpec, resolve, setting_keys

GIVEN = {"task": "cola", "method": "pissa"}


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "m", "model.quantization": "nf4"},
        {"model.quantization": "nf4", "model": "m"},
        {"model": {"name": "m", "quantization": "nf4"}},
        {"model.name": "m", "model.quantization": "nf4"},
    ],
)
def test_the_name_and_the_rest_are_given_in_any_form(settings: dict[str, Any]) -> None:
    spec = resolve({**GIVEN, **settings})
    assert (spec.model, spec.loading) == ("m", LoadingConfig(quantization="nf4"))


def test_an_option_replaces_the_name_in_a_file_and_leaves_the_rest(tmp_path) -> None:
    (tmp_path / "run.yaml").write_text("task: cola\nmodel: {name: m, quantization: nf4}\n")
    spec = gather(tmp_path / "run.yaml", {"model": "other"}, ["model.dtype=bfloat16"])
    assert (spec.model, spec.loading) == ("other", LoadingConfig(quantization="nf4", dtype="bfloat16"))


def test_a_text_elsewhere_still_replaces_a_group() -> None:
    assert merge({"adapter": {"rank": 2}}, {"adapter": "x"}) == {"adapter": "x"}


def test_a_model_without_such_settings_is_loaded_as_before() -> None:
    assert resolve({**GIVEN, "model": "m"}).loading == LoadingConfig()


def test_records_of_earlier_versions_have_no_such_settings() -> None:
    content = resolve({**GIVEN, "model": "m"}).model_dump(mode="json")
    del content["loading"]
    assert RunSpec(**content) == resolve({**GIVEN, "model": "m"})


def test_the_keys_are_listed_under_model() -> None:
    assert {"model", "model.quantization", "model.attn_implementation"} < set(setting_keys())
    assert not any(key.startswith("loading") for key in setting_keys())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"model.quantization": "nf5"}, "model.quantization: input should be 'nf4' or 'int8', got 'nf5'"),
        ({"model.quantisation": "nf4"}, "model.quantisation: unknown key 'quantisation': did you mean 'quantization'?"),
        (
            {"loading.dtype": "float32"},
            "loading: unknown key 'loading': did you mean 'model', e.g. model.quantization?",
        ),
        ({"load_in_4bit": True}, "load_in_4bit: unknown key 'load_in_4bit': did you mean 'model.quantization'?"),
        (
            {"model.double_quantization": False},
            "model: double_quantization: only nf4 has scales to quantise, got quantization None: leave it out",
        ),
        ({"model.name": 3}, "model.name: expected a name, got 3"),
        ({"training.optimizer": "sgd"}, "training.optimizer: input should be 'adamw_torch_fused', "),
    ],
)
def test_wrong_settings_are_named_as_they_were_given(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({**GIVEN, "model": "m", **settings})
    assert str(caught.value).startswith(text)


def test_full_fine_tuning_of_codes_is_refused() -> None:
    spec = resolve({"task": "cola", "model": "m", "method": "full", "model.quantization": "int8"})
    with pytest.raises(ConfigError) as caught:
        refuse_untrainable_model(spec)
    assert str(caught.value) == (
        "model.quantization: full fine-tuning would train weights that int8 holds as codes: train an adapter (method "
        "ba-lora, pissa or lora), or leave the setting out"
    )


def test_a_study_with_such_an_arm_is_refused_when_it_is_planned(tmp_path) -> None:
    arms = "arms: {full: {set: {method: full}}}"
    lines = ["study: codes", "question: Which one?", "base: {method: ba-lora, model.quantization: nf4}", arms]
    (tmp_path / "codes.yaml").write_text("\n".join(lines))
    with pytest.raises(
        ConfigError, match=r"arm 'full' on \w+: model\.quantization: full .*: leave the arm out, or the s"
    ):
        prepare(str(tmp_path / "codes.yaml"), model="testbed")


def test_an_arm_may_quantise_its_base(tmp_path) -> None:
    arms = "arms: {four bits: {set: {model.quantization: nf4}}}"
    lines = ["study: bits", "question: What does it cost?", "base: {method: ba-lora}", arms]
    (tmp_path / "bits.yaml").write_text("\n".join(lines))
    plan = prepare(str(tmp_path / "bits.yaml"), model="testbed")
    found = {run.arm: (run.column.model, run.column.loading.quantization) for run in plan.runs}
    assert found["four bits"] == ("testbed", "nf4")
    assert set(found.values()) == {("testbed", "nf4"), ("testbed", None)}


def test_full_fine_tuning_in_half_precision_is_refused(tmp_path) -> None:
    spec = resolve({"task": "cola", "model": "m", "method": "full", "model.dtype": "bfloat16"})
    with pytest.raises(ConfigError, match=r"model\.dtype: full fine-tuning in bfloat16 would round small steps"):
        run(spec, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [("model.quantization", "nf4"), ("training.optimizer", "adamw_8bit"), ("training.optimizer", "paged_adamw_32bit")],
)
def test_without_bitsandbytes_the_command_that_installs_it_is_named(monkeypatch, setting: str, value: str) -> None:
    monkeypatch.setattr(quantised_loading, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        refuse_untrainable_model(resolve({**GIVEN, "model": "m", setting: value}))
    assert str(caught.value) == (
        f"{setting}: '{value}' needs the package bitsandbytes, which is not installed: pip install 'balora[quantized]'"
    )


def test_a_model_on_several_devices_is_not_trained() -> None:
    model = torch.nn.Linear(1, 1)
    refuse_spread(model)
    model.hf_device_map = {"a": 0, "b": "disk"}
    with pytest.raises(
        ModelError, match=r"model\.device_map: the layers lie on 0, disk, but a run trains on one device"
    ):
        refuse_spread(model)


def test_too_little_memory_names_the_settings_that_need_less() -> None:
    ways = less_memory(resolve({**GIVEN, "model": "m"}))
    assert "set training.optimizer to paged_adamw_8bit, set model.quantization to nf4" in ways


def loaded(checkpoint, data, **settings: Any) -> Any:
    spec = real_spec(checkpoint, data, **{"training.precision": "float32", **settings})
    return load_model(spec, spec.find(spec.task), load_tokenizer(spec))


def test_the_number_format_is_that_of_the_frozen_weights_and_a_new_head_is_trained_in_float32(checkpoint, data) -> None:
    model = loaded(checkpoint, data, **{"model.dtype": "bfloat16"})
    assert model.model.layers[0].self_attn.q_proj.weight.dtype == torch.bfloat16
    assert model.score.weight.dtype == torch.float32


def test_the_attention_is_the_chosen_one(checkpoint, data) -> None:
    assert loaded(checkpoint, data).config._attn_implementation == "sdpa"
    assert loaded(checkpoint, data, **{"model.attn_implementation": "eager"}).config._attn_implementation == "eager"


def test_accelerate_places_the_layers_and_the_run_leaves_them_there(checkpoint, data, monkeypatch) -> None:
    """With no GPU there is one place only, so what transformers was asked for is looked at."""
    asked: list[Any] = []
    original = AutoModelForSequenceClassification.from_pretrained
    monkeypatch.setattr(
        AutoModelForSequenceClassification,
        "from_pretrained",
        lambda *words, **options: asked.append(options.get("device_map")) or original(*words, **options),
    )
    model = loaded(checkpoint, data, **{"model.device_map": "balanced"})
    loaded(checkpoint, data)
    assert asked == ["balanced", None]
    mapped, plain = (real_spec(checkpoint, data, **given) for given in ({"model.device_map": "auto"}, {}))
    assert place(mapped, model, "meta").score.weight.device.type == "cpu"
    assert place(plain, model, "meta").score.weight.is_meta


@pytest.mark.parametrize(("optimizer", "fused"), [("adamw_torch_fused", True), ("adamw_torch", False)])
def test_the_trainer_has_the_chosen_optimizer(
    checkpoint, data, tmp_path, monkeypatch, optimizer: str, fused: bool
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(run_module._Run, "save", lambda self, *rest: seen.append(self.trainer.optimizer.optimizer))
    run(real_spec(checkpoint, data, **{"training.optimizer": optimizer, "training.steps": 1}), tmp_path / "run")
    assert [(type(one), one.defaults["fused"]) for one in seen] == [(torch.optim.AdamW, fused or None)]


@pytest.mark.slow
def test_the_model_is_compiled_and_learns_the_same(checkpoint, data, tmp_path, monkeypatch) -> None:
    """With the backend `eager`, which traces as every backend does and computes as without; others take minutes."""
    monkeypatch.setattr(trainer_arguments, "COMPILER", "eager")
    seen: list[Any] = []
    monkeypatch.setattr(run_module._Run, "save", lambda self, *rest: seen.append(self.trainer.model_wrapped))
    runs = {}
    for compiled in (True, False):
        settings = {"training.compile": compiled, "training.steps": 2, "adapter.init": "standard"}
        runs[compiled] = run(real_spec(checkpoint, data, **settings), tmp_path / str(compiled))
    assert [isinstance(one, OptimizedModule) for one in seen] == [True, False]
    assert runs[True].terms["task"].last == pytest.approx(runs[False].terms["task"].last, rel=1e-5)
