"""Random YAML: texts of its own signs, documents of given keys, and plain values written so that they are YAML."""

import json
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st

WORDS = [
    "1", "0", "-1", "0.5", "1e-4", "1e400", "1e-400", "017", "0x1f", "1:30", "1_000", "9" * 25, ".inf", ".nan", "true",
    "yes", "on", "null", "~", "2024-01-01", "{question}", "q_proj", "all-linear", "???", "suites", "swapped", "own",
    "<<", "=", "'", '"', "&x 1", "*x", "!!str 1", "!!python/name:os.system", "[", "]", "{", "}", "? [a]", "- a", "|",
    ">", "#", "%", "@", "`", "\t", "---", "...", "\x00", "\x1b[31m", "\u202e", "\ud83d", "\ufeff", "\u2028",
    "x" * 300, "~/x", "a: b", "[1, 2]", "{a: 1}", "[[1], {b: [2]}]", "a.b.c", "." * 60, '"\\0"', '"\\ud800"',
    '"\\UFFFFFFFF"', "--- a", "%YAML 9.9",
]  # fmt: skip
"""Pieces that mean something to YAML 1.1, to PyYAML, or to balora."""

texts = st.one_of(
    st.sampled_from(WORDS),
    st.lists(st.sampled_from([*WORDS, " ", "\n", ": ", ", "]), max_size=8).map("".join),
    st.text(),
)
"""Texts that may be YAML."""
names = st.text(max_size=8) | st.sampled_from(
    ["a", "b", "ba-lora", "x" * 250, "data.prompt", "λ", "a\x1b", "a\u202e", "=1"]
)
"""Names of arms, factors and levels."""


def documents(keys: Sequence[str]) -> st.SearchStrategy[str]:
    """Return YAML documents, mostly sound ones, of some of ``keys`` with nested values."""
    some_keys = st.sampled_from(list(keys)) | st.sampled_from(WORDS)
    flow = st.recursive(
        st.sampled_from(WORDS) | st.sampled_from(["1", "2", "lora", "nlu", "{adapter.rank: 3}", "[1, 2]"]),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
            | st.lists(st.tuples(some_keys, inner), max_size=3).map(
                lambda pairs: f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}"
            )
        ),
        max_leaves=6,
    )
    lines = st.lists(st.tuples(some_keys, flow), max_size=5)
    return lines.map(lambda pairs: "".join(f"{key}: {value}\n" for key, value in pairs))


def written(value: Any) -> str:
    """Return a value as YAML in JSON's syntax; keys and values that JSON lacks are written as their text."""
    return json.dumps(_plain(value), ensure_ascii=True).replace("NaN", ".nan").replace("Infinity", ".inf")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    known = isinstance(value, str | int | float) or value is None
    return value if known else str(value)
