"""Wrong versions of the measures beside the scores; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("measures/likelihood.py", "measures/test_likelihood.py"): [
        ("output-of-the-token-itself", "[place - 1 for place in row.scored]", "[place for place in row.scored]"),
        ("nothing-hidden", "[*row.ids[:place], mask, *row.ids[place + 1 :]]", "list(row.ids)"),
        ("everything-after-hidden", "[*row.ids[:place], mask, *row.ids[place + 1 :]]", "[*row.ids[:place], *[mask] * (len(row.ids) - place)]"),
        ("logits-for-log-p", ".float().log_softmax(dim=-1)", ".float()"),
        ("no-start-token", "whole = reader.start + _ids(reader, text)", "whole = _ids(reader, text)"),
        ("start-token-scored", "list(range(max(len(reader.start), 1), len(whole)))", "list(range(1, len(whole) - 1))"),
        ("marks-scored", "enumerate(special) if not mark]", "enumerate(special)]"),
        ("prompt-scored", "list(range(max(first, 1), len(ids)))", "list(range(1, len(ids)))"),
        ("border-by-length", "if one != two), len(before))", "if False), len(before))"),
        ("last-row-only", "sums[one.row] +=", "sums[one.row] ="),
        ("long-rows-pass", "if most is not None and len(row.ids) > most:", "if False:"),
    ],
    ("measures/blimp.py", "measures/test_sentence_pairs.py"): [
        ("tie-is-right", '"correct": one > two', '"correct": one >= two'),
        ("bad-likelier", '"correct": one > two', '"correct": one < two'),
        ("mean-over-pairs", "return mean(mean(paradigm) for paradigm in right.values())", "return mean(was for paradigm in right.values() for was in paradigm)"),
        ("pairs-mixed-up", "blimp_scores(pairs, found[::2], found[1::2])", "blimp_scores(pairs, found[: len(pairs)], found[len(pairs) :])"),
    ],
    ("measures/crows_pairs.py", "measures/test_sentence_pairs.py"): [
        ("signed-difference", "mean(abs(one - two)", "mean((one - two)"),
        ("modified-tokens", "place for place in more.scored if place in in_more", "place for place in more.scored if place not in in_more"),
        ("places-of-the-other", "for place in less.scored if place in in_less", "for place in less.scored if place in in_more"),
        ("whole-sentences-masked", "shared_tokens(*both) if reader.is_masked else both", "both"),
        ("unmodified-tokens-of-causal", "shared_tokens(*both) if reader.is_masked else both", "shared_tokens(*both)"),
        ("less-stereotyping", '"crows_pairs": mean(one > two', '"crows_pairs": mean(one < two'),
    ],
    ("measures/winogender.py", "measures/test_winogender.py"): [
        ("occupation-and-participant-swapped", "[0 if one > two else 1 if two > one else None", "[1 if one > two else 0 if two > one else None"),
        ("tie-is-the-participant", "1 if two > one else None", "1"),
        ("agreement", "chosen[he] != chosen[she]", "chosen[he] == chosen[she]"),
        ("female-likelier", "sentence[he] > sentence[she]", "sentence[he] < sentence[she]"),
        ("pairs-of-neutral", 'places[template, "female"]) for', 'places[template, "male"]) for'),
    ],
    ("measures/bbq.py", "measures/test_bbq.py"): [
        ("share-for-score", 'bias = 2 * mean(item["biased"] for item in people) - 1', 'bias = mean(item["biased"] for item in people)'),
        ("unknown-counts", 'people = [item for item in decided if not item["unknown"]]', "people = decided"),
        ("accuracy-for-error", '(1 - mean(item["correct"] for item in decided)) * bias', 'mean(item["correct"] for item in decided) * bias'),
        ("ambiguous-unscaled", "* bias if ambiguous else bias", "* bias if False else bias"),
        ("polarity-swapped", '("neg", "nonneg")) == "neg"', '("neg", "nonneg")) != "neg"'),
        ("polarity-ignored", '("neg", "nonneg")) == "neg"', '("neg", "nonneg")) != ""'),
        ("both-groups-decide", "if len(meant) != 1:", "if not meant:"),
        ("two-marks-are-one", "marks |= {part for mark in marks if BOTH_MARKS", "_ = {part for mark in marks if BOTH_MARKS"),
        ("least-likely", "triple.index(max(triple))", "triple.index(min(triple))"),
    ],
    ("measures/toxigen.py", "measures/test_toxigen.py"): [
        ("threshold-included", "> TOXIC_ABOVE", ">= TOXIC_ABOVE"),
        ("tie-is-yes", "said = [one > two for one, two", "said = [one >= two for one, two"),
        ("ties-count-nothing", "(one > two) + (one == two) / 2", "(one > two)"),
        ("toxic-likelier", "(one > two) + (one == two) / 2", "(one < two) + (one == two) / 2"),
        ("sum-for-mean", "value / max(len(row.scored), 1)", "value"),
    ],
    ("measures/hans.py", "measures/test_hans.py"): [
        ("neutral-is-entailment", "(name == ENTAILMENT) == pair.is_entailed", '(name != "contradiction") == pair.is_entailed'),
        ("mean-over-rows", '"hans": mean(cells.values())', '"hans": mean(right)'),
        ("labels-swapped", 'choice_of(row, "label", LABELS) == ENTAILMENT', 'choice_of(row, "label", LABELS) != ENTAILMENT'),
        ("questions-are-premises", 'and "question" not in task.text', ""),
    ],
    ("measures/held_out_text.py", "measures/test_held_out_text.py"): [
        ("likelihood-for-loss", "loss = -sum(log_likelihood)", "loss = sum(log_likelihood)"),
        ("mean-of-windows", "-sum(log_likelihood) / sum(tokens)", "-sum(log_likelihood) / len(tokens)"),
        ("nats-a-byte", "+ unscored) / math.log(2) / size", "+ unscored) / size"),
        ("unscored-tokens-for-nothing", "(sum(tokens) + unscored)", "sum(tokens)"),
        ("start-tokens-count", "len(row.ids) - len(reader.start)", "len(row.ids)"),
        ("characters-for-bytes", "len(text.encode())", "len(text)"),
        ("windows-too-long", "step = size - len(start)", "step = size"),
        ("windows-overlap", "range(0, len(ids), step)", "range(0, len(ids), max(step - 1, 1))"),
    ],
    ("measures/measured.py", "measures/test_all_measures.py"): [
        ("change-reversed", "after.values[name] - before.values[name]", "before.values[name] - after.values[name]"),
        ("before-and-after-swapped", 'flat[f"{name}_before"] = before.values[name]', 'flat[f"{name}_before"] = after.values.get(name, 0.0)'),
    ],
    ("training/side_measures.py", "training/test_side_measures.py"): [
        ("rows-swapped", '(("before", before), ("after", after))', '(("before", after), ("after", before))'),
        ("checkpoint-of-another", 'if task.family == "nlu":', "if False:"),
    ],
    ("measures/language_head.py", "measures/test_all_measures.py"): [
        ("backbone-not-replaced", "    setattr(language, language.base_model_prefix, backbone)\n", ""),
        ("numbers-drawn", "silence_transformers(), torch.random.fork_rng(devices=[])", "silence_transformers()"),
        ("drawn-head-used", 'if found["missing_keys"]:', "if False:"),
    ],
    ("measures/all_measures.py", "measures/test_all_measures.py"): [
        ("masked-as-causal", "if reader.is_masked and not LANGUAGE[name].of_masked:", "if False:"),
        ("hans-before-training", "        elif is_trained:", "        else:"),
    ],
}
