"""Wrong versions of how conversations are read, rendered, closed and generated; one line each."""

# ruff: noqa: E501
# fmt: off
MUTANTS = {
    ("tasks/turn_end.py", "hostile/test_turn_ends.py"): [
        ("end-of-the-conversation", 'closing = _closing(last, _shared(last, inner, added) if inner is not None else "", added)', 'closing = _closing(last, last, added)'),
        ("line-end-learnt", "return text.removesuffix(tail), end.token is not None", "return text, end.token is not None"),
        ("half-a-token-shared", 'text if whole else text[: text.rfind("\\n") + 1]', "text"),
        ("first-token-closes", "((shared, -1),", "((shared, 0),"),
    ],
    ("tasks/generation.py", "hostile/test_turn_ends.py"): [
        ("template-ends-nothing", "(tokenizer.eos_token_id, turn_end(tokenizer).token)", "(tokenizer.eos_token_id,)"),
        ("first-end-only", "values = given if isinstance(given, list | tuple)", "values = given[:1] if isinstance(given, list | tuple)"),
        ("text-config-unseen", 'inner = getattr(model.config, "text_config", None)', "inner = None"),
        ("closing-text-stays", 'return text.partition(closing)[0] if closing else text', "return text"),
    ],
    ("tasks/encoding.py", "hostile/test_turn_ends.py"): [
        ("end-after-the-closing", "if eos is not None and not exchange.closed:", "if eos is not None:"),
    ],
    ("tasks/chat_template.py", "hostile/test_chat_rows.py"): [
        ("calls-may-vanish", 'message.get("tool_calls", []):', "[]:"),
        ("results-may-vanish", 'PROVEN_ROLES = ("developer", "tool")', 'PROVEN_ROLES = ("developer",)'),
        ("tools-left-out", 'for name in ("tools", "documents") if name in row', 'for name in ("documents",) if name in row'),
        ("arguments-in-one-form", "(False, True) if calls else (False,)", "(False,)"),
    ],
    ("tasks/chat_template.py", "hostile/test_call_answers.py"): [
        ("texts-may-vanish", 'for name in ("content", *THOUGHTS)]', "for name in THOUGHTS]"),
    ],
    ("tasks/conversations.py", "hostile/test_chat_rows.py"): [
        ("call-is-no-answer", 'if not answer.strip() and not turn.get("tool_calls"):', "if not answer.strip():"),
        ("nulls-stay", "if inner is not None}", "}"),
        ("parts-joined-by-a-blank", 'return "".join(texts)', 'return " ".join(texts)'),
    ],
    ("tasks/prompts.py", "hostile/test_chat_template_setting.py"): [
        ("template-only-when-asked", "return has_template(tokenizer) if data.chat_template is None", "return False if data.chat_template is None"),
        ("own-prompt-unused", "_filled(prompt or own, row)", "_filled(own, row)"),
    ],
    ("tasks/prompts.py", "hostile/test_unchanged_texts.py"): [
        ("blank-after-a-tab", "stripped[-1:].isspace()", 'stripped.endswith("\\n")'),
    ],
    ("tasks/thoughts.py", "tasks/test_thoughts.py"): [
        ("last-tag-parts", "return text.partition(tag[0])[2]", "return text.rpartition(tag[0])[2]"),
    ],
}
