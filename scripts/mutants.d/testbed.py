"""Wrong versions of the testbed's language, of its measures and of its studies' blocks; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("tasks/testbed/noise.py", "tasks/testbed/test_text.py"): [
        ("noise-all-equally-prone", "high = min(1.0, 1.5 * noise)", "high = noise"),
        ("noise-mean-too-high", "return high if prone else 2 * noise - high", "return high if prone else noise"),
        ("noise-half-consistent", "CONSISTENT = 0.7", "CONSISTENT = 0.5"),
    ],
    ("tasks/testbed/draw.py", "tasks/testbed/test_text.py"): [
        ("minority-not-halved", "self._minority = 0.5 * (1 - imbalance)", "self._minority = 1 - imbalance"),
        ("bias-full-at-half", "self.rng.random() < 0.5 + 0.5 * self.bias", "self.rng.random() < 0.5 + self.bias"),
        ("bias-other-way", "return (1 - person.clan) if goes_with_clan else person.clan", "return person.clan if goes_with_clan else (1 - person.clan)"),
    ],
    ("tasks/testbed/text_nlg.py", "tasks/testbed/test_text.py"): [
        ("bias-keeps-all-facts", "if fact.stereotype or rng.random() >= draw.bias", "if True"),
    ],
    ("tasks/testbed/rows_nlu.py", "tasks/testbed/test_suites.py"): [
        ("though-as-but", 'else f"{text} though {other}"', 'else f"{other} though {text}"'),
        ("sentiment-never-rare", "rare = is_rare(adjective, SENTIMENT[1 - label if negated else label])", "rare = False"),
        ("sentiment-wrong-is-right", "cue_of(person, label), 1 - label", "cue_of(person, label), label"),
        ("similarity-out-of-four", "label = HIGHEST_SCORE * shared / len(pairs.PARTS)", "label = float(shared)"),
    ],
    ("tasks/testbed/decoder.py", "tasks/testbed/test_pretraining.py"): [
        ("documents-see-each-other", "(document[:, :, None] == document[:, None, :]).tril()", "(document[:, :, None] >= 0).expand(-1, -1, ids.shape[1]).tril()"),
        ("next-document-foretold", "ids[:, 1:].masked_fill(ids[:, 1:] == START, PAD)", "ids[:, 1:]"),
    ],
    ("tasks/testbed/encoder.py", "tasks/testbed/test_pretraining.py"): [
        ("padding-replaced", "free = ids >= len(SPECIAL)", "free = ids >= 0"),
        ("links-asked-under-masks", "links = np.where(masked | replaced, IGNORED, links)", "links = np.where(masked, IGNORED, links) * 0 + 1"),
    ],
    ("tasks/testbed/pretrain.py", "tasks/testbed/test_pretraining.py"): [
        ("no-second-attempt", "ATTEMPTS = 3", "ATTEMPTS = 1"),
    ],
    ("tasks/testbed/flaw_measures.py", "tasks/testbed/test_inheritance.py"): [
        ("minority-is-majority", 'known["group"] == "minority"', 'known["group"] == "majority"'),
        ("best-group", "min(shares, default=None)", "max(shares, default=None)"),
        ("tiny-cells-count", "LEAST_IN_A_CELL = 20", "LEAST_IN_A_CELL = 1"),
        ("robust-minus-aligned", 'lambda known: known["cue"] == "aligned"', 'lambda known: known["cue"] == "against"'),
        ("gap-without-others", "lambda known: not known[\"prone\"]", "lambda known: True"),
        ("any-mistake-is-memory", "return known and given != wanted", "return given != wanted"),
        ("right-programs-are-memory", "return known and given != wanted", "return known"),
        ("levels-rounded-down", "round(item[\"prediction\"] / level)", "int(item[\"prediction\"] / level)"),
    ],
    ("tasks/behaviour.py", "tasks/test_behaviour.py"): [
        ("ece-signed", "float((right - confidence).abs().sum()) / n", "abs(float((right - confidence).sum())) / n"),
        ("ece-bin-means-unweighted", "float((right - confidence).abs().sum()) / n", "float(((right - confidence).abs() / counts.clamp_min(1)).mean())"),
        ("bins-ten", "BINS = 15", "BINS = 10"),
        ("rank-of-squares", ".clamp_min(0).sqrt()", ".clamp_min(0)"),
        ("rank-mean-kept", "mean = logits.mean(dim=1, dtype=torch.float64)", "mean = logits.mean(dim=1, dtype=torch.float64) * 0"),
        ("entropy-in-bits", "self._entropy / n", "self._entropy / n / 0.6931471805599453"),
    ],
    ("training/forgetting.py", "training/test_forgetting.py"): [
        ("forgetting-sign", '"forgetting": after - before', '"forgetting": before - after'),
        ("drift-reversed", "(old.exp() * (old - new)).sum()", "(new.exp() * (new - old)).sum()"),
        ("held-out-flawed", "documents(config.clean(), family", "documents(config, family"),
        ("held-out-is-trained-on", 'stream="held-out"', 'stream="train"'),
    ],
    ("tasks/grading.py", "tasks/test_nlg_tasks.py"): [
        ("programs-compared-as-text", 'passes(prediction.strip(), row["tests"])', 'prediction.strip() == row["answer"]'),
    ],
    ("study/plan/plan.py", "study/test_testbed_plan.py"): [
        ("rate-over-the-arm", "held_out, rate, given, delta", "held_out, given, delta, rate"),
        ("no-rate-of-its-own", "return spec if rate is None else", "return spec if True else"),
    ],
    ("study/plan/blocks.py", "study/test_testbed_plan.py"): [
        ("one-model-for-all", "i % pretrainings", "0"),
        ("blocks-share-a-seed", "enumerate(seeds(count))", "enumerate([seeds(count)[0]] * count)"),
    ],
}
