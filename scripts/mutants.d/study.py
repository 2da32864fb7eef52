"""Wrong versions of how a study is carried out and looked at; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("study/engine/ray_task.py", "study/test_ray_task.py"): [
        ("works-in-the-place-itself", "with _own_folder(job.folder) as folder:", "with nullcontext(job.folder) as folder:"),
        ("finished-runs-again", "if finished := read_finished(job.folder, job.id):", "if False and (finished := None):"),
        ("last-try-counts", "finished = remove_unfinished(job.folder, job.id)", 'finished = remove_unfinished(job.folder, "")'),
        ("any-version-will-do", 'pair[0].split("+")[0] != pair[1].split("+")[0]', "False"),
        ("builds-must-be-equal", 'pair[0].split("+")[0] != pair[1].split("+")[0]', "pair[0] != pair[1]"),
        ("any-folder-will-do", "return path.read_bytes() == content", "return path.exists()"),
        ("messages-name-the-try", ".replace(str(folder), str(job.folder))", ""),
    ],
    ("study/engine/ray_pool.py", "study/test_ray_task.py"): [
        ("gpus-on-the-testbed", "if with_gpus and not on_testbed", "if with_gpus"),
        ("room-without-gpus", "if request.gpus else room", "if False else room"),
        ("rounding-loses-a-run", "/ request.gpus + 1e-9", "/ request.gpus - 1e-9"),
    ],
    ("study/store/object_storage.py", "study/test_object_storage.py"): [
        ("record-stays-while-files-change", 'self.files.rm_file(f"{place}/{RECORD}")', "pass"),
        ("record-first", "and name != RECORD:", "and True:"),
        ("damaged-runs-count-as-stored", "if _is_whole(place):", "if True:"),
        ("deleted-study-lives-on", 'if removes and not any(name.split("/")[-1] == "study.json" for name in there):', "if False:"),
        ("every-push-uploads-all", "if self._stored.get(folder) == _digest(record):", "if False:"),
        ("names-lead-out", "for name in filter(_is_safe, there):", "for name in there:"),
        ("lock-is-overwritten", ', mode="create")', ")"),
        ("living-owner-is-robbed", "if owner is None or owner.is_alive() is not False:", "if owner is None:"),
        ("lock-stays", "                self.files.rm_file(path)\n\n    def _lock", "                pass\n\n    def _lock"),
        ("failing-storage-is-a-bug", "except Exception as error:\n            reason", "except ZeroDivisionError as error:\n            reason"),
    ],
    ("study/engine/stored_pool.py", "study/test_object_storage.py"): [
        ("plan-is-not-stored", "self.storage.push()  # the plan, and runs that another study had finished", "pass"),
    ],
    ("study/store/stored_checkpoints.py", "study/test_stored_checkpoints.py"): [
        ("nothing-is-downloaded", "    _download(storage, folder, name)\n    thread", "    thread"),
    ],
    ("study/engine/devices.py", "study/test_devices.py"): [
        ("divided-gpu-as-a-whole", "for device in instances or [gpu]", "for device in [gpu]"),
        ("variable-ignored", "if (named := environment.get(VARIABLE)) is not None:", "if (named := environment.get(VARIABLE)) is None and False:"),
        ("all-entries-count", "entries[:end]", "entries"),
        ("number-for-uuid", "Device((gpu[1], gpu[2]), gpu[2])", "Device((gpu[1], gpu[2]), gpu[1])"),
    ],
    ("study/engine/pool.py", "study/test_devices.py"): [
        ("every-worker-on-the-first-gpu", "self.devices[place % len(self.devices)]", "self.devices[0]"),
        ("replaced-worker-sees-all", "team[team.index(worker)] = start(worker.device)", "team[team.index(worker)] = start(None)"),
        ("hidden-gpus-count", "[one for one in devices if one != HIDDEN]", "devices"),
    ],
    ("study/engine/job_array.py", "study/test_job_array.py"): [
        ("every-share-is-the-first", "[self.number - 1 :: self.of]", "[:: self.of]"),
        ("arms-are-parted", "groups.setdefault((run.task, run.seed), [])", "groups.setdefault(run.id, [])"),
        ("shares-without-runs", "if len(groups) < self.of:", "if False:"),
        ("siblings-run-again", "for path in (output, *shares_in(output))", "for path in (output,)"),
        ("failed-runs-are-lost", "failed_too=True", "failed_too=False"),
        ("does-not-wait", "if not (was_locked or is_locked(output)) or time.monotonic() > deadline:", "if True:"),
        ("zero-is-a-share", "if not 1 <= share.number <= share.of:", "if share.number > share.of:"),
    ],
    ("study/store/run_folders.py", "study/test_job_array.py"): [
        ("shares-are-forgotten", "others = (*reuse, *shares_in(output))", "others = reuse"),
        ("failures-come-first", "tries = [(source, False) for source in sources]", "tries = [(source, failed_too) for source in sources]"),
    ],
    ("study/engine/tune_rates.py", "study/test_job_array.py"): [
        ("half-a-search-decides", "if any(one.id not in records for one in planned.distinct):", "if False:"),
    ],
    ("study/design/deltas.py", "study/test_paper_suite.py"): [
        ("groups-of-scoring-pass", 'or key.startswith(f"{place}."):', "or False:"),
    ],
    ("study/plan/rates.py", "study/test_rates.py"): [
        ("the-spread-counts-for-nothing", "SPREADS = 1.0", "SPREADS = 0.0"),
        ("the-spread-is-a-merit", "self.mean - SPREADS * self.spread", "self.mean + SPREADS * self.spread"),
        ("a-loss-is-a-score", 'sign = 1.0 if criterion == "score" else -1.0', "sign = 1.0"),
        ("failed-runs-are-passed-over", "if not any(value is None for values in seeds.values() for value in values):", "if True:"),
        ("the-largest-of-equals", "(merit.value, -merit.rate)", "(merit.value, merit.rate)"),
        ("never-wider-below", "if grid[0] in found else ()", "if False else ()"),
        ("never-wider-above", "if grid[-1] in found else ()", "if False else ()"),
        ("no-end-is-an-end", "for start, rate in by_start.items() if rate in ends", "for start, rate in by_start.items() if False"),
    ],
    ("study/plan/rate_search.py", "study/test_rates.py"): [
        ("rows-of-the-blocks", 'given |= {"data.eval_split": HELD_OUT, "data.eval_rows": None}', 'given |= {"data.eval_rows": None}'),
        ("seeds-of-the-blocks", "seeds_from=seeds, looks=())", "seeds_from=())"),
        ("always-both", "    both = any(", "    both = True or any("),
        ("the-score-of-answers", 'if family == "nlg" and have_loss else', "if False else"),
        ("rates-forgotten", "plan.choices._replace(rates=search.rates)", "plan.choices._replace(rates={})"),
    ],
    ("study/plan/plan.py", "study/test_rates.py"): [
        ("an-arm-at-its-own-rate", "_resolved(study, choices, {}, task, {}) if at_base_rate else spec", "spec"),
        ("blocks-train-on-held-out-rows", "has_one_rate(study, choices.settings) else {\"data\": {\"held_out\": effort.held_out}}", "True else {}"),
        ("one-rate-is-searched-too", "    if has_one_rate(study, choices.settings) or choices.effort.rates or choices.rates:", "    if choices.effort.rates or choices.rates:"),
    ],
    ("study/plan/prepare.py", "study/test_rates.py"): [
        ("an-unused-grid-passes", 'if study.rates != "every" and not needs_rates', "if False and not needs_rates"),
    ],
    ("study/design/without_testbed.py", "study/test_rates.py"): [
        ("arms-at-one-rate-stay", "lambda delta: dotted(nest(delta)).get(RATE) == BASE_RATE", "lambda delta: False"),
    ],
    ("study/plan/plan.py", "study/test_paper_suite.py"): [
        ("every-setting-of-scoring-counts", '"scoring": spec.scoring.used_by(graders)', '"scoring": spec.scoring'),
        ("prompts-are-found-out-late", "return spec.replace(**changes)", "return spec.model_copy(update=changes)"),
    ],
    ("report/records/cautions.py", "report/test_report.py"): [
        ("chosen-weights-are-no-caution", 'run.spec.training.keep == "best" for', "False for"),
    ],
    ("study/store/lock.py", "study/test_lock.py"): [
        ("never-waits-for-orphans", "if too_late or (owner is not None and owner.is_alive()):", "if True:"),
        ("a-dead-owner-lives", "if owner is None or owner.is_alive() is False:", "if owner is None:"),
        ("an-owner-elsewhere-is-dead", "if owner is None or owner.is_alive() is False:", "if owner is None or not owner.is_alive():"),
        ("the-name-stays", '            _write(descriptor, "")\n', "            pass\n"),
    ],
    ("study/store/lock.py", "hostile/test_study_folder.py"): [
        ("a-removed-file-locks", " and _is_at(descriptor, output / NAME)", ""),
        ("the-file-may-go", "if not _is_at(descriptor, output / NAME):", "if False:"),
        ("links-are-followed", "os.O_RDWR | os.O_CREAT, links=False)", "os.O_RDWR | os.O_CREAT)"),
        ("anything-is-emptied", "if content and read_owner(content) is None:", "if False:"),
    ],
    ("study/store/entries.py", "hostile/test_sealed_study.py"): [
        ("entries-unread", "    if found == names:\n", "    if True:\n"),
        ("other-versions-unread", "        found = [(entry.arm, entry.task, entry.seed, \"\") for entry in record.runs]\n", "        found = names\n"),
        ("seeds-unread", "(plan.seeds, plan.pretrainings) != (record.seeds, record.pretrainings)", "False"),
        ("ids-unread", "    if odd:\n", "    if False:\n"),
        ("a-metric-without-tasks", "if not any(metric ==", "if not all(metric !="),
    ],
    ("study/store/study_folder.py", "hostile/test_sealed_study.py"): [
        ("seal-unread", "    if not is_whole(text):\n", "    if False:\n"),
        ("links-to-runs-count", "    if place.is_symlink():\n", "    if False:\n"),
        ("another-study-goes", "if not error.is_of(record):", "if False:"),
    ],
    ("study/store/run_folders.py", "study/test_trouble.py"): [
        ("files-go-unread", "        check_files(record, folder)\n", "        pass\n"),
        ("failed-is-finished", 'record.status != "ok" or damage(', "damage("),
        ("partial-copies-stay", 'glob(f"{PARTIAL}*")', 'glob("nothing")'),
        ("faulty-counts", "usable.pop(id, None)", "usable.get(id)"),
        ("failed-is-not-copied-over", 'if one.id not in usable or usable[one.id].status != "ok"]', "if one.id not in usable]"),
    ],
    ("study/store/run_folders.py", "hostile/test_run_files.py"): [
        ("reused-unread", "        check_files(record, source)\n", "        pass\n"),
        ("all-is-copied", 'in (*record.files, RECORD)]', 'in sorted(p.name for p in source.iterdir() if p.is_file())]'),
    ],
    ("study/store/aside.py", "study/test_trouble.py"): [
        ("aside-is-taken", "for place in places if not os.path.lexists(place))", "for place in places)"),
    ],
    ("study/engine/execute.py", "study/test_execute.py study/test_trouble.py"): [
        ("dead-is-failed", "return remove_unfinished(output / one.folder, one.id) or write_record", "return write_record"),
        ("a-dead-worker-stops-the-models", 'if event.kind != "died":', "if True:"),
        ("no-early-warning", "if warning := early_warning(plan):", "if warning := None:"),
        ("stopped-runs-stay", "            _remove_unfinished(output, unfinished.values())\n", ""),
    ],
    ("study/engine/execute.py", "hostile/test_study_folder.py"): [
        ("the-lock-goes-unread", "        held()\n", ""),
        ("a-failing-pool-is-a-bug", "        except OSError as error:\n            reason", "        except KeyError as error:\n            reason"),
        ("anothers-runs-are-removed", "            unfinished.clear()", "            pass"),
    ],
    ("study/store/run_folders.py", "study/test_execute.py study/test_trouble.py"): [
        ("finished-runs-are-removed", "    if finished is None:\n        remove(folder)", "    if True:\n        remove(folder)"),
    ],
    ("study/engine/worker.py", "study/test_trouble.py study/test_execute.py"): [
        ("a-full-disk-fails-the-run", "return any(text in message for text in FULL)", "return False"),
        ("a-full-disk-in-a-record-counts", "if record is not None and record.error is not None and _is_full_disk(record.error.message):", "if False:"),
    ],
    ("study/engine/pool.py", "study/test_trouble.py"): [
        ("last-comes-first", "list(reversed(stage))", "list(stage)"),
    ],
    ("study/engine/pool.py", "study/test_workers.py"): [
        ("the-next-stage-begins-early", "while waiting or events:", "while waiting:"),
        ("the-dead-are-given-work", "if not worker.process.is_alive():", "if False:"),
    ],
    ("study/engine/pool.py", "study/test_grouping.py"): [
        ("the-first-one-dies-alone", "for job in jobs.values()]", "for job in [*jobs.values()][:1]]"),
        ("one-ends-for-another", "self.jobs.pop(place)", "self.jobs.pop(max(self.jobs))"),
        ("together-unread", "next_group(waiting, together)", "next_group(waiting, 1)"),
    ],
    ("study/engine/worker.py", "study/test_grouping.py"): [
        ("one-place-for-all", "send((place, event))", "send((0, event))"),
        ("one-after-the-other", "        take_turns(works)", "        [work() for work in works]"),
    ],
    ("study/engine/grouping.py", "study/test_grouping.py"): [
        ("others-between-end-it", "        if _shared(other.spec) == key and other.run == first.run:\n", "        if _shared(other.spec) != key:\n            break\n        if True:\n"),
        ("beyond-the-block", "if len(group) == most or _block(other.spec) != _block(first.spec):", "if len(group) == most:"),
        ("one-too-many", "if len(group) == most or", "if len(group) > most or"),
        ("full-fine-tuning-too", "spec.adapter is None or loading", "loading"),
        ("codes-too", "loading.quantization or ", ""),
        ("compiled-too", "spec.training.compile or ", ""),
        ("threads-too", "spec.training.threads or ", ""),
        ("engines-too", 'launch.strategy != "ddp" or ', ""),
        ("any-head", 'f"{spec.objective.reference_head} {text}"', 'f"{text}"'),
        ("all-of-the-training", '"training": {*OF_ARMS}', '"training": True'),
        ("rates-apart", '    "learning_rate",\n', ""),
    ],
    ("study/engine/display.py", "study/test_display.py"): [
        ("together-takes-longer", "spent, self._at_once)", "spent, self.workers)"),
    ],
    ("progress.py", "study/test_display.py"): [
        ("time-under-way-is-added", "max(0.0, work - spent)", "max(0.0, work + spent)"),
        ("workers-share-nothing", "/ max(1, workers)", "/ 1"),
        ("an-unknown-kind-takes-no-time", "means.get(kind, fmean(known))", "means.get(kind, 0.0)"),
    ],
    ("folders.py", "test_folders.py"): [
        ("opened-in-place", "partial.open(\"xb\")", "path.open(\"wb\")"),
        ("unfinished-files-stay", "        partial.unlink(missing_ok=True)", "        pass"),
    ],
    ("study/engine/live_file.py", "study/test_watch.py"): [
        ("oldest-are-latest", "(run.id, *self._live.latest)[:LATEST]", "(*self._live.latest, run.id)[:LATEST]"),
        ("under-way-for-ever", "        self._under_way.pop(run.id, None)\n", ""),
        ("writes-every-time", "if now - self._written < EVERY:", "if False:"),
    ],
    ("report/watch/snapshot.py", "study/test_watch.py"): [
        ("stale-is-live", "() if active is False else tuple(", "() if False else tuple("),
        ("failures-take-time", '        if run.status == "ok":\n            cost = run.cost', "        if True:\n            cost = run.cost"),
        ("complete-while-running", "complete=not active and lacking == 0", "complete=lacking == 0"),
        ("reads-all-again", "if entry.id not in self._ok)", "if True)"),
    ],
    ("report/watch/live_page.py", "study/test_watch.py"): [
        ("refreshes-for-ever", "None if snapshot.complete else self._refresh", "self._refresh"),
    ],
    ("study/design/candidates.py", "study/test_made_arms.py"): [
        ("grid-one-at-a-time", "for values in product(*axes.values()):", "for values in zip(*axes.values()):"),
        ("shared-settings-lost", "delta = overlay(shared or {}, one.arm.delta)", "delta = one.arm.delta"),
        ("candidate-of-nothing", "delta, tuned=name)", "delta)"),
    ],
    ("study/design/arms.py", "study/test_made_arms.py study/test_design.py"): [
        ("points-are-always-new", "if twin is not None:", "if twin is not None and one.kind != 'made':"),
        ("candidates-are-arms", "twin = arms.get(key) if one.arm.tuned is None else", "twin = arms.get(key) if True else"),
        ("family-may-hold-the-reference", "elif name == (study.against or study.base_name):", "elif False:"),
    ],
    ("study/design/extends.py", "study/test_made_arms.py"): [
        ("below-wins", "content = below | above", "content = above | below"),
        ("entries-replaced-whole", "if isinstance(lower, dict) and isinstance(upper, dict):", "if False:"),
        ("null-keeps", "if entry is not None}", "if True}"),
        ("circle-not-seen", "if origin in trail:", "if False:"),
    ],
    ("study/design/without_testbed.py", "study/test_made_arms.py"): [
        ("testbed-settings-stay", "        return not unusable\n", "        return True\n"),
        ("one-level-is-a-factor", "if len(levels) > 1}", "if True}"),
    ],
    ("study/plan/plan.py", "study/test_trouble.py"): [
        ("the-base-is-compared-too", " - {against}", ""),
    ],
    ("study/plan/costs.py", "study/test_costs.py"): [
        ("steps-ignored", "fixed + each * (spec.training.stretched_steps or usual)", "fixed + each * usual"),
        ("terms-ignored", "spec.objective.regularized), (spec.model, spec.task)", "None), (spec.model, spec.task)"),
        ("shared-runs-twice", "for run in plan.distinct:", "for run in plan.runs:"),
    ],
    ("study/design/deltas.py", "hostile/test_remote_code.py"): [
        ("code-allowed-by-a-file", "    if not typed:\n        refuse_untyped(nested)", "    if False:\n        pass"),
        ("code-allowed-by-a-word", "given.get(key, False) is not False", "given.get(key, False) is True"),
    ],
}
