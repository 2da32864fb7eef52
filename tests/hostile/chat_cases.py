"""Chat templates of the shapes that public models have, tokenizers of bytes to carry them, and conversations."""

from pathlib import Path
from typing import Any, NamedTuple

import trl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())


class Case(NamedTuple):
    """A chat template, the tokens it needs, and how it closes a turn."""

    template: str
    closing: str
    """What closes a turn, as a text."""
    learnt: str
    """What the answer `    yes\\n` becomes, with everything that is learnt."""
    added: tuple[str, ...] = ()
    eos: str | None = "<|endoftext|>"


def loop(turn: str, ask: str, end: str = "") -> str:
    otherwise = "{% else %}" + end if end else ""
    return (
        "{% for m in messages %}"
        + turn
        + "{% endfor %}{% if add_generation_prompt %}"
        + ask
        + otherwise
        + "{% endif %}"
    )


CHATML = loop("<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n", "<|im_start|>assistant\n")
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
LLAMA_3 = loop(
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>",
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
)
GEMMA = loop(
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n",
    "<start_of_turn>model\n",
)
PHI = loop("<|{{ m.role }}|>\n{{ m.content }}<|end|>\n", "<|assistant|>\n", "{{ eos_token }}")
MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
ZEPHYR = loop("<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n", "<|assistant|>\n")
COMMAND_R = loop("<|start|>{{ m.role }}<|r|>{{ m.content }}<|/r|><|end|>", "<|start|>assistant<|r|>")
GLM = loop("<|{{ m.role }}|>\n{{ m.content }}", "<|assistant|>\n")
WORDS = loop("### {{ m.role }}:\n{{ m.content }}[/turn]\n", "### assistant:\n")
BARE_LINES = loop("{{ m.role }}: {{ m.content }}\n", "assistant: ")
LAST_ONLY = loop("<|{{ m.role }}|>{{ m.content }}", "<|assistant|>", "{{ eos_token }}")
EMPTY_THOUGHT = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n\n</think>\n\n{% endif")
OPEN_THOUGHT = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
THOUGHT_IN_BOTH = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n"
    "{{ m.reasoning_content or '' }}\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PARTS = loop(
    "<|im_start|>{{ m.role }}\n{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}"
    "<|im_end|>\n",
    "<|im_start|>assistant\n",
)
NEEDS_SYSTEM = (
    "{% if messages[0].role != 'system' %}{{ raise_exception('a system message first') }}{% endif %}" + CHATML
)

HERMES = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% if documents %}<|im_start|>system\nDocuments: {{ documents | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}{% if m.name %} {{ m.name }}{% endif %}"
    "{% if m.tool_call_id %} {{ m.tool_call_id }}{% endif %}{{ '\n' }}"
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>\n{% endif %}"
    "{% if m.content %}{{ m.content }}{% endif %}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Shows calls, tools, documents, names and thoughts, as the templates of Qwen and Hermes do."""

CASES = {
    "chatml": Case(CHATML, "<|im_end|>", "    yes\n<|im_end|>", CHATML_TOKENS),
    "chatml, eos closes": Case(CHATML, "<|im_end|>", "    yes\n<|im_end|>", CHATML_TOKENS, "<|im_end|>"),
    "chatml, no eos": Case(CHATML, "<|im_end|>", "    yes\n<|im_end|>", CHATML_TOKENS, None),
    "llama 3": Case(LLAMA_3, "<|eot_id|>", "yes<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
    "gemma": Case(GEMMA, "<end_of_turn>", "yes<end_of_turn>", ("<start_of_turn>", "<end_of_turn>"), "<eos>"),
    "phi": Case(PHI, "<|end|>", "    yes\n<|end|>", ("<|user|>", "<|assistant|>", "<|end|>")),
    "phi, headers are text": Case(PHI, "<|end|>", "    yes\n<|end|>", ("<|end|>",)),
    "mistral": Case(MISTRAL, "</s>", "     yes\n</s>", ("[INST]", "[/INST]"), "</s>"),
    "zephyr": Case(ZEPHYR, "</s>", "    yes\n</s>", (), "</s>"),
    "two tokens": Case(
        COMMAND_R, "<|/r|><|end|>", "    yes\n<|/r|><|end|>", ("<|start|>", "<|r|>", "<|/r|>", "<|end|>")
    ),
    "nothing closes": Case(GLM, "", "    yes\n<|endoftext|>", ("<|user|>", "<|assistant|>")),
    "words close": Case(WORDS, "[/turn]", "    yes\n[/turn]<|endoftext|>"),
    "words close, no eos": Case(WORDS, "[/turn]", "    yes\n[/turn]", (), None),
    "a line end closes": Case(BARE_LINES, "", "    yes\n<|endoftext|>"),
    "only the last turn is closed": Case(LAST_ONLY, "<|endoftext|>", "    yes\n<|endoftext|>"),
    "an empty thought is asked": Case(EMPTY_THOUGHT, "<|im_end|>", "    yes\n<|im_end|>", CHATML_TOKENS),
    "a thought is opened": Case(OPEN_THOUGHT, "<|im_end|>", "    yes\n<|im_end|>", CHATML_TOKENS),
    "a thought is asked and written": Case(
        THOUGHT_IN_BOTH,
        "<|im_end|>",
        "<think>\n\n</think>\n\n    yes\n<|im_end|>",
        (*CHATML_TOKENS, "<think>", "</think>"),
    ),
    "wants parts": Case(PARTS, "<|im_end|>", "    yes\n<|im_end|>", CHATML_TOKENS),
}


def byte_tokenizer(case: Case) -> PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes, so that every text is exact, with the tokens and the template of ``case``."""
    tokenizer = Tokenizer(models.BPE({byte: number for number, byte in enumerate(BYTES)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    end = {"eos_token": case.eos} if case.eos else {}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|bos|>", **end)
    fast.add_special_tokens({"additional_special_tokens": [name for name in case.added if name != case.eos]})
    fast.chat_template = case.template
    return fast


def public_template(name: str) -> str:
    """Return the chat template of a public model, from TRL's collection."""
    return (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


USER = {"role": "user", "content": "Is it raining in Oslo?"}
CALL = {"id": "call_0001", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
FLAT_CALL = {"name": "get_weather", "arguments": {"city": "Oslo"}}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "a city"}},
            "required": ["city"],
        },
    },
}
RESULT = {"role": "tool", "tool_call_id": "call_0001", "name": "get_weather", "content": "light drizzle"}
FINAL = {"role": "assistant", "content": "Yes, it is."}


def calling(content: Any = None, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": [CALL], **fields}
