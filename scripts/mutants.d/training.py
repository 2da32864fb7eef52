"""Wrong versions of `balora.training`; one line each."""

# fmt: off
MUTANTS = {
    ("training/rows.py", "training/test_counted_rows.py"): [
        ("labels-not-shifted", "following = labels[:, 1:]", "following = labels[:, :-1]"),
        ("hidden-one-late", "hidden[:, :-1][counted]", "hidden[:, 1:][counted]"),
        ("logits-one-late", "logits[:, :-1][counted]", "logits[:, 1:][counted]"),
        ("padding-counts", "counted = following != IGNORED", "counted = following >= IGNORED"),
        ("soft-cap-overlooked", "if capped:", "if False:"),
        ("scaling-overlooked", "half else 1e-4)", "half else 1e4)"),
        ("trained-head-overlooked", "any(parameter.requires_grad for parameter in self.head.parameters())", "False"),
        ("nan-settles-it", "return  # the loss will say so; a later batch may decide", "pass"),
    ],
    ("training/loss.py", "training/test_telemetry.py training/test_reference_cache.py training/test_counted_rows.py"): [
        ("share-without-lambda", "size * terms.weights.get(name, 1.0)", "size"),
        ("reference-in-train-mode", "yield self.reference.eval()", "yield self.reference.train()"),
        ("reference-is-the-student", "with torch.no_grad(), reference_of(self.model):", "with torch.no_grad():"),
        ("nothing-kept", "self.reference_logits.keep(index, known)", "pass"),
        ("whole-numbers-are-classes", "student.logits.shape[-1] == 1 else", "False else"),
        ("fallback-said-each-step", "reader.fallback != known", "reader.fallback"),
        ("router-loss-dropped", 'getattr(base_of(model).config, "output_router_logits", False)', "False"),
    ],
    ("training/trainer.py", "training/test_accumulation.py"): [
        ("share-inverted", "return rows * processes / whole", "return whole * processes / max(rows, 1)"),
        ("share-of-one-process", "return rows * processes / whole", "return rows / whole"),
        ("means-of-means", "share_of_step(rows, items, processes)", "1 / micro_batches"),
        ("no-rows-divide-by-zero", ".clamp_min(1.0)", ""),
        ("divided-twice", "trainer.loss_is_scaled_for_ga = True", "trainer.loss_is_scaled_for_ga = False"),
        ("first-label-counts", 'model_kind(trainer.model) == "causal"', "False"),
    ],
    ("training/trainer.py", "training/test_trainer_refusals.py"): [
        ("smoothing-ignored", "if trainer.args.label_smoothing_factor:", "if False:"),
        ("own-loss-ignored", "if trainer.compute_loss_func is not None:", "if False:"),
        ("counts-for-every-model", "if self._model_takes_counts else None", "if True else None"),
        ("index-to-the-model", 'inputs.pop("index", None)', "pass"),
    ],
    ("training/trainer.py", "training/test_trainer_resume.py"): [
        ("progress-stands", "progress = step / max(trainer.state.max_steps, 1)", "progress = 0.5"),
    ],
    ("training/telemetry.py", "training/test_telemetry.py training/test_bad_numbers.py"): [
        ("recorded-every-micro-batch", " and step != self._last_step", ""),
        ("recorded-one-late", "step % self.every == 0", "step % self.every == 1"),
        ("share-not-divided", "float(norms[name]) / total if", "float(norms[name]) if"),
        ("share-over-its-own-steps", "sum(shares) / len(series)", "sum(shares) / len(shares)"),
        ("last-bad-step", "bad & (first < 0), step", "bad, step"),
        ("first-name-not-first-step", "min(bad, key=lambda found: found[0])", "bad[0]"),
        ("gradients-unwatched", "values.get(name), norms.get(name)", "values.get(name)"),
        ("nothing-read-when-recorded", "if norms or reading_is_free", "if reading_is_free"),
        ("always-read", "if norms or reading_is_free(terms.task.device):", "if True:"),
        ("one-reason-for-all", "reasons.total() == self._batches", "max(reasons.values()) == self._batches"),
    ],
    ("training/matching.py", "training/test_matching.py"): [
        ("inverted", "after = before * own / swapped", "after = before * swapped / own"),
        ("no-nudge", "if config.needs_reference else reference", "if False else reference"),
        ("other-noise", "generator.set_state(state)", "pass"),
        ("schedules-kept", ', schedule="constant")', ")"),
        ("own-is-the-swapped", '(("own", own), ("swapped", swapped))', '(("own", swapped), ("swapped", swapped))'),
        ("own-edition-lost", "edition=swapped.edition", 'edition="iclr-2026"'),
        ("all-terms-at-once", "weight=float(other == term)", "weight=1.0"),
    ],
    ("training/reference_cache.py", "training/test_reference_cache.py"): [
        ("some-known-is-enough", "any(number not in", "all(number not in"),
        ("not-a-copy", "logits.detach().clone()", "logits.detach()"),
        ("numbers-on-the-device", 'batch["index"] = tuple(_numbers(batch["index"]))', "pass"),
    ],
    ("training/probe.py", "training/test_probe.py"): [
        ("dropout-on", "    model.eval()\n", "    model.train()\n"),
        ("flags-left", "parameter.requires_grad_(flag)", "pass"),
        ("upwards", "loss.backward()", "(-loss).backward()"),
        ("seed-ignored", "manual_seed(seed)", "manual_seed(0)"),
    ],
    ("training/record.py", "training/test_run_record.py"): [
        ("identity-of-the-place", '"data": {"folder"}', '"data": {"subset"}'),
        ("identity-without-inputs", "[FORMAT, settings, fingerprints]", "[FORMAT, settings]"),
        ("any-format", 'content.get("format") != FORMAT', "False"),
    ],
    ("training/fingerprint.py", "training/test_run_record.py"): [
        ("names-alone", "{_digest(path, state.st_size, state.st_mtime_ns)}", ""),
        ("whole-path", "{path.name}:", "{path}:"),
    ],
}
