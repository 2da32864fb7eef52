"""Wrong versions of how programs are run, extracted, graded and sampled; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("tasks/pass_at_k.py", "tasks/test_pass_at_k.py"): [
        ("biased", "    for i in range(n - c + 1, n + 1):\n        none_passes *= 1.0 - k / i", "    none_passes = (1 - c / n) ** k"),
        ("one-factor-less", "range(n - c + 1, n + 1)", "range(n - c + 1, n)"),
        ("one-factor-more", "range(n - c + 1, n + 1)", "range(n - c, n + 1)"),
        ("right-and-wrong-swapped", "range(n - c + 1, n + 1)", "range(c + 1, n + 1)"),
        ("none-instead-of-one", "return 1.0 - none_passes", "return none_passes"),
        ("few-wrong-ones", "if n - c < k:", "if n - c <= k:"),
    ],
    ("tasks/sampling.py", "tasks/test_sampling.py"): [
        ("temperature-multiplies", "scores.double() / temperature", "scores.double() * temperature"),
        ("crossing-token-cut", "kept = mass - ordered < top_p", "kept = mass < top_p"),
        ("not-weighted-anew", "(numbers * total)[:, None]", "numbers[:, None]"),
        ("least-probable-first", "sort(dim=1, descending=True, stable=True)", "sort(dim=1, descending=False, stable=True)"),
        ("one-stream-for-all-samples", 'f"{seed} {prompt} {sample}"', 'f"{seed} {prompt}"'),
        ("one-stream-for-all-prompts", 'f"{seed} {prompt} {sample}"', 'f"{seed} {sample}"'),
        ("words-run-together", 'f"{seed} {prompt} {sample}"', 'f"{seed}{prompt}{sample}"'),
        ("one-number-for-all-tokens", "self.step += 1", "self.step += 0"),
        ("global-state", "torch.rand(count, generator=generator, dtype=torch.float64)", "torch.rand(count, dtype=torch.float64)"),
        ("streams-by-place-in-the-batch", "for position in positions]", "for position in range(len(positions))]"),
    ],
    ("tasks/code_answers.py", "tasks/test_code_answers.py"): [
        ("first-block-whatever-it-defines", "next((block for block in blocks if defines(block, entry_point)), blocks[0] if blocks else None)", "blocks[0] if blocks else None"),
        ("every-language", "if opening[3].casefold() in PYTHON:", "if True:"),
        ("language-by-case", "opening[3].casefold() in PYTHON", "opening[3] in PYTHON"),
        ("no-stop-words", "kept = text[: min((found for word in STOP_WORDS if (found := text.find(word)) >= 0), default=len(text))]", "kept = text"),
        ("lost-blanks-stay-lost", 'forms = (kept, "    " + kept.lstrip(" \\n"), textwrap.indent(dedented, "    "))', "forms = (kept,)"),
        ("function-without-its-prompt", "return (prompt, code) if prompt else (code,)", "return (code,)"),
        ("sentences-stay", "        code = _longest_code(code, entry_point)", "        pass"),
        ("own-asserts-stay", "    code = _without_asserts(code)", "    pass"),
        ("line-with-other-code-dropped", "number in own - others", "number in own"),
        ("inner-definitions-count", "re.search(rf\"^(?:(?:async", "re.search(rf\"(?:(?:async"),
        ("closing-fence-opens", "block = None if _starts_with_code(text, marks, entry_point) else _block", "block = None if False else _block"),
        ("paper-marks-stay", '.partition("[DONE]")[0].rpartition("[BEGIN]")[2]', ""),
    ],
    ("tasks/program_rows.py", "tasks/test_program_rows.py"): [
        ("few-shot-rows-scored", "range(11, 511)", "range(1, 511)"),
        ("half-the-split", "range(11, 511)", "range(11, 510)"),
        ("challenge-tests", 'tests = _texts(row, "test_list")', 'tests = _texts(row, "test_list") + row.values.get("challenge_test_list", [])'),
        ("check-never-called", '"tests": [test, f"check({name})"]', '"tests": [test]'),
        ("tests-that-cannot-fail", "if not any(map(_can_fail,", "if not list(map(_can_fail,"),
    ],
    ("tasks/programs.py", "tasks/test_programs.py"): [
        ("any-sample-is-the-first", '"correct": bool(ended) and ended[0].status == "ok"', '"correct": passed > 0'),
        ("no-answer-left-out", 'for item in items) / len(items) for k in ks', 'for item in items) / sum(item["samples"] > 0 for item in items) for k in ks'),
        ("only-the-first-test", '(*code, *row["tests"]), code[-1]', '(*code, row["tests"][0]), code[-1]'),
        ("exit-code-is-enough", 'passed = sum(outcome.status == "ok" for', 'passed = sum(outcome.returncode == 0 for'),
    ],
    ("sandbox/inner_runner.py", "sandbox/test_forged_passes.py"): [
        ("replaced-exec", "execute, names = exec, module.__dict__", "execute, names = (lambda *given: exec(*given)), module.__dict__"),
        ("exit-is-an-end", "except BaseException as error:", "except Exception as error:\n        return False, type(error).__name__\n    except BaseException:\n        return True, ''\n    except BaseException as error:"),
        ("child-reports", "if number() == own:", "if True:"),
        ("runs-as-main", 'types.ModuleType("program")', 'types.ModuleType("__main__")'),
        ("nameless-module", 'sys.modules["program"] = module', "pass"),
        ("token-read-first", 'report(channel, b"ready\\n")', 'token = receive(channel, 64); os.write(channel, b"ready\\n"); receive = lambda *given: token'),
    ],
    ("sandbox/supervision.py", "sandbox/test_run_programs.py sandbox/test_forged_passes.py"): [
        ("any-last-word-passes", 'received == b"ready\\n" + self._token', 'received.startswith(b"ready\\n") and len(received) > 6'),
        ("errors-names-any-text", 'return name if name.isidentifier() else ""', "return name"),
    ],
    ("sandbox/commands.py", "sandbox/test_escapes.py"): [
        ("network-shared", '"--unshare-all", "--unshare-user"', '"--unshare-all", "--share-net", "--unshare-user"'),
        ("root-is-writable", '"--remount-ro", "/", "--remount-ro", "/dev"', '"--remount-ro", "/dev"'),
        ("devices-are-writable", '"--remount-ro", "/", "--remount-ro", "/dev"', '"--remount-ro", "/"'),
        ("namespaces-inside", '"--disable-userns", ', ""),
        ("users-files", '"--ro-bind", "/usr", "/usr",', '"--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc",'),
        ("shared-memory-unlimited", '"--tmpfs", "/tmp", "--size", str(MIB)]', '"--tmpfs", "/tmp"]'),
    ],
    ("sandbox/availability.py", "sandbox/test_availability.py"): [
        ("silent-fallback", "    if path is None:\n", '    if path is None:\n        return Sandbox("local", interpreter)\n'),
        ("not-tried", '    return _tried(Sandbox("bubblewrap", interpreter, path), way_on)', '    return Sandbox("bubblewrap", interpreter, path)'),
    ],
}
