"""Columns and labels of every format, GLUE's own files, and what is refused."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from balora.errors import ConfigError, DataError, shown
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.files import SourceRow
from balora.tasks.row_checks import check_row
from balora.tasks.splits import read_rows, read_split


def rows(folder: Path, task: str, name: str, content: str, split: str = "train") -> list[dict[str, Any]]:
    (folder / name).write_text(content, encoding="utf-8")
    return read_rows(TASKS[task], DataConfig(folder=str(folder)), split)


def checked(task: str, **values: Any) -> Any:
    return check_row(TASKS[task], SourceRow("f.jsonl:7", values))


def complaint(task: str, **values: Any) -> str:
    with pytest.raises(DataError) as caught:
        checked(task, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


GLUE_ARCHIVE = {
    "cola": (
        "gj04\t1\t\tOur friends won't buy.\ngj04\t0\t*\tThem \"left.\n",
        [{"sentence": "Our friends won't buy.", "label": 1}, {"sentence": 'Them "left.', "label": 0}],
    ),
    "sst2": ("sentence\tlabel\nhide new secretions \t0\n", [{"sentence": "hide new secretions ", "label": 0}]),
    "mrpc": (
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t702876\t702977\tAmrozi.\tReferring.\r\n",
        [{"sentence1": "Amrozi.", "sentence2": "Referring.", "label": 1}],
    ),
    "stsb": (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
        "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA plane.\tAn air plane.\t5.000\n",
        [{"sentence1": "A plane.", "sentence2": "An air plane.", "label": 5.0}],
    ),
    "qqp": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n133273\t213221\t213222\tHow?\tWhy?\t1\n",
        [{"question1": "How?", "question2": "Why?", "label": 1}],
    ),
    "qnli": (
        "index\tquestion\tsentence\tlabel\n0\tWhen?\tThen.\tnot_entailment\n",
        [{"question": "When?", "sentence": "Then.", "label": 1}],
    ),
    "rte": (
        "index\tsentence1\tsentence2\tlabel\n0\tNo.\tYes.\tnot_entailment\n1\tA.\tB.\tentailment\n",
        [{"sentence1": "No.", "sentence2": "Yes.", "label": 1}, {"sentence1": "A.", "sentence2": "B.", "label": 0}],
    ),
    "mnli": (
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
        "sentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
        "0\t31193\t31193n\tgov\t( a )\t( b )\t(A)\t(B)\tCream.\tProduct.\tentailment\tneutral\n",
        [{"premise": "Cream.", "hypothesis": "Product.", "label": 1}],
    ),
}


@pytest.mark.parametrize("task", GLUE_ARCHIVE)
def test_the_files_of_glues_own_archive(tmp_path: Path, task: str) -> None:
    content, expected = GLUE_ARCHIVE[task]
    assert rows(tmp_path, task, "train.tsv", content) == expected


def test_cola_tsv_with_a_header_is_read_too(tmp_path: Path) -> None:
    assert rows(tmp_path, "cola", "train.tsv", "sentence\tlabel\nHe go.\t0\n") == [{"sentence": "He go.", "label": 0}]


def test_the_columns_of_datasets_and_of_plain_jsonl(tmp_path: Path) -> None:
    assert checked("cola", sentence1="A", label=1) == {"sentence": "A", "label": 1}
    assert checked("mnli", premise="A", hypothesis="B", label=2, idx=0) == {
        "premise": "A",
        "hypothesis": "B",
        "label": 2,
    }
    assert checked("qnli", question="A", sentence="B", label=0) == {"question": "A", "sentence": "B", "label": 0}


@pytest.mark.parametrize(
    ("task", "label", "index"),
    [
        ("rte", "entailment", 0), ("rte", "not_entailment", 1), ("rte", 1, 1), ("rte", "0", 0), ("rte", " 1 ", 1),
        ("cola", "acceptable", 1), ("sst2", "negative", 0), ("mrpc", "equivalent", 1), ("qqp", "duplicate", 1),
        ("qnli", "entailment", 0), ("mnli", "contradiction", 2), ("mnli", "neutral", 1), ("mnli", "2", 2),
        ("mnli", 2.0, 2), ("rte", "1.0", 1), ("cola", True, 1), ("sst2", "FALSE", 0), ("sst2", "Positive", 1),
        ("rte", "Not entailment", 1), ("cola", Decimal("1.00"), 1),
    ],
)  # fmt: skip
def test_labels_may_be_numbers_digits_or_words(task: str, label: Any, index: int) -> None:
    texts = dict.fromkeys(TASKS[task].text, "a")
    assert checked(task, **texts, label=label)["label"] == index


@pytest.mark.parametrize("label", [2, -2, 1.5, 2.0, None, "yes", "", "1.5", [1], "01", "１", "+1", "1e0", "0_1"])
def test_labels_outside_the_set_are_refused(label: Any) -> None:
    assert complaint("cola", sentence="a", label=label) == (
        f"f.jsonl:7: label is {label if not isinstance(label, str) else label.strip()!r}, "
        f"but cola's labels are 0 or 'unacceptable', 1 or 'acceptable'"
    )


@pytest.mark.parametrize("label", [-1, "-1"])
def test_the_hidden_labels_of_glues_test_sets(label: Any) -> None:
    assert complaint("sst2", sentence="a", label=label) == (
        "f.jsonl:7: label is -1: GLUE keeps the labels of its test sets to itself, so this split can be neither "
        "trained on nor scored: use 'validation'"
    )
    assert "keeps the labels" in complaint("stsb", sentence1="a", sentence2="b", label=float(label))


@pytest.mark.parametrize(("label", "value"), [(0, 0.0), (5, 5.0), ("3.8", 3.8), (2.5, 2.5)])
def test_similarities_are_numbers_from_0_to_5(label: Any, value: float) -> None:
    assert checked("stsb", sentence1="a", sentence2="b", score=label)["label"] == value


@pytest.mark.parametrize(
    "label",
    [5.01, -0.5, "five", None, True, float("nan"), float("inf"), 10**400, "0_1", "１", "1e0", "nan", "0x1", "+1"],
)
def test_similarities_out_of_range_are_refused(label: Any) -> None:
    assert complaint("stsb", sentence1="a", sentence2="b", label=label) == (
        f"f.jsonl:7: label is {shown(label)}, but a number from 0 to 5 is needed"
    )


def test_a_missing_label_column_lists_the_columns_found() -> None:
    assert complaint("rte", sentence1="a", sentence2="b", Labels=1) == (
        "f.jsonl:7: label column missing (looked for 'label', 'gold_label', 'Quality', 'is_duplicate'); "
        "columns found: sentence1, sentence2, Labels"
    )


def test_a_missing_text_column_lists_the_columns_found() -> None:
    assert complaint("rte", sentence1="a", label=1) == (
        "f.jsonl:7: text column 'sentence2' missing (looked for 'sentence2', '#2 String'); "
        "columns found: sentence1, label"
    )


def test_texts_of_another_type_and_empty_texts() -> None:
    assert complaint("cola", sentence=3, label=1) == "f.jsonl:7: sentence is 3, but a text is needed"
    assert complaint("cola", sentence=" ", label=1) == "f.jsonl:7: the text is empty: leave the row out of the file"
    assert checked("qqp", question1="a", question2="", is_duplicate=0)["question2"] == ""  # QQP has such rows


def test_columns_of_gsm8k_math_and_metamath_are_recognised() -> None:
    assert checked("gsm8k", question="Q?", answer="2 + 2 = 4\n#### 4") == {
        "question": "Q?", "answer": "2 + 2 = 4\n#### 4", "final": "4",
    }  # fmt: skip
    math = checked("math", problem="P", solution="so $\\boxed{\\frac{1}{2}}$", answer="\\frac{1}{2}", level="5")
    assert math == {"question": "P", "answer": "so $\\boxed{\\frac{1}{2}}$", "final": "1/2"}
    assert checked("math", query="Q", response="The answer is: 7.")["final"] == "7"


def test_a_solution_without_a_certain_result_has_no_final_answer() -> None:
    assert checked("gsm8k", question="Q", answer="It depends")["final"] is None


def test_a_solution_without_question_or_answer_is_refused() -> None:
    assert complaint("gsm8k", question=" ", answer="#### 4") == "f.jsonl:7: question is empty"
    assert complaint("gsm8k", text="a") == (
        "f.jsonl:7: question column missing (looked for 'question', 'problem', 'query'); columns found: text"
    )


def test_alpaca_rows_may_have_an_input() -> None:
    whole = checked("alpaca", instruction="Add.", input="1 2", output=" 3 ")
    assert whole == {"question": "Add.", "input": "1 2", "answer": " 3 "}
    assert checked("alpaca", instruction="Add.", output="3")["input"] == ""
    assert checked("alpaca", instruction="Add.", input=None, output="3")["input"] == ""
    assert (
        complaint("alpaca", instruction="Add.", input=[1], output="3")
        == "f.jsonl:7: input is [1], but a text is needed"
    )


def test_chat_answers_are_the_assistants_last_message() -> None:
    turns = [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")]
    messages = [{"role": role, "content": content, "weight": 1} for role, content in turns]
    found = checked("chat", messages=messages)
    assert found["answer"] == "d"
    assert [(turn["role"], turn["content"]) for turn in found["messages"]] == turns[:4]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "messages is [], but a list of messages is needed"),
        ("hi", "messages is 'hi', but a list of messages is needed"),
        ([{"role": "user"}], "message 1 is {'role': 'user'}, but {'role': …, 'content': text} is needed"),
        (
            [{"role": "bot", "content": "a"}],
            "message 1 has role 'bot', allowed: system, developer, user, assistant, tool",
        ),
        (
            [{"role": "user", "content": "a"}],
            "messages holds no message of the assistant, so there is no answer to learn",
        ),
        (
            [{"role": "assistant", "content": "a"}],
            "messages holds no message of the user before the assistant's last one",
        ),
    ],
)
def test_bad_conversations_are_refused(messages: Any, reason: str) -> None:
    assert complaint("chat", messages=messages) == f"f.jsonl:7: {reason}"


def test_rows_without_an_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    found = [{"instruction": "a", "output": ""}, {"instruction": "b", "output": "c"}]
    (tmp_path / "train.json").write_text(json.dumps(found))
    split = read_split(TASKS["alpaca"], DataConfig(folder=str(tmp_path)), "train")
    assert [row["answer"] for row in split.rows] == ["c"]
    assert split.notes == ["train: 1 of 2 rows have an empty answer and were left out"]


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.tsv: no rows in split 'train' of task 'sst2'$"):
        rows(tmp_path, "sst2", "train.tsv", "sentence\tlabel\n")


def test_a_torn_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        rows(tmp_path, "sst2", "train.tsv", "sentence\tlabel\na\t1\nb")
    assert str(caught.value) == (
        f"{tmp_path}/train.tsv:3: the line has 1 cells, the table 2 columns: it is torn, fetch the file again"
    )


def test_the_few_torn_lines_of_the_official_qqp_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"] + ["1\t2\t3\ta\tb\t0"] * 1000
    torn = [*lines[:500], "1\t2\t3\tHow", *lines[500:]]
    path = tmp_path / "train.tsv"
    path.write_text("\n".join(torn))
    split = read_split(TASKS["qqp"], DataConfig(folder=str(tmp_path)), "train")
    assert len(split.rows) == 1000
    assert split.notes == [f"train: 1 torn lines of the official file were left out, the first {path}:501"]
    for many in ([*lines, *lines[1:], "1\t2"], [*torn[:9], "1", *torn[9:]]):  # the last line; two in a thousand
        path.write_text("\n".join(many))
        with pytest.raises(DataError, match="it is torn"):
            read_split(TASKS["qqp"], DataConfig(folder=str(tmp_path)), "train")


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("Q: {question} {answer}", "unknown placeholder 'answer': known: input, question; write a literal brace twice"),
        ("Q: {}{question}", "unknown placeholder '': known: input, question; write a literal brace twice"),
        (
            "{question.__class__}",
            "unknown placeholder 'question.__class__': did you mean 'question'? known: input, question",
        ),
        ("Q:", "the prompt must contain {question}, got 'Q:'"),
        ("{question!r}", "placeholder {question} takes no format or conversion, got '{question!r}'"),
        ("{question:>9}", "placeholder {question} takes no format or conversion, got '{question:>9}'"),
        ("{question", "not a template (expected '}' before end of string): write a literal brace twice"),
    ],
)
def test_prompts_with_a_fault_are_refused_by_the_configuration(prompt: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DataConfig(prompt=prompt)
    assert str(caught.value).startswith(f"prompt: {reason}")


def test_literal_braces_in_prompts() -> None:
    assert DataConfig(prompt="{{x}} {question} {input}").prompt == "{{x}} {question} {input}"
