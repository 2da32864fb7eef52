"""A plan becomes a study file that is read back as it was meant, whatever the plan's words hold."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from balora.errors import DataError, InputError
from balora.importing.clean_text import LARGEST, clean
from balora.importing.import_plan import import_plan, import_text
from balora.importing.import_summary import content, summary
from balora.importing.imported_arms import BASE, Imported, arm_name, slug
from balora.study.design.reading import read_study


def block(part: str, action: str, *replacements: str, metrics: str = "NLG Avg, NLU Avg", name: str = "A title") -> str:
    listed = "".join(f"\n  - {text}" for text in replacements)
    given = f"\n- **Replacement**:{listed}" if replacements else ""
    return f"\n### {name}\n- **Ablated Part**: {part}\n- **Action**: {action}{given}\n- **Metrics**: {metrics}\n"


def imported(*blocks: str) -> Imported:
    return import_text(clean("".join(blocks)), "plan.md")[0]


def test_what_is_not_understood_is_left_open_with_settings_that_may_fit() -> None:
    plan, text = import_text(block("initialization", "REPLACE", "orthogonal", "random"), "plan.md")
    assert [arm.name for arm in plan.holes] == ["a-title-orthogonal"]
    hole = text[text.index("a-title-orthogonal:") :]
    assert (
        hole.index("# left open: words of the replacement")
        < hole.index("# settings that may fit: adapter.{init, svd}")
        < hole.index("set: ???")
    )
    assert read_study(text, "s").arms["a-title-orthogonal"].set == "???"
    assert "`set: ???`" in text.split("study:")[0]


def test_a_missing_replacement_or_an_unclear_action_is_left_open() -> None:
    plan, text = import_text(
        block("rank", "REPLACE") + block("rank", "test") + block("rank", "ADD or REMOVE", "8"), "p.md"
    )
    study = read_study(text, "s")
    assert [(arm.set, arm.ablation and arm.ablation.replacement) for arm in study.arms.values()] == [
        ("???", "not named in the plan"), ("???", None),
    ]  # fmt: skip
    assert plan.left_out == (("TEST rank", "its action is none of REMOVE, REPLACE and ADD"),)
    assert "rank → 8" in text


def test_arms_of_the_same_settings_are_merged_and_the_base_is_left_out() -> None:
    plan = imported(
        block("PiSSA", "REMOVE"),
        block("initialization", "REPLACE", "standard LoRA", "PiSSA"),
        block("rank", "REPLACE", "16"),
        block("alpha", "REPLACE", "16", "32"),
    )
    assert [(arm.name, arm.set) for arm in plan.arms] == [
        ("no-initialization", {"adapter.init": "standard"}), ("alpha-32", {"adapter.alpha": 32}),
    ]  # fmt: skip
    assert plan.arms[0].also == ("REPLACE initialization → standard LoRA",)
    assert [said for said, _ in plan.left_out] == [
        "REPLACE initialization → PiSSA", "REPLACE rank → 16", "REPLACE alpha → 16",
    ]  # fmt: skip
    assert "the same: REPLACE initialization → standard LoRA" in summary(plan)


def test_settings_that_the_study_would_refuse_stay_open_with_the_reason() -> None:
    plan = imported(block("rank", "REPLACE", "0", "2.5"), block("warm-up", "REPLACE", "100"))
    assert not plan.bound
    assert [
        "greater than or equal to 1" in plan.holes[0].note,
        "2.5" in plan.holes[1].note,
        "100" in plan.holes[2].note,
    ] == [True] * 3
    assert plan.holes[0].may_stand == ("adapter.rank",)


def test_a_plan_of_the_base_alone_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"nothing in the plan differs from ba-lora \(REPLACE rank → 16: ba-lora does this"
    ):
        imported(block("rank", "REPLACE", "16"))


def test_a_plan_of_too_many_arms_is_refused() -> None:
    with pytest.raises(DataError, match="more than 300 arms"):
        imported(block("rank", "REPLACE", *map(str, range(1, 400))))


def test_a_plan_with_metrics_of_one_family_makes_a_study_of_that_family() -> None:
    plan, text = import_text(
        block("rank", "REPLACE", "4", metrics="NLU Avg") + block("rank", "REPLACE", "8", metrics="GLUE, F1"), "p.md"
    )
    assert read_study(text, "s").suites == ("nlu",)
    assert plan.judged.metrics == ("nlu_avg",)


def test_the_json_content_holds_the_arms_the_metrics_and_the_study_file() -> None:
    plan, text = import_text(block("rank", "REPLACE", "4", "x", metrics="GSM8K, BLEU"), "plan.md")
    found = content(plan, text)
    assert (found["bound"], found["open"], found["study"]) == (1, 1, text)
    assert found["metrics"] == {"GSM8K": "nlg_avg"}
    assert found["unknown_metrics"] == ("BLEU",)
    assert found["tasks"] == ("gsm8k",)


NASTY = [
    "a: b", "- a", "*alias", "&anchor", "!!python/object:os.system x", "# not a comment", "'quoted'", '"double"',
    "{a: b}", "[x",
    "???", "|", ">", "%TAG", "@at", "back\\slash", "null", "true", "1e3", "0x10", "2026-01-01", "=", "~", "<<",
    "a\u2028b\x85c",
    "\U0001f9e0 λ₁ 中文", "\x07bell", "--- doc", "... end", "? key", "a #b", "x: {y}", "\ue000marks\ue002", "`code`",
    "<script>",
]  # fmt: skip


@pytest.mark.parametrize("words", NASTY)
def test_words_with_yaml_syntax_stay_words(words: str) -> None:
    text = clean("".join((
        block(f"initialization {words}", "REPLACE", f"{words} start", name=words, metrics=f"{words}, NLU Avg"),
        block(f"{words} rank", "REMOVE", metrics=words),
    )))  # fmt: skip
    plan, written = import_text(text, f"{words}\u2028.md")
    document = yaml.safe_load(written)
    assert list(document) == ["study", "question", "suites", "metrics", "base", "arms"]
    assert list(document["arms"]) == [arm.name for arm in plan.arms]
    for arm, found in zip(plan.arms, document["arms"].values(), strict=True):
        assert found["ablation"]["part"] == arm.part
        assert found["ablation"].get("replacement") == arm.replacement
        assert found["set"] == "???"


PIECES = st.sampled_from([
    "### ", "\n", "\n\n", "- ", "  - ", "**", "*", "`", "<br>", "<ul><li>", "</li>", "<table>", "<td>", "<tr>", "|",
    "|--|", "    ",
    "```\n", "> ", "- **Ablated Part**: ", "- **Action**: ", "- **Replacement**: ", "- **Metrics**: ", "REPLACE",
    "remove", "ADD",
    "rank", "PiSSA initialization", "SVD", "λ₁", "8", "1e-3", "{'a': [1]}",
    '{"ablated_part": "x", "action": "REMOVE"}', ", ", "[", "](",
    "&amp;", "&#0;", "\\", "'", '"', "#", ":", "???", "<style>", "<!--", "-->", "\u2028", "\ud800", "\x00", "\r",
    "1e999", "9" * 400,
])  # fmt: skip
BLOCKS = st.builds(
    block, *(st.text(max_size=30) | PIECES for _ in range(3)), metrics=st.text(max_size=20), name=st.text(max_size=20)
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(PIECES | st.text(max_size=8) | BLOCKS, max_size=25))
def test_no_text_crashes_and_whatever_is_written_is_read_back(pieces: list[str]) -> None:
    try:
        plan, written = import_text(clean("".join(pieces)), "plan.md")
    except InputError as error:
        refusal = str(error)
    else:
        check_read_back(plan, written)
        return
    assert "\n" not in refusal
    assert "makes no valid study" not in refusal


def check_read_back(plan: Imported, written: str) -> None:
    study = read_study(written, "s")
    assert {name: arm.set for name, arm in study.arms.items()} == {
        arm.name: "???" if arm.set is None else arm.set for arm in plan.arms
    }
    assert all(arm.may_stand for arm in plan.holes)
    summary(plan).encode()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("λ₁ & “Größe” 0.5 ...", "lambda1-groe-0.5"),
        ("x" * 60, "x" * 40),
        ("one two three four five six seven eight nine", "one-two-three-four-five-six-seven-eight"),
    ],
)
def test_a_name_is_of_plain_letters_and_cut_at_a_words_end(text: str, name: str) -> None:
    assert slug(text) == name


@pytest.mark.parametrize(
    ("title", "part", "action", "replacement", "taken", "name"),
    [
        ("Ablation of the Consistency Term", "p", "remove", None, set(), "no-consistency-term"),
        ("3. Ablation Study 2: Rank", "p", "replace", "8", set(), "rank-8"),
        ("Without diversity", "p", "remove", None, set(), "without-diversity"),
        ("Rank ablation", "p", "replace", "random normal (N)", set(), "random-normal"),
        ("Rank", "p", "replace", "random normal", {"random-normal"}, "rank-random-normal"),
        ("Ablation 1", "the part", "replace", "8", {"the-part-8"}, "the-part-8-2"),
        ("消融", "部分", "remove", None, set(), "no-arm"),
        ("BA-LoRA", "p", None, None, {BASE}, "ba-lora-2"),
    ],
)
def test_an_arm_is_named_after_its_replacement_or_its_title_and_never_twice(
    title: str, part: str, action: str | None, replacement: str | None, taken: set[str], name: str
) -> None:
    assert arm_name(title, part, action, replacement, taken) == name


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "the plan is empty"),
        (b" \n\t\n", "the plan is empty"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"\x89PNG\r\n", "not a text file"),
        (b"abc\x00def", "zero byte"),
        (b"x" * (LARGEST + 1), "at most 2,000,000"),
    ],
)
def test_a_file_without_text_is_refused(tmp_path: Path, raw: bytes, why: str) -> None:
    (tmp_path / "plan.md").write_bytes(raw)
    with pytest.raises(DataError, match=why):
        import_plan(tmp_path / "plan.md")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_marked_utf_16_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "plan.md").write_text(block("λ₁", "REPLACE", "0.5"), encoding=encoding)
    assert import_plan(tmp_path / "plan.md")[0].arms[0].set == {"objective.consistency.weight": 0.5}
