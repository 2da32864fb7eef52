"""A task file is read with its data, and a wrong one gets all its faults at once, each with its line."""

from pathlib import Path
from typing import Any

import pytest
from tests.tasks.own_cases import CHATS, LABELS, REPLIES, TICKETS, chat, chat_task, ticket_task, tickets, write_jsonl

from balora.errors import ConfigError
from balora.tasks.own_task import OwnTask
from balora.tasks.task_file import read_task_file


def faults(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_task_file(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_a_file_becomes_a_task_with_the_labels_of_its_training_rows(tmp_path: Path) -> None:
    own = read_task_file(ticket_task(tmp_path))
    assert own.labels == LABELS
    assert own.score == ("accuracy",)
    assert own.read.train == str(tmp_path / "train.csv")
    task = own.as_task()
    assert (task.name, task.family, task.labels, task.text) == ("tickets", "nlu", LABELS, ("text", "text_pair"))


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    ticket_task(tmp_path / "deep")
    monkeypatch.chdir(tmp_path)
    assert read_task_file("deep/tickets.yaml").read.validation == str(tmp_path / "deep" / "dev.csv")


def test_labels_of_the_file_keep_their_order(tmp_path: Path) -> None:
    text = TICKETS + "labels: [spam, shipping, refund, other, billing]\n"
    assert read_task_file(ticket_task(tmp_path, text)).labels == LABELS[::-1]


def test_numbers_as_labels_are_sorted_as_numbers(tmp_path: Path) -> None:
    rows = [{**row, "Queue": str(number % 3 * 5)} for number, row in enumerate(tickets())]
    own = read_task_file(ticket_task(tmp_path, train=rows, dev=rows[:3]))
    assert own.labels == ("0", "5", "10")
    text = TICKETS + "labels: [0, 5, 10]\n"
    assert read_task_file(ticket_task(tmp_path, text, rows, rows[:3])).labels == ("0", "5", "10")


def test_a_record_holds_the_definition_and_needs_no_file(tmp_path: Path) -> None:
    import json

    own = read_task_file(ticket_task(tmp_path))
    for path in tmp_path.iterdir():
        path.unlink()
    assert OwnTask(**json.loads(json.dumps(own.model_dump(mode="json")))) == own


def test_all_faults_of_a_file_and_its_columns_come_at_once(tmp_path: Path) -> None:
    path = ticket_task(tmp_path)
    path.write_text(
        "task: cola\nfamly: nlu\nread: {train: train.csv, validation: dev.csv}\n"
        "text: [Subjct, Body Text]\nlabel: Qeue\nscore: rouge_l\n"
    )
    text = faults(path)
    assert text.startswith("line 1: task: 'cola' is the name of a task, recipe or file that balora knows")
    for part in (
        "line 2: famly: unknown key 'famly': did you mean 'family'?",
        "line 4: text: unknown column 'Subjct': did you mean 'Subject'?",
        "line 5: label: unknown column 'Qeue': did you mean 'Queue'?",
        "line 6: score: ",
        "family: required but not given",
    ):
        assert part in text, text


READING: dict[str, tuple[str, str]] = {
    "no way": ("{}", "line 3: read: give `train` and `validation`, or `file`, or `dataset`: none is given"),
    "two ways": ("{train: a, validation: b, file: c}", "`dataset`: got train and file"),
    "a train file alone": ("{train: train.csv}", "line 3: read.validation: `train` needs the file to score on"),
    "a train file and a share": ("{train: train.csv, validation: 0.1}", "`train` needs the file to score on"),
    "a file alone": ("{file: train.csv}", "line 3: read.validation: `file` needs the share of its rows"),
    "all rows": ("{file: train.csv, validation: 1}", "a share of the rows lies between 0 and 1, got 1"),
    "no rows": ("{file: train.csv, validation: 0.0}", "a share of the rows lies between 0 and 1, got 0.0"),
    "too small a share": ("{file: train.csv, validation: 0.001}", "of 40 rows leaves no row to score on"),
    "too large a share": ("{file: train.csv, validation: 0.999}", "of 40 rows leaves no row to train on"),
    "a seed below 0": ("{file: train.csv, validation: 0.2, seed: -1}", "line 3: read.seed: "),
    "a subset of files": ("{train: train.csv, validation: dev.csv, subset: x}", "read.subset: belongs to `dataset`"),
    "no such file": ("{train: trian.csv, validation: dev.csv}", "trian.csv: cannot be read (No such file"),
    "one file twice": ("{train: dev.csv, validation: dev.csv}", "line 3: read.validation: is the file that `train`"),
    "an unknown key": ("{train: a, valdation: b}", "line 3: read.valdation: unknown key 'valdation': did you mean 'va"),
    "no mapping": ("train.csv", "line 3: read: expected a group of settings, got 'train.csv'"),
}  # fmt: skip


@pytest.mark.parametrize("name", READING)
def test_where_the_rows_come_from(name: str, tmp_path: Path) -> None:
    read, says = READING[name]
    assert says in faults(ticket_task(tmp_path, TICKETS.replace("{train: train.csv, validation: dev.csv}", read)))


NLU: dict[str, tuple[str, str, str]] = {
    "no name": ("task: tickets", "task: ' '", "line 1: task: a name has 1 to 100 printable characters"),
    "a path": ("task: tickets", "task: a/b", "without slash, backslash and comma, got 'a/b'"),
    "a recipe": ("task: tickets", "task: math", "'math' is the name of a task, recipe or file"),
    "another family": ("family: nlu", "family: nlp", "line 2: family: input should be 'nlu' or 'nlg', got 'nlp'"),
    "no text": ("text: [Subject, Body Text]\n", "", "text: required with family nlu"),
    "no label": ("label: Queue\n", "", "label: required with family nlu: name the column"),
    "a text twice": ("[Subject, Body Text]", "[Subject, Subject]", "line 4: text: 'Subject' stands twice"),
    "an unknown column": ("[Subject, Body Text]", "[Subject, Body]", "line 4: text: unknown column 'Body'"),
    "an unknown score": ("label: Queue", "label: Queue\nscore: acuracy", "did you mean 'accuracy'?"),
    "a score of texts": ("label: Queue", "label: Queue\nscore: rouge_l", "line 6: score: "),
    "several labels a row": ("label: Queue", "label: Queue\nscore: micro_f1", "balora's classifiers choose one"),
    "both kinds of score": ("label: Queue", "label: Queue\nscore: [accuracy, pearson]", "score numbers, the others"),
    "labels of a number": ("label: Queue", "label: No\nscore: pearson\nlabels: [a, b]", "line 7: labels: pearson"),
    "one class": ("label: Queue", "label: Queue\nlabels: [billing]", "line 6: labels: 'billing' is the only class"),
    "a class twice": ("label: Queue", "label: Queue\nlabels: [a, a]", "line 6: labels: 'a' stands twice"),
    "an empty class": ("label: Queue", "label: Queue\nlabels: [a, '']", "line 6: labels: a name is empty"),
    "a number that is none": ("label: Queue", "label: Queue\nscore: pearson", "Queue is 'billing', but a number is"),
    "a class of none": ("label: Queue", "label: Queue\nlabels: [billing, other, refund, shipping]",
                        "Queue: unknown label 'spam'"),
    "keys of the other family": ("label: Queue", "label: Queue\nanswer: Queue", "line 6: answer: belongs to"),
    "a label that is the text": ("label: Queue", "label: No\nlabels: ['1', '2']", "'100' stands in"),
    "an id that repeats": ("label: Queue", "label: Queue\nid: Body Text", "line 6: id: 'about invoice' stands"),
    "a key twice": ("label: Queue", "label: Queue\nlabel: Queue", "line 6: label: given twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", NLU)
def test_a_wrong_task_of_understanding(name: str, tmp_path: Path) -> None:
    old, new, says = NLU[name]
    assert TICKETS.count(old) == 1
    assert says in faults(ticket_task(tmp_path, TICKETS.replace(old, new)))


NLG: dict[str, tuple[str, str, str]] = {
    "no prompt": ("prompt: \"Which queue takes '{Subject}'?\"\n", "", "prompt: required with family nlg"),
    "no answer": ("answer: Queue\n", "", "answer: required with family nlg"),
    "a prompt of an unknown column": ("{Subject}", "{Subjekt}", "line 4: prompt: unknown column 'Subjekt': did you"),
    "a prompt of no column": ("{Subject}", "Subject", "line 4: prompt: the prompt names no column"),
    "an open brace": ("{Subject}", "{Subject", "line 4: prompt: not a template"),
    "a format": ("{Subject}", "{Subject:>9}", "line 4: prompt: placeholder {Subject} takes no format"),
    "no name in braces": ("{Subject}", "{Subject}{}", "line 4: prompt: a placeholder names no column"),
    "a prompt without quotes": ("\"Which queue takes '{Subject}'?\"", "{Subject}", "line 4: prompt: "),
    "text beside the prompt": ("answer: Queue", "answer: Queue\ntext: Subject", "line 6: text: does not go with `pr"),
    "messages beside the prompt": ("answer: Queue", "answer: Queue\nmessages: m", "line 4: prompt: does not go with"),
    "a score of classes": ("answer: Queue", "answer: Queue\nscore: macro_f1", "line 6: score: "),
    "pass at 1 without tests": ("answer: Queue", "answer: Queue\nscore: pass_at_1", "pass_at_1 and the column `tests`"),
    "tests without pass at 1": ("answer: Queue", "answer: Queue\ntests: No\nscore: chrf", "pass_at_1 and the column"),
    "a judge among others": ("answer: Queue", "answer: Queue\nscore: [judge, chrf]", "judge needs a program of its"),
    "a label": ("answer: Queue", "answer: Queue\nlabel: Queue", "line 6: label: belongs to family nlu"),
}  # fmt: skip


@pytest.mark.parametrize("name", NLG)
def test_a_wrong_task_of_generation(name: str, tmp_path: Path) -> None:
    old, new, says = NLG[name]
    assert REPLIES.count(old) == 1
    assert says in faults(ticket_task(tmp_path, REPLIES.replace(old, new)))


# --- what is wrong with the rows ---


def test_labels_that_appear_only_in_validation(tmp_path: Path) -> None:
    rows = tickets(10, 100)
    rows[3]["Queue"] = "praise"
    says = f"line 5: label: 'praise' stands in {tmp_path}/dev.csv:5, but in no training row: add some, or leave it out"
    assert says in faults(ticket_task(tmp_path, dev=rows))
    text = TICKETS + "labels: [billing, other, refund, shipping, spam, praise]\n"
    assert says in faults(ticket_task(tmp_path, text, dev=rows))


def test_one_class_in_all_training_rows(tmp_path: Path) -> None:
    rows = [{**row, "Queue": "spam"} for row in tickets()]
    assert "line 5: label: every training row has the label 'spam': give rows of others" in faults(
        ticket_task(tmp_path, train=rows, dev=rows[:4])
    )


def test_more_classes_than_any_task_has(tmp_path: Path) -> None:
    text = TICKETS.replace("Queue", "Subject")
    rows = tickets(1200)
    assert "'Subject' holds 1,200 different values in 1,200 training rows, at most 1,000 classes may be" in faults(
        ticket_task(tmp_path, text, rows, rows[:3])
    )


def test_ids_that_stand_twice_within_and_between_splits(tmp_path: Path) -> None:
    train, dev = tickets(), tickets(10, 100)
    train[4]["No"], dev[0]["No"] = "3", "7"
    text = faults(ticket_task(tmp_path, TICKETS + "id: No\n", train, dev))
    assert f"line 6: id: '3' stands twice, in {tmp_path}/train.csv:5 and {tmp_path}/train.csv:6" in text
    assert f"id: '7' stands twice, in {tmp_path}/train.csv:9 and {tmp_path}/dev.csv:2" in text


def test_several_rows_with_faults_come_at_once_and_many_are_counted(tmp_path: Path) -> None:
    train = tickets()
    train[1]["Queue"] = " "
    for row in train[20:]:
        row["Subject"] = row["Body Text"] = ""
    text = faults(ticket_task(tmp_path, train=train))
    assert f"{tmp_path}/train.csv:3: Queue is empty: give the row a label, or leave it out" in text
    assert f"{tmp_path}/train.csv:22: Subject and Body Text is empty" in text
    assert text.endswith("and 11 more rows with faults")


def test_an_empty_file_and_a_file_of_a_header(tmp_path: Path) -> None:
    path = ticket_task(tmp_path)
    (tmp_path / "dev.csv").write_text("")
    assert faults(path) == f"line 3: read.validation: {tmp_path}/dev.csv: the file is empty: fetch it again"
    (tmp_path / "dev.csv").write_text("No,Subject,Body Text,Queue\n")
    assert faults(path) == "line 3: read.validation: has no rows"


def test_torn_lines_are_named(tmp_path: Path) -> None:
    path = ticket_task(tmp_path)
    with (tmp_path / "train.csv").open("a") as file:
        file.write("41,only two\n")
    assert f"{tmp_path}/train.csv:42: the line has 2 cells, the table 4 columns: mend it" in faults(path)


ANSWERS: dict[str, tuple[Any, str]] = {
    "a list": (["a", "b"], "reply is a list (['a', 'b']), but one answer is learnt"),
    "an object": ({"a": 1}, "reply is an object ({'a': 1}), but a text is needed"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_no_text(name: str, tmp_path: Path) -> None:
    value, says = ANSWERS[name]
    path = tmp_path / "own.yaml"
    path.write_text('task: own\nfamily: nlg\nread: {train: train.jsonl, validation: dev.jsonl}\n'
                    'prompt: "{ask}"\nanswer: reply\n')  # fmt: skip
    for split in ("train", "dev"):
        write_jsonl(tmp_path / f"{split}.jsonl", [{"ask": "x", "reply": "y"}, {"ask": "x", "reply": value}])
    text = faults(path)
    assert f"{tmp_path}/train.jsonl:2: {says}" in text
    assert f"{tmp_path}/dev.jsonl:2: {says}" in text


def test_every_answer_empty(tmp_path: Path) -> None:
    rows = [{**row, "Queue": ""} for row in tickets()]
    assert "answer: every row of train has an empty answer" in faults(ticket_task(tmp_path, REPLIES, rows))


def test_a_conversation_of_another_shape(tmp_path: Path) -> None:
    path = chat_task(tmp_path)
    assert read_task_file(path).as_task().conversations
    write_jsonl(tmp_path / "dev.jsonl", [chat(1), {"dialog": [{"role": "user", "content": "a"}]}, {"dialog": "a"}])
    text = faults(path)
    assert f"{tmp_path}/dev.jsonl:2: dialog holds no message of the assistant" in text
    assert f"{tmp_path}/dev.jsonl:3: dialog is 'a', but a list of messages is needed" in text


def test_tests_that_are_no_texts(tmp_path: Path) -> None:
    text = CHATS.replace("messages: dialog", 'prompt: "{ask}"\nanswer: code\ntests: checks')
    rows = [{"ask": "a", "code": "b", "checks": ["assert b"]}, {"ask": "a", "code": "b", "checks": 3}]
    for split in ("train", "dev"):
        write_jsonl(tmp_path / f"{split}.jsonl", rows[:1])
    (tmp_path / "own.yaml").write_text(text)
    own = read_task_file(tmp_path / "own.yaml")
    assert (own.score, own.as_task().grader, own.as_task().metrics) == (("pass_at_1",), "programs", ("pass_at_1",))
    write_jsonl(tmp_path / "train.jsonl", rows)
    assert "train.jsonl:2: checks is 3, but a text or a list of texts is needed" in faults(tmp_path / "own.yaml")


@pytest.mark.parametrize("name", ["tickets.json", "gone", "", "tickets.yaml/x"])
def test_a_file_that_is_none(name: str, tmp_path: Path) -> None:
    ticket_task(tmp_path)
    with pytest.raises(ConfigError, match="its name must end in"):
        read_task_file(tmp_path / name)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_task_file(tmp_path / f"{name}.yaml")


VALUES = ["1", "1.5", "true", "null", "''", "' '", "[]", "[1]", "[null]", "[[a]]", "{}", "{a: 1}", "{a: {b: 1}}",
          ".nan", "1e400", "'{x}'", "'{'", "a/b", "x" * 500, "[a, a]", "[Subject, 1]", "'\u202e'"]  # fmt: skip


def refusal(path: Path) -> str:
    """Return why a task file is refused; nothing if it is read."""
    try:
        read_task_file(path)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", [*OwnTask.model_fields, "read.train", "read.file", "read.dataset", "read.seed"])
@pytest.mark.parametrize("text", [TICKETS, REPLIES, CHATS], ids=["nlu", "nlg", "chat"])
def test_any_kind_of_value_at_any_key_is_read_or_refused_in_a_line(key: str, text: str, tmp_path: Path) -> None:
    path = ticket_task(tmp_path)
    write_jsonl(tmp_path / "train.jsonl", [chat(1)])
    write_jsonl(tmp_path / "dev.jsonl", [chat(2)])
    group, _, inner = key.partition(".")
    lines = [line for line in text.splitlines() if not line.startswith(f"{group}:")]
    for value in VALUES:
        if (inner, value[:1]) == ("dataset", "a"):  # a name that a hub could have
            continue
        written = f"{group}: {{{inner}: {value}, validation: dev.csv}}" if inner else f"{group}: {value}"
        path.write_text("\n".join([*lines, written, ""]), encoding="utf-8")
        line = refusal(path)
        assert not line or line.startswith(str(path)), value
        assert line.isprintable(), value
        assert len(line) < 2_500, value
