"""How processes share a model: what is refused, what accelerate is given, and the whole model that is scored."""

import os
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from training_cases import adapted, arguments, build

from balora import ConfigError, ModelError, resolve
from balora.training.engines import (
    allow_cpu,
    compute_in_bfloat16,
    computes_itself,
    engine_arguments,
    layers_to_shard,
    unchanged_variables,
)
from balora.training.identity import recorded_id, run_id
from balora.training.quantised_loading import refuse_shared_codes
from balora.training.strategy_limits import refuse_unshared
from balora.training.trainer import refuse_rounded_factors, refuse_sharded_start, will_be_sharded
from balora.training.whole_model import WholeModel

SPEC = {"model": "testbed", "task": "sentiment", "training.steps": 1}
REFUSED = {
    "quantised": ({"model.quantization": "nf4"}, "fsdp2", "model.quantization = 'nf4': bitsandbytes' packed weights"),
    "quantised zero2": ({"model.quantization": "int8"}, "zero2", "model.quantization = 'int8': "),
    "eight bits": ({"training.optimizer": "adamw_8bit"}, "zero2", "training.optimizer = 'adamw_8bit': bitsandbytes'"),
    "compiled": ({"training.compile": True}, "fsdp2", "training.compile = True: a compiled model was never run"),
    "checkpoints": ({"training.checkpoint_every": 5}, "zero2", "training.checkpoint_every = 5: checkpoints hold whole"),
    "share": ({"objective.share": 0.1}, "fsdp2", "share = 0.1: λ is measured on a whole model"),
    "start": ({"training.l2_start": 0.5}, "zero3", "training.l2_start = 0.5: each process would hold the whole start"),
    "dora": ({"adapter.variant": "dora"}, "zero3", "adapter.variant = 'dora': DoRA reads factors outside"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_setting_that_a_strategy_rules_out_is_refused_in_one_line(case) -> None:
    changes, strategy, message = REFUSED[case]
    refuse_unshared(resolve({**SPEC, **changes}))
    with pytest.raises(ConfigError) as caught:
        refuse_unshared(resolve({**SPEC, **changes, "launch.strategy": strategy}))
    assert message in str(caught.value)
    assert f"does not go with launch.strategy = '{strategy}': leave one of them out" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "strategy"),
    [({"training.l2_start": 0.5}, "zero2"), ({"adapter.variant": "dora"}, "fsdp2"), ({}, "zero3")],
)
def test_what_a_strategy_can_do_is_not_refused(changes, strategy) -> None:
    refuse_unshared(resolve({**SPEC, **changes, "launch.strategy": strategy}))


def test_layers_are_sharded_one_by_one_but_for_those_with_the_embeddings() -> None:
    assert layers_to_shard(build("llama")) == layers_to_shard(adapted("llama")) == ["LlamaDecoderLayer"]
    bert = build("bert")
    assert layers_to_shard(bert) == ["BertLayer"]
    assert "BertEmbeddings" in bert._no_split_modules, "accelerate would shard the embeddings twice"


def test_accelerate_is_given_transformers_own_arguments() -> None:
    model = build("llama")
    assert engine_arguments("ddp", model) == {}
    config = {"version": 2, "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"]}
    assert engine_arguments("fsdp2", model) == {"fsdp": True, "fsdp_config": config}
    for stage in (2, 3):
        given = engine_arguments(f"zero{stage}", model)["deepspeed"]
        assert given.pop("zero_optimization") == {"stage": stage}
        assert set(given.values()) == {"auto"}


def test_a_cpu_is_allowed_to_shard_only_where_fsdp_is_asked_for(tmp_path) -> None:
    given = arguments(tmp_path)
    allow_cpu(given)
    assert PartialState().distributed_type == DistributedType.NO
    allow_cpu(SimpleNamespace(fsdp_plugin_args={}, device=torch.device("cpu")))
    assert PartialState._shared_state["distributed_type"] == DistributedType.MULTI_GPU
    AcceleratorState._reset_state(reset_partial_state=True)


def test_what_accelerate_sets_in_the_environment_is_undone(monkeypatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.delenv("ACCELERATE_USE_FSDP", raising=False)
    with unchanged_variables():
        os.environ["ACCELERATE_USE_FSDP"] = os.environ["FSDP_VERSION"] = "2"
        del os.environ["ACCELERATE_USE_CPU"]
    assert not {"ACCELERATE_USE_FSDP", "FSDP_VERSION"} & os.environ.keys()
    assert os.environ["ACCELERATE_USE_CPU"] == "true"


def test_a_model_computes_in_bfloat16_and_keeps_its_factors() -> None:
    """As accelerate has a model trained by DDP compute; its parameters, and so the change of a factor, stay float32."""
    assert computes_itself("fsdp2", "bfloat16")
    assert not computes_itself("ddp", "bfloat16")
    assert not computes_itself("zero2", "float32")
    model, ids = adapted("llama"), torch.tensor([[3, 4, 5]])
    whole = model(input_ids=ids).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(input_ids=ids).logits
    compute_in_bfloat16(model, torch.device("cpu"))
    found = model(input_ids=ids).logits
    assert found.dtype == torch.float32
    assert torch.equal(found, half.float())
    assert not torch.equal(found, whole)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_whole_model_is_the_trained_one_or_a_copy_with_its_weights() -> None:
    model = adapted("llama")
    assert WholeModel(model, is_sharded=False, is_first=True).model is model
    assert WholeModel(model, is_sharded=True, is_first=False).model is model
    scored = WholeModel(model, is_sharded=True, is_first=True)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)  # the frozen ones as well: they are not gathered
    scored.refresh()
    copied = dict(scored.model.named_parameters())
    same = {name for name, parameter in model.named_parameters() if torch.equal(copied[name], parameter)}
    assert same == set(trained)


@pytest.mark.parametrize("engine", ["is_fsdp_enabled", "is_deepspeed_enabled"])
def test_an_engine_that_would_round_the_factors_is_refused(engine) -> None:
    """Of a plain LoRA it rounds what is trained, as others' trainers do; of the offset form all of the change."""
    given = {"is_fsdp_enabled": False, "is_deepspeed_enabled": False, "model": adapted("llama")}
    half, whole = SimpleNamespace(mixed_precision="bf16"), SimpleNamespace(mixed_precision="no")
    refuse_rounded_factors(SimpleNamespace(**given, accelerator=half))
    refuse_rounded_factors(SimpleNamespace(**{**given, engine: True}, accelerator=whole))
    plain = {**given, engine: True, "model": adapted("llama", init="standard")}
    refuse_rounded_factors(SimpleNamespace(**plain, accelerator=half))
    with pytest.raises(
        ConfigError, match="bf16 in the arguments: FSDP and DeepSpeed would round the adapter's factors"
    ):
        refuse_rounded_factors(SimpleNamespace(**{**given, engine: True}, accelerator=half))


@pytest.mark.parametrize(("fsdp", "stage", "sharded"), [(True, 0, True), (False, 3, True), (False, 2, False)])
def test_l2_to_the_start_is_refused_where_weights_are_in_parts(fsdp, stage, sharded) -> None:
    state = SimpleNamespace(deepspeed_plugin=SimpleNamespace(zero_stage=stage))
    trainer = SimpleNamespace(
        is_fsdp_enabled=fsdp, is_deepspeed_enabled=stage > 0, accelerator=SimpleNamespace(state=state)
    )
    assert will_be_sharded(trainer) == sharded
    refuse_sharded_start(trainer, 0.0)
    if sharded:
        with pytest.raises(ConfigError, match=r"l2_start = 0\.5: FSDP and ZeRO-3 leave each process a part"):
            refuse_sharded_start(trainer, 0.5)
    else:
        refuse_sharded_start(trainer, 0.5)


def test_files_of_quantised_weights_are_not_shared_out(monkeypatch) -> None:
    model = build("llama")
    refuse_shared_codes(model, "fsdp2")
    monkeypatch.setattr("balora.adapters.targets.is_quantised", lambda module: isinstance(module, torch.nn.Linear))
    refuse_shared_codes(model, "ddp")
    with pytest.raises(ModelError, match=r"launch\.strategy = 'zero2': the model's files hold quantised weights"):
        refuse_shared_codes(model, "zero2")


def test_how_the_model_was_shared_is_part_of_a_runs_id() -> None:
    spec = resolve(SPEC)
    shared = resolve({**SPEC, "launch.strategy": "fsdp2"})
    assert run_id(spec, {}, 2) != run_id(shared, {}, 2) != run_id(resolve({**SPEC, "launch.strategy": "zero2"}), {}, 2)
    for one in (spec, shared):
        content = {"spec": one.model_dump(mode="json"), "fingerprints": {}, "processes": 2}
        assert recorded_id(content) == run_id(one, {}, 2)
