"""Wrong versions of what quantised bases need; one line each. The tests named here need no bitsandbytes."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("adapters/four_bit_codes.py", "quantised/test_four_bit_codes.py"): [
        ("codes-are-rearranged", "setattr(layer, FLAG, False)", "pass"),
        ("rearranged-are-taken", "if getattr(getattr(layer.weight, \"quant_state\", None), PACKED, False):", "if False:"),
    ],
    ("adapters/attachment.py", "quantised/test_quantised_bases.py"): [
        ("attach-lets-codes-change", "    keep_codes(model)\n", ""),
    ],
    ("adapters/full_weights.py", "adapters/test_full_weights.py"): [
        ("factors-of-the-codes", "        if weight is not None:\n            return weight\n", ""),
        ("any-weight-is-taken", "if not distance <= FARTHEST:", "if False:"),
        ("codes-are-taken-for-weights", "if weight.dtype not in FLOATS or tuple", "if tuple"),
        ("conv1d-is-not-turned", 'if getattr(layer, "source_cls", None) is Conv1D:', "if False:"),
        ("half-precision-stays", "weight.float() if weight.element_size() < 4 else weight", "weight"),
        ("named-source-may-lack-weights", "if self.named is not None:", "if False:"),
        ("warns-of-every-layer", "            self._has_warned = True\n", ""),
        ("weights-stay-in-memory", "        weight, fault = self._stored", "        self.last = weight, fault = self._stored"),
        ("source-may-be-missing", "if named is not None and checkpoint_folder(named) is None:", "if False:"),
        ("quantised-files-are-full", "if key is None or stored[key].get_tensor(key).dtype not in FLOATS:", "if key is None:"),
    ],
    ("adapters/checkpoint.py", "adapters/test_full_weights.py"): [
        ("the-models-own-wins", 'if source is None else source)', 'if True else source)'),
    ],
    ("adapters/merge_full.py", "adapters/test_full_weights.py"): [
        ("padding-is-compared", "return logits[mask.to(logits.device).bool()].double()", "return logits.double().flatten(0, -2)"),
        ("mean-of-the-absolute", "change.square().mean().sqrt()", "change.abs().mean()"),
        ("largest-without-sign", "change.abs().max()", "change.max() * 0.5"),
        ("spread-with-the-means", "first - first.mean(dim=-1, keepdim=True) if", "first if"),
        ("compared-in-training", "model.eval()(**", "model(**"),
    ],
    ("training/reference/reference_identity.py", "adapters/test_full_weights.py"): [
        ("codes-alone", "if key not in plain)", "if False)"),
    ],
    ("training/model_settings.py", "training/test_loading_settings.py"): [
        ("full-of-codes", "if self.quantization is not None:", "if False:"),
        ("full-in-half", 'if self.dtype not in (None, "float32"):', "if False:"),
        ("scales-of-int8", 'if not self.double_quantization and self.quantization != "nf4":', "if False:"),
        ("own-name-of-the-group", "    if FIELD in given:", "    if False:"),
        ("faults-by-the-inner-name", 'if key == FIELD or key.startswith(f"{FIELD}.") else key', "if False else key"),
    ],
    ("settings.py", "training/test_loading_settings.py"): [
        ("name-replaces-the-group", "            value = {NAMED[key]: value}\n", "            pass\n"),
        ("group-replaces-the-name", "            under = {NAMED[key]: under}\n", "            pass\n"),
    ],
    ("training/quantised_loading.py", "training/test_loading_settings.py"): [
        ("missing-package-is-not-said", "    if find_spec(PACKAGE) is None:", "    if False:"),
        ("spread-is-trained", "if len(places) > 1:", "if len(places) > 9:"),
        ("paged-needs-nothing", 'if "8bit" in spec.training.optimizer or "paged" in', 'if "8bit" in'),
    ],
    ("study/design/arms.py", "training/test_loading_settings.py"): [
        ("arms-lose-how-they-load", "merge(for_family(settings, family), PROBE_TASKS[family])", "{**for_family(settings, family), **PROBE_TASKS[family]}"),
    ],
    ("study/plan/plan.py", "training/test_loading_settings.py"): [
        ("runs-lose-how-they-load", 'merge(for_family(settings, family), {"task": task, "model": choices.model, "own": own})', '{**for_family(settings, family), "task": task, "model": choices.model, "own": own}'),
        ("full-arm-of-codes-is-planned", "if spec.adapter is None and (reason", "if False and (reason"),
    ],
    ("training/loading.py", "training/test_loading_settings.py"): [
        ("chosen-format-is-ignored", 'return spec.loading.dtype or ("bfloat16"', 'return ("bfloat16"'),
        ("head-in-half", "if dtype != torch.float32:", "if False:"),
        ("attention-is-ignored", 'PASSED_ON = ("attn_implementation", "device_map")', 'PASSED_ON = ("device_map",)'),
        ("places-are-ignored", 'PASSED_ON = ("attn_implementation", "device_map")', 'PASSED_ON = ("attn_implementation",)'),
        ("moved-in-any-case", "model if spec.loading.device_map is not None else model.to(device)", "model.to(device)"),
    ],
    ("training/trainer_arguments.py", "training/test_loading_settings.py"): [
        ("one-optimizer-for-all", "        optim=training.optimizer,\n", ""),
    ],
}
