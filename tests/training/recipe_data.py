"""Write a few rows of every set that the paper's recipes train and score on, in their published formats."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Rows = Iterable[Mapping[str, Any]]

METAMATHQA = [
    {
        "query": f"Sam has {n} pens and buys {m}. How many?",
        "response": f"{n} + {m} = {n + m}.\nThe answer is: {n + m}",
        "type": "GSM_AnsAug",
        "original_question": f"Sam has {n} pens and buys {m}. How many?",
    }
    for n in range(2, 8)
    for m in range(1, 5)
]
CODEFEEDBACK = [
    {
        "query": f"Write a function that adds {n}.",
        "answer": f"```python\ndef add(x):\n    return x + {n}\n```",
        "lang": "python",
        "resource": "own",
    }
    for n in range(1, 25)
]
WIZARDLM = [
    {
        "idx": f"own-{n}",
        "conversations": [
            {"from": "human", "value": f"Tell me {n} words."},
            {"from": "gpt", "value": " ".join(["word"] * n)},
        ],
    }
    for n in range(1, 25)
]
GSM8K = [
    {"question": f"Ann has {n} cats and gets {n}. How many?", "answer": f"{n} + {n} = {2 * n}\n#### {2 * n}"}
    for n in range(1, 5)
]
MATH = [
    {
        "problem": f"What is ${n}^2$?",
        "solution": f"It is $\\boxed{{{n * n}}}$.",
        "level": "Level 1",
        "type": "Algebra",
    }
    for n in range(2, 6)
]
HUMANEVAL = [
    {
        "task_id": f"HumanEval/{n}",
        "prompt": f'def add{n}(x):\n    """Add {n}."""\n',
        "canonical_solution": f"    return x + {n}\n",
        "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
        "entry_point": f"add{n}",
    }
    for n in range(3)
]
MBPP = [
    {
        "text": f"Write a function to add {n}.",
        "code": f"def add{n}(x):\n    return x + {n}",
        "task_id": 11 + n,
        "test_setup_code": "",
        "test_list": [f"assert add{n}(1) == {n + 1}"],
        "challenge_test_list": [],
    }
    for n in range(3)
]
MT_BENCH = [
    {"question_id": 81 + n, "category": category, "turns": [f"Say {n + 1} words.", "Say them again."]}
    for n, category in enumerate(("writing", "humanities", "stem"))
]

FILES: dict[str, Rows] = {
    "metamathqa/train.jsonl": METAMATHQA,
    "codefeedback/train.jsonl": CODEFEEDBACK,
    "wizardlm/train.jsonl": WIZARDLM,
    "gsm8k/test.jsonl": GSM8K,
    "math/test.jsonl": MATH,
    "humaneval/HumanEval.jsonl": HUMANEVAL,
    "mbpp/mbpp.jsonl": MBPP,
    "mt_bench/question.jsonl": MT_BENCH,
}


def write_recipe_data(folder: Path, *names: str) -> Path:
    """Write the files of the sets called ``names`` (none: of all) below ``folder``, and return it."""
    for file, rows in FILES.items():
        if not names or file.split("/")[0] in names:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
