"""Wrong versions of how a judge is asked, read, repeated, cached and averaged; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("tasks/nlg.py", "judging/test_second_turn.py"): [
        ("the-first-answer-goes-too", "for index, answers in given.items()}\n    return both", "for index, answers in given.items() if index in said}\n    return both"),
        ("every-refusal-is-passed-over", "        if answer:\n            raise\n", ""),
    ],
    ("tasks/row_checks.py", "judging/test_second_turn.py"): [
        ("an-empty-turn-is-shown", 'UNANSWERED = "."', 'UNANSWERED = ""'),
    ],
    ("tasks/splits.py", "tasks/test_program_rows.py"): [
        ("problems-count-twice", "        if name in first:", "        if False:"),
    ],
    ("judging/ratings.py", "judging/test_ratings.py"): [
        ("first-rating-counts", "if len(ratings) > 1:", "if False:"),
        ("any-number-is-a-rating", "if not WORST <= ratings[0] <= BEST:", "if False:"),
        ("rating-from-zero", "BEST, WORST = 10.0, 1.0", "BEST, WORST = 10.0, 0.0"),
        ("decimals-lost", 'NUMBER = r"\\[\\[\\s*(\\d{1,4}(?:\\.\\d{1,6})?)\\s*\\]\\]"', 'NUMBER = r"\\[\\[\\s*(\\d{1,4})"'),
        ("subscripts-read", '(?i:rating|grade|score)\\W{0,10}\\[', '\\['),
        ("thoughts-read", 'return reply.rpartition("</think>")[2]', "return reply"),
        ("digits-of-any-script", "re.findall(NUMBER, said, re.ASCII) or", "re.findall(NUMBER, said) or"),
        ("first-verdict-counts", "if len(verdicts) > 1:", "if False:"),
        ("c-is-b", '"C": "tie"', '"C": "B"'),
    ],
    ("judging/questions.py", "judging/test_questions.py"): [
        ("blank-reference-shown", "all(text.strip() for text in needed)", "True"),
        ("reference-in-every-category", "if whole and self.category in WITH_REFERENCE else None", "if whole else None"),
        ("any-number-of-turns", "len(turns) != TURNS or", "False or"),
        ("any-category", "if category not in CATEGORIES:", "if False:"),
        ("twice", "if count > 1]", "if count > 2]"),
    ],
    ("judging/judge_prompts.py", "judging/test_judge_prompts.py judging/test_single_grading.py"): [
        ("changed-text-passes", "if digest(found[name]) != expected:", "if False:"),
        ("system-not-checked", "json.dumps(list(template))", "json.dumps(template.user)"),
        ("orders-alike", '"answer_b": second[0], **_numbered("answer_a", first)', '"answer_b": second[0], **_numbered("answer_a", second)'),
        ("reference-not-shown", "Form(kind, len(questions), references is not None)", "Form(kind, len(questions), False)"),
    ],
    ("judging/pauses.py", "judging/test_pauses.py judging/test_judge.py"): [
        ("no-doubling", "FIRST * 2 ** min(failures - 1, 30)", "FIRST"),
        ("no-limit", "pause = min(LONGEST, FIRST", "pause = max(FIRST, FIRST"),
        ("no-jitter", "pause * self._random.uniform(0.5, 1)", "pause"),
        ("shortest-wait-holds", "max(self._not_before, self._clock.now() + seconds)", "self._clock.now() + seconds"),
        ("wait-ignored", "self._clock.now()) > 0:", "self._clock.now()) > 1e9:"),
        ("date-from-this-clock", "(now or datetime.now(UTC))", "datetime.now(UTC)"),
    ],
    ("judging/judgement_cache.py", "judging/test_judgement_cache.py"): [
        ("model-not-in-key", "json.dumps([FORMAT, body], sort_keys=True)", 'json.dumps([FORMAT, body["messages"], body.get("temperature"), body.get("max_tokens")])'),
        ("order-in-key", "json.dumps([FORMAT, body], sort_keys=True)", "json.dumps([FORMAT, body])"),
        ("damage-not-seen", "if rest or hashlib.sha256(body).hexdigest().encode() != digest:", "if rest:"),
        ("another-requests-entry", 'if stored["request"] == key else None', ""),
        ("links-followed", "LARGEST, links=False)", "LARGEST)"),
        ("torn-entries", "write_atomic(path, body", "path.write_bytes(body"),
    ],
    ("judging/judge_client.py", "judging/test_judge_secrets.py judging/test_judge.py"): [
        ("redirects-followed", "follow_redirects=False", "follow_redirects=True"),
        ("proxy-for-loopback", "trust_env=not is_loopback(config.url)", "trust_env=True"),
        ("no-proxy-at-all", "trust_env=not is_loopback(config.url)", "trust_env=False"),
        ("key-repeated", 'return plain.replace(key, "[key]") if', "return plain if"),
        ("key-parted-by-the-cut", 'clean(content[:MOST_CLEANED].decode("utf-8", "replace"))[:60]', 'clean(content[:60].decode("utf-8", "replace"))'),
        ("every-header-sent", "if name.lower() not in SENT_HEADERS:", "if False:"),
        ("bad-key-sent", 'if not re.fullmatch(r"[\\x21-\\x7e]*", key):', "if False:"),
        ("key-in-the-wire-log", "WIRE_LOG.setLevel(max(self._level, logging.INFO))", "pass"),
        ("compressed-accepted", 'if encoding.lower() != "identity":', "if False:"),
        ("long-waits-waited", "if status in (*AGAIN, 503) else None", "if status == 503 else None"),
        ("used-up-asked-again", "or error.code in USED_UP", ""),
        ("negative-tokens", "0 <= count < 10**9", "count < 10**9"),
        ("half-characters", '.encode("utf-8", "replace").decode()', ""),
    ],
    ("judging/judge.py", "judging/test_judge.py judging/test_judgement_cache.py"): [
        ("no-retries", "1 if self._lost else 1 + self._retries", "1"),
        ("one-retry-too-many", "1 if self._lost else 1 + self._retries", "1 if self._lost else 2 + self._retries"),
        ("lost-server-tried-in-full", "1 if self._lost else 1 + self._retries", "1 + self._retries"),
        ("lost-for-ever", "                self._lost = False\n", ""),
        ("wait-not-shared", "self._pauses.hold(fault.wait)", "pass"),
        ("check-is-patient", "(absent and not patient)", "False"),
        ("failures-cached", "            return Judgement(None, fault.text, str(fault))\n", "            self._cache.store(request_key(body), Reply(fault.text))\n            return Judgement(None, fault.text, str(fault))\n"),
        ("missing-is-zero", "return Judgement(None, fault.text, str(fault))", "return Judgement(0.0, fault.text, str(fault))  # type: ignore[arg-type]"),
        ("replies-not-counted", 'self.counts["requests"] += 1', "pass"),
        ("one-at-a-time", "asyncio.Semaphore(self.config.concurrency)", "asyncio.Semaphore(1)"),
        ("all-at-once", "asyncio.Semaphore(self.config.concurrency)", "asyncio.Semaphore(1000)"),
    ],
    ("judging/single_grading.py", "judging/test_single_grading.py"): [
        ("half-an-item-scored", "mean(known) if len(known) == len(ratings) else None", "mean(known) if known else None"),
        ("turns-swapped", "(rating := judgements[turn].value)", "(rating := judgements[-1 - turn].value)"),
        ("missing-counts-as-zero", "for judgements in by_question if (rating := judgements[turn].value) is not None]", "for judgements in by_question for rating in [judgements[turn].value or 0.0]]"),
        ("judged-of-questions", "[float(j.value is not None) for judgements in by_question for j in judgements]", "[float(all(j.value is not None for j in judgements)) for judgements in by_question]"),
    ],
    ("judging/pair_comparison.py", "judging/test_pair_comparison.py"): [
        ("one-order-decides", 'return in_order if in_order == swapped else "tie"', "return in_order"),
        ("tie-and-win-is-a-win", 'return in_order if in_order == swapped else "tie"', 'return in_order if swapped in (in_order, "tie") else "tie"'),
        ("swapped-not-turned", "SWAPPED[swapped.value]", "IN_ORDER[swapped.value]"),
        ("same-order-twice", "_prompt(judge, question, turn, b, a)", "_prompt(judge, question, turn, a, b)"),
        ("ties-lose", '"tie": 0.5', '"tie": 0.0'),
    ],
    ("tasks/scores.py", "judging/test_judged_recipe.py"): [
        ("grades-as-shares", "return task.scale *", "return 100.0 *"),
    ],
    ("training/identity.py", "judging/test_judged_recipe.py"): [
        ("where-a-judge-stands", "if name not in ONLY_COSTS", "if name"),
    ],
    ("tasks/prepared.py", "training/test_recipes.py"): [
        ("nothing-was-seen", "question_of(row) in learnt", "row in ()"),
    ],
}
