"""Attaching: what is refused, with the model as it was; seeds; the standard start; variants; precision."""

import pytest
import torch
import transformers as tf
from tiny_models import VOCAB, batch, build, logits, train, weights
from torch import nn

from balora.adapters import AdapterConfig, attach, reference_of
from balora.adapters.offset import lora_layers
from balora.errors import AdapterError

PISSA = AdapterConfig(rank=4)
STANDARD = AdapterConfig(rank=4, init="standard")
RANDOM = AdapterConfig(rank=4, init="random-matched")
MINOR = AdapterConfig(rank=4, init="minor")


def refused(model, config, message):
    """Attaching must fail with this message and leave the model as it was."""
    before, modules = weights(model), [type(module) for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    with pytest.raises(AdapterError, match=message):
        attach(model, config)
    assert [type(module) for module in model.modules()] == modules
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("init", ["pissa", "standard", "random-matched", "minor"])
def test_rank_above_the_smallest_layer_is_refused(init):
    message = (
        r"`rank` must be between 1 and min\(out, in\) = 12 of layer model.layers.0.self_attn.k_proj, got 13: lower "
        "it, or leave this layer out of `target_modules`"
    )
    refused(build("llama"), AdapterConfig(rank=13, init=init), message)
    attach(build("llama"), AdapterConfig(rank=12, init=init))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("q_prj",), r"unknown target module 'q_prj': did you mean 'q_proj'\?"),
        (("q_proj", "nothing"), "unknown target module 'nothing': known: down_proj, gate_proj, "),
        (("embed_tokens",), "'model.embed_tokens' is a Embedding: only Linear and Conv1D"),
        (("self_attn",), r"'model\.layers\.0\.self_attn' is a LlamaAttention: only Linear"),
    ],
)
def test_wrong_targets_are_refused(targets, message):
    refused(build("llama"), PISSA.replace(target_modules=targets), message)


def test_the_head_of_a_classifier_is_no_target():
    refused(build("bert"), PISSA.replace(target_modules=("query", "classifier")), "'classifier' belongs to a part that")


def test_unknown_modules_to_save_are_refused():
    refused(build("llama"), PISSA.replace(modules_to_save=("lm_hed",)), "unknown module to save 'lm_hed': did you mean")


def test_tied_weights_are_refused():
    model = build("gpt2")  # its head is the embedding
    refused(model, PISSA.replace(target_modules=("lm_head",)), "a weight of lm_head is shared with transformer.wte")
    refused(
        model, PISSA.replace(modules_to_save=("wte",)), "transformer.wte is shared with lm_head.* of `modules_to_save`"
    )


def test_names_that_peft_would_misread_are_refused():
    """PEFT would train `prescore` in full too, since its name ends like `score`."""
    model = nn.ModuleDict({"body": nn.Linear(4, 4), "prescore": nn.Linear(4, 4), "score": nn.Linear(4, 2)})
    config = AdapterConfig(rank=2, target_modules=("body",), modules_to_save=("score",))
    refused(
        model,
        config,
        "PEFT cannot separate prescore from the modules to save, which it selects by the ends of their names",
    )


def test_a_convolution_and_a_model_without_linear_layers_are_refused():
    refused(nn.Sequential(nn.Conv1d(4, 4, 1)), AdapterConfig(rank=1, target_modules=("0",)), "is a Conv1d: only Linear")
    refused(nn.Sequential(nn.Conv1d(4, 4, 1)), AdapterConfig(rank=1), "Sequential has no linear layer to adapt")


@pytest.mark.parametrize("config", [PISSA, STANDARD])
def test_a_second_attach_is_refused(config):
    tuned = attach(build("llama"), config)
    refused(tuned, config, "already has an adapter .* attach to the base model")
    refused(tuned.get_base_model(), config, "already has an adapter")


def test_weights_without_values_are_refused():
    with torch.device("meta"):
        model = tf.LlamaForCausalLM(build("llama").config)
    with pytest.raises(AdapterError, match=r"holds torch.float32 of shape .* on meta: load the base in floating point"):
        attach(model, PISSA)
    quantised = nn.Sequential(nn.Linear(4, 4))
    quantised[0].weight = nn.Parameter(torch.zeros(4, 4, dtype=torch.int8), requires_grad=False)
    refused(quantised, AdapterConfig(rank=2), "0 holds torch.int8 .* or set init to 'standard'")


def test_weights_that_are_not_finite_are_refused():
    model = build("llama")
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] = float("nan")
    for config in (PISSA, RANDOM, MINOR):
        with pytest.raises(ValueError, match="nan or inf"):
            attach(model, config)
    assert isinstance(model.model.layers[0].mlp.up_proj, nn.Linear)


def test_the_standard_start_is_a_scaled_normal_and_zero():
    model = nn.Sequential(nn.Linear(400, 300))
    layer = attach(model, AdapterConfig(rank=50, init="standard")).base_model.model[0]
    A, B = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert not B.any()
    scaled = A.detach().flatten() * 400**0.5  # 20,000 standard normals if the variance is 1/in
    assert abs(scaled.mean()) < 4 / len(scaled) ** 0.5
    assert abs(scaled.std() - 1) < 4 / (2 * len(scaled)) ** 0.5
    within = (scaled.abs() < 1).double().mean()  # 0.6827 of a normal, 0.577 of a uniform of the same variance
    assert abs(within - 0.6827) < 0.015


def test_a_start_that_could_never_move_is_refused():
    model = build("llama")
    weight = model.model.layers[1].mlp.up_proj.weight.data
    weight[4:] = weight[:4].repeat(9, 1)  # of rank 4, 24 columns
    message = (
        "the 4 smallest singular values of layer model.layers.1.mlp.up_proj are zero to rounding, so that an adapter "
        "with init 'minor' could never move: raise `rank`, leave this layer out of `target_modules`, or choose another "
        "`init`"
    )
    refused(model, MINOR, f"^{message}$")
    attach(model, MINOR.replace(target_modules=("gate_proj",))).unload()
    attach(model, MINOR.replace(rank=21, target_modules=("up_proj",))).unload()
    attach(model, PISSA)


@pytest.mark.parametrize("svd", ["exact", "randomized"])
@pytest.mark.parametrize("scaling", [1.0, 1.5])
def test_a_random_start_has_the_sizes_of_pissas_and_other_directions(scaling, svd):
    config = PISSA.replace(alpha=4 * scaling, svd=svd)
    found, pissa = (
        lora_layers(attach(build("llama"), config.replace(init=init), seed=3)) for init in ("random-matched", "pissa")
    )
    for name, layer in found.items():
        A, B = layer.lora_A["default"].trained.detach(), layer.lora_B["default"].trained.detach()
        A0 = pissa[name].lora_A["default"].trained.detach()
        torch.testing.assert_close(A @ A.T, (A0 @ A0.T).diag().diag(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(B.T @ B, (A0 @ A0.T).diag().diag(), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(A, A0, atol=0.1)
        sigma = torch.linalg.svdvals(scaling * B @ A)[:4]
        expected = torch.linalg.svdvals(pissa[name].get_base_layer().weight)[:4]
        torch.testing.assert_close(sigma, expected, rtol=1e-2 if svd == "randomized" else 1e-4, atol=0)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_minor_start_is_the_smallest_part_of_every_weight(family):
    for layer in lora_layers(attach(build(family), MINOR.replace(alpha=6))).values():
        weight = layer.get_base_layer().weight.detach()
        W = (weight.T if family == "gpt2" else weight).double()
        U, S, Vt = torch.linalg.svd(W, full_matrices=False)
        found = 1.5 * (layer.lora_B["default"].origin @ layer.lora_A["default"].origin).double()
        torch.testing.assert_close(found, (U[:, -4:] * S[-4:]) @ Vt[-4:], rtol=0, atol=1e-5)


def test_a_randomized_decomposition_of_the_smallest_is_refused():
    message = r"svd 'randomized' finds only the largest components: with init 'minor' set svd to 'exact'"
    with pytest.raises(ValueError, match=message):
        AdapterConfig(init="minor", svd="randomized")


@pytest.mark.parametrize(
    "config", [STANDARD, RANDOM, *(config.replace(svd="randomized") for config in (PISSA, RANDOM))]
)
def test_the_seed_and_nothing_else_fixes_the_start(config):
    def start(seed, global_seed, **changes):
        torch.manual_seed(global_seed)
        tuned = attach(build("llama"), config.replace(**changes), seed=seed)
        after = torch.rand(1)
        torch.manual_seed(global_seed)
        assert torch.equal(after, torch.rand(1)), "the global random state was touched"
        return {n: layer.lora_A["default"].weight.detach() for n, layer in lora_layers(tuned).items()}

    one, other, different = start(1, 10), start(1, 20), start(2, 10)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], different[name]) for name in one)
    first, second = (tensor for name, tensor in one.items() if name.endswith("q_proj"))
    assert not torch.allclose(first, second), "every layer draws its own numbers"
    fewer = start(1, 10, target_modules=("o_proj", "v_proj"))
    assert len(fewer) == 4
    assert all(torch.equal(one[name], tensor) for name, tensor in fewer.items())


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
@pytest.mark.parametrize("init", ["pissa", "standard", "random-matched", "minor"])
@pytest.mark.parametrize("variant", ["rslora", "dora"])
def test_variants_start_at_the_base_and_leave_it_alone(variant, init, family):
    model, inputs = build(family), batch(family)
    base = logits(model, inputs)
    tuned = attach(model, AdapterConfig(rank=4, alpha=8, init=init, variant=variant))
    assert torch.equal(logits(tuned, inputs), base)
    train(tuned, inputs)
    assert not torch.allclose(logits(tuned, inputs), base, atol=1e-2)
    with reference_of(tuned):
        assert torch.equal(logits(tuned, inputs), base)


@pytest.mark.parametrize(("variant", "scaling"), [("lora", 2.0), ("rslora", 4.0), ("dora", 2.0)])
@pytest.mark.parametrize("init", ["pissa", "standard", "random-matched", "minor"])
def test_the_variant_decides_the_scaling_and_the_start_the_rank_that_peft_sees(variant, scaling, init):
    tuned = attach(build("llama"), AdapterConfig(rank=4, alpha=8, init=init, variant=variant))
    assert tuned.peft_config["default"].r == (4 if init == "standard" else 8)
    assert {layer.scaling["default"] for layer in lora_layers(tuned).values()} == {scaling}
    assert ("lora_magnitude_vector.default.weight" in " ".join(tuned.state_dict())) == (variant == "dora")


@pytest.mark.parametrize(
    "config", [PISSA, STANDARD, RANDOM, MINOR, *(start.replace(variant="dora") for start in (PISSA, STANDARD, MINOR))]
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_bases_of_other_precision(dtype, config):
    model, inputs = build("llama").to(dtype), batch("llama")
    base = logits(model, inputs)
    tuned = attach(model, config)
    factors = torch.float64 if dtype == torch.float64 else torch.float32
    assert {p.dtype for n, p in tuned.named_parameters() if "lora_" in n} == {factors}
    assert torch.equal(logits(tuned, inputs), base)
    train(tuned, inputs)
    assert not torch.allclose(logits(tuned, inputs), base, atol=1e-2)
    with reference_of(tuned):
        assert torch.equal(logits(tuned, inputs), base)


@pytest.mark.parametrize("config", [PISSA, RANDOM, MINOR])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_casting_the_whole_model(dtype, config):
    inputs = batch("llama")
    tuned = attach(build("llama"), config).to(dtype)
    base = logits(build("llama").to(dtype), inputs)
    assert torch.equal(logits(tuned, inputs), base), "start and trained factor are rounded alike"
    train(tuned, inputs, lr=1e-2)
    assert not torch.allclose(logits(tuned, inputs), base, atol=1e-2)
    with reference_of(tuned):
        assert torch.equal(logits(tuned, inputs), base)


def test_autocast_resolves_changes_below_the_rounding_of_the_factors():
    """bfloat16 resolves 1/256 of A; a change of 1/2000 of it must still reach the output."""
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    tuned = attach(nn.Sequential(nn.Linear(32, 32, bias=False)), AdapterConfig(rank=4))
    layer = next(iter(lora_layers(tuned).values()))
    A, B = layer.lora_A["default"], layer.lora_B["default"]
    with torch.no_grad():
        A.trained.mul_(1 + 1 / 2000)
    exact = x.double() @ (B.trained.double() @ A.trained.double() - B.origin.double() @ A.origin.double()).T
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = B(A(x))
    assert found.dtype == torch.bfloat16
    assert (found.double() - exact).norm() < 0.02 * exact.norm()


def test_a_model_that_is_not_from_transformers():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, VOCAB))
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    base = model(x)
    tuned = attach(model, AdapterConfig(rank=2))
    assert tuned.base_model.targeted_module_names == ["0", "2"]
    assert torch.equal(tuned(x), base)


@pytest.mark.parametrize(
    ("kind", "task", "heads"),
    [
        ("BertForTokenClassification", "TOKEN_CLS", {"classifier"}),
        ("BertForQuestionAnswering", "QUESTION_ANS", {"qa_outputs"}),
        ("BertForMultipleChoice", None, {"classifier"}),
        ("BertForMaskedLM", None, set()),
        ("BertModel", None, set()),
    ],
)
def test_the_task_and_its_head(kind, task, heads):
    model = getattr(tf, kind)(build("bert").config)
    pooler = {name for name, _ in model.named_modules() if name.endswith("pooler.dense")}
    tuned = attach(model, PISSA)
    assert tuned.peft_config["default"].task_type == task
    trained = {name.split(".modules_to_save")[0] for name, p in tuned.named_parameters() if p.requires_grad}
    assert {name.removeprefix("base_model.model.") for name in trained if "lora_" not in name} == heads
    assert pooler <= set(tuned.base_model.targeted_module_names)
    assert "cls.predictions.decoder" not in tuned.base_model.targeted_module_names


def test_torch_attention_is_left_out():
    """nn.MultiheadAttention reads the weight of its out_proj without calling it: an adapter there would be inert."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    tuned = attach(layer, AdapterConfig(rank=2))
    assert sorted(tuned.base_model.targeted_module_names) == ["linear1", "linear2"]
