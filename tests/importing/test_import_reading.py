"""Plans as people and models write them: the same two ablations in many layouts."""

import json

import pytest

from balora.errors import DataError
from balora.importing.actions import action_of, replacements
from balora.importing.clean_text import clean
from balora.importing.import_plan import read_paper
from balora.importing.metrics import judge

WANTED = [
    ("PiSSA initialization", "replace", ["standard LoRA", "orthogonal start"]),
    ("SVD regularizer", "remove", []),
]
OBJECTS = [
    {"name": "Start", "ablated_part": "PiSSA initialization", "action": "REPLACE",
     "replacement": ["standard LoRA", "orthogonal start"], "metrics": ["NLG Avg", "NLU Avg"]},
    {"name": "SVD", "ablated_part": "SVD regularizer", "action": "REMOVE", "replacement": None, "metrics": ["NLU Avg"]},
]  # fmt: skip
JSON_LINES = "\n".join(map(json.dumps, OBJECTS))
CANONICAL = """
### Start
- **Ablated Part**: PiSSA initialization
- **Action**: REPLACE
- **Replacement**:
  - standard LoRA
  - orthogonal start
- **Metrics**: NLG Avg, NLU Avg

### SVD
- **Ablated Part**: SVD regularizer
- **Action**: REMOVE
- **Metrics**: NLU Avg
"""
WRAPPED = (
    f'<style>\n.box h3 {{ color: red }}\n</style>\n\n<div style="a: b" class="box">\n<h2>Trace</h2>\n\nThe action: '
    "none."
    f'\n</div>\n\n<div>\n<h2 style="c">📋 Ablation Plan</h2>\n{CANONICAL}\n</div>'
)
VARIANTS = {
    "canonical": CANONICAL,
    "wrapped in HTML": WRAPPED,
    "Windows line ends": CANONICAL.replace("\n", "\r\n"),
    "old Mac line ends": CANONICAL.replace("\n", "\r"),
    "no-break spaces and tabs": CANONICAL.replace(": ", ":\u00a0").replace("  -", "\t-"),
    "zero-width characters": CANONICAL.replace("Action", "Ac\u200btion").replace("SVD reg", "SVD\ufeff reg"),
    "level 2": CANONICAL.replace("###", "##"),
    "level 5": CANONICAL.replace("###", "#####"),
    "numbered headings": CANONICAL.replace("### Start", "### 1. Start").replace("### SVD", "### 2) SVD"),
    "italic labels": CANONICAL.replace("**", "*"),
    "colons inside the bold": CANONICAL.replace("**:", ":**"),
    "code labels without colons": CANONICAL.replace("- **", "- `").replace("**:", "`"),
    "no emphasis": CANONICAL.replace("**", ""),
    "broken emphasis": CANONICAL.replace("**:", "*:"),
    "emphasis with spaces": CANONICAL.replace("- **", "- ** ").replace("**:", " **:"),
    "dashes for colons": CANONICAL.replace("**:", "** –"),
    "stars as bullets": CANONICAL.replace("- **", "* **").replace("  - ", "    * "),
    "lower case": CANONICAL.replace("Ablated Part", "ablated part").replace("REPLACE", "replace").replace("REM", "rem"),
    "underscores": CANONICAL.replace("Ablated Part", "ablated_part"),
    "synonyms": CANONICAL.replace("REPLACE", "Substitute").replace("REMOVE", "Removed from the loss"),
    "other labels": CANONICAL.replace("Ablated Part", "Ablated Component").replace("Replacement", "Replaced with"),
    "fenced": f"Here it is:\n```markdown\n{CANONICAL}\n```\nThat is all.",
    "fenced as no language": f"~~~\n{CANONICAL}\n~~~",
    "quoted": CANONICAL.replace("\n", "\n> "),
    "indented by four": CANONICAL.replace("\n", "\n    "),
    "in pre": f"<pre><code>{CANONICAL}</code></pre>",
    "in details": f"<details><summary>Plan</summary>\n\n{CANONICAL}\n\n</details>",
    "rules between blocks": CANONICAL.replace("\n### SVD", "---\n### SVD"),
    "no blank lines": CANONICAL.replace("\n\n", "\n"),
    "blank lines everywhere": CANONICAL.replace("\n", "\n\n"),
    "comments": CANONICAL.replace("### SVD", "<!--\n### X\n- Ablated Part: rank\n- Action: REMOVE\n-->\n### SVD"),
    "an unclosed comment": CANONICAL + "<!-- and no end",
    "an unclosed style": CANONICAL.replace("### SVD", "<style> x\n### SVD"),
    "entities": CANONICAL.replace("SVD regularizer", "SVD&#32;regularizer").replace("- **", "- <b>").replace("**",
    "</b>"),
    "comma list": CANONICAL.replace(":\n  - standard LoRA\n  - orthogonal start", ": standard LoRA, orthogonal start"),
    "one of": CANONICAL.replace(":\n  - standard LoRA\n  - orthogonal start",
    ": one of: standard LoRA or orthogonal start"),
    "Python list": CANONICAL.replace(":\n  - standard LoRA\n  - orthogonal start",
    ": ['standard LoRA', 'orthogonal start']"),
    "list without indent": CANONICAL.replace("  - ", "- "),
    "lines under the label": CANONICAL.replace("  - standard", "  standard").replace("  - orth", "  orth"),
    "labels split over lines": CANONICAL.replace("**Ablated Part**", "**Ablated\n  Part**"),
    "plain labels split over lines": CANONICAL.replace("**", "").replace("Ablated Part", "Ablated\n  Part"),
    "values on the next line": CANONICAL.replace("**: PiSSA", "**:\n  PiSSA").replace("**: REMOVE", "**:\n  REMOVE"),
    "none and n/a": CANONICAL.replace("REMOVE\n", "REMOVE\n- **Replacement**: N/A\n"),
    "a rationale": CANONICAL.replace("- **Metrics**", "- **Rationale**: to see, the effect\n- **Metrics**"),
    "an unknown label": CANONICAL.replace("- **Metrics**", "- **Budget**: 4 runs, 1 GPU\n- **Metrics**"),
    "text after": CANONICAL + "\nThese ablations matter most.\n\n- They are cheap.\n",
    "a description first": CANONICAL.replace("### Start\n", "### Start\nWhere does the gain come from?\n\n"),
    "labels as headings": CANONICAL.replace("- **Ablated Part**:", "#### Ablated Part\n").replace(
        "- **Action**:", "#### Action\n").replace("- **Metrics**:", "#### Metrics\n").replace(
        "- **Replacement**:", "#### Replacement\n"),
    "one line a block": "## P\n**Ablated Part**: PiSSA initialization; **Action**: REPLACE; **Replacement**: "
    "standard LoRA, "
    "orthogonal start; **Metrics**: NLG Avg\n\n**Ablated Part**: SVD regularizer | **Action**: REMOVE | **Metrics**: "
    "NLU Avg",
    "titles in a numbered list": "## Ablation plan\n1. **Start**\n   - Ablated Part: PiSSA initialization\n   - "
    "Action: replace\n"
    "   - Replacement:\n     - standard LoRA\n     - orthogonal start\n2. **SVD**\n   - Ablated Part: SVD regularizer\n"
    "   - Action: Remove\n",
    "table": "| Name | Ablated Part | Action | Replacement | Metrics |\n|--|--|--|--|--|\n"
    "| Start | PiSSA initialization | REPLACE | standard LoRA<br>orthogonal start | NLG Avg, NLU Avg |\n"
    "| SVD | SVD regularizer | REMOVE | - | NLU Avg |",
    "tables of label and value": "### Start\n| Field | Value |\n|--|--|\n| Ablated Part | PiSSA initialization |\n"
    "| **Action** | REPLACE |\n| Replacement | standard LoRA<br>orthogonal start |\n\n### SVD\n| Ablated Part | SVD "
    "regularizer |\n"
    "|--|--|\n| Action | REMOVE |",
    "HTML lists": "<h3>Start</h3><ul><li><b>Ablated Part</b>: PiSSA initialization</li><li><b>Action</b>: "
    "REPLACE<li><b>"
    "Replacement</b>:<ul><li>standard LoRA</li><li>orthogonal start</li></ul></li></ul><h3>SVD</h3>"
    "<ul><li><strong>Ablated Part:</strong> SVD regularizer</li><li><i>Action</i>: REMOVE</li></ul>",
    "HTML paragraphs": "<h3>Start</h3><p><b>Ablated Part:</b> PiSSA initialization<br><b>Action:</b> "
    "REPLACE<br/><b>Replacement"
    ":</b> standard LoRA, orthogonal start</p><h4>SVD</h4><p><b>Ablated Part:</b> SVD <span>regularizer</span></p>"
    "<p><b>Action:</b> REMOVE</p>",
    "HTML table": "<table><thead><tr><th>Ablated "
    "Part</th><th>Action</th><th>Replacement</th></tr></thead><tbody><tr><td>PiSSA\n"
    "initialization<td>REPLACE<td><ul><li>standard LoRA<li>orthogonal start</ul></tr><tr><td>SVD "
    "regularizer</td><td>REMOVE"
    "</td><td></td></tr></tbody></table>",
    "JSON lines": JSON_LINES,
    "JSON array": json.dumps(OBJECTS, indent=2),
    "JSON in a wrapper": f"<discussion>Two.</discussion>\n<predictions>\n{JSON_LINES}\n</predictions>",
    "JSON in a fence": f"Plan:\n```json\n{json.dumps({'ablations': OBJECTS}, indent=1)}\n```",
    "JSON in quotes": json.dumps({"id": "ba", "predictions": JSON_LINES, "cost": 0.1}),
    "JSON and Markdown of the same": f"{JSON_LINES}\n{CANONICAL}",
    "written twice": CANONICAL + CANONICAL,
    "YAML": "```yaml\n- name: Start\n  ablated_part: PiSSA initialization\n  action: REPLACE\n  replacement: "
    "[standard LoRA, "
    "orthogonal start]\n- name: SVD\n  ablated_part: SVD regularizer\n  action: REMOVE\n```",
    "the prompt first": '1. "name": name of the ablation.\n2. "ablated_part": the part to ablate.\n3. "action": one '
    'of (REMOVE, '
    f"REPLACE, ADD).\n{CANONICAL}",
}  # fmt: skip


def changes(text: str) -> list[tuple[str, str | None, list[str]]]:
    """Return (part, action, replacements) of every block whose action can be told."""
    blocks = read_paper(clean(text), "plan.md").blocks
    found = [(block.part, action_of(block), replacements(block)) for block in blocks]
    return [block for block in found if block[1]]


@pytest.mark.parametrize("layout", VARIANTS)
def test_every_layout_gives_the_same_two_ablations(layout: str) -> None:
    assert changes(VARIANTS[layout]) == WANTED


def test_names_and_metrics_are_read_too() -> None:
    for layout in (
        "canonical",
        "wrapped in HTML",
        "a description first",
        "titles in a numbered list",
        "JSON lines",
        "table",
    ):
        blocks = read_paper(clean(VARIANTS[layout]), "plan.md").blocks
        assert [block.name for block in blocks] == ["Start", "SVD"], layout
    assert [block.metrics for block in read_paper(CANONICAL, "p").blocks] == [("NLG Avg, NLU Avg",), ("NLU Avg",)]


def test_a_tag_is_a_tag_only_with_a_name_of_html() -> None:
    text = "- **Ablated Part**: rank <r> where k<min(n, d) & T > 1\n- **Action**: REMOVE"
    assert changes(text) == [("rank <r> where k<min(n, d) & T > 1", "remove", [])]


@pytest.mark.parametrize(
    "reference", ["&#" + "9" * 5_000 + ";", "&#x" + "F" * 5_000 + ";", "&#" + "0" * 5_000, "&#;&#x;&"]
)
def test_a_reference_to_no_character_is_no_end(reference: str) -> None:
    ((part, action, _),) = changes(f"- **Ablated Part**: rank {reference}\n- **Action**: REMOVE")
    assert (part.startswith("rank"), action) == (True, "remove")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("4, 8, 16", ["4", "8", "16"]),
        ("4, 8 and 16", ["4", "8", "16"]),
        ("rank: 4, 8", ["rank: 4", "rank: 8"]),
        ("[1e-4, 0.1]", ["0.0001", "0.1"]),
        ("{'lambda': [0.1, 1]}", ["lambda = 0.1", "lambda = 1"]),
        ("a, b; c, d", ["a, b", "c, d"]),
        ("standard LoRA (A scaled normal, B zero)", ["standard LoRA (A scaled normal, B zero)"]),
        ("the NLG formulas for NLU tasks, and vice versa", ["the NLG formulas for NLU tasks, and vice versa"]),
        ("NLU forms for NLG, and vice versa", ["NLU forms for NLG, and vice versa"]),
        ("λ1 = 0.1, λ2 = 0.2", ["λ1 = 0.1, λ2 = 0.2"]),
        ("from 1 to 128", ["from 1 to 128"]),
        ("1,000", ["1,000"]),
        ("500 or 1,000,000", ["500 or 1,000,000"]),
        ("4,8,16", ["4", "8", "16"]),
        ("1.5,100", ["1.5", "100"]),
        ("100, 200", ["100", "200"]),
        ("a, a, A", ["a"]),
        ("None", []),
        ("n/a.", []),
    ],
)
def test_a_line_that_lists_replacements_is_split(line: str, wanted: list[str]) -> None:
    assert changes(f"- Ablated Part: x\n- Action: REPLACE\n- Replacement: {line}")[0][2] == wanted


@pytest.mark.parametrize(
    ("action", "replacement", "wanted"),
    [
        ("REMOVE", "", "remove"),
        ("Removal", "", "remove"),
        ("REMOVE", "standard LoRA", "replace"),
        ("Replaced", "", "replace"),
        ("add", "x", "add"),
        ("REMOVE/REPLACE", "x", "replace"),
        ("REMOVE/REPLACE", "", None),
        ("test it", "", None),
        ("", "x", "replace"),
    ],
)
def test_an_action_is_read_by_its_words_and_its_replacement(action: str, replacement: str, wanted: str | None) -> None:
    text = f"- Ablated Part: x\n- Action: {action}\n- Replacement: {replacement}"
    assert action_of(read_paper(text, "p").blocks[0]) == wanted


PAPERS = {"BA_LoRA": OBJECTS[:1], "Other_Paper": OBJECTS[1:], "Other_Thing": OBJECTS[1:]}
PLANS = json.dumps(
    {name: {"predictions": "\n".join(map(json.dumps, plan)), "cost": 1} for name, plan in PAPERS.items()}
)
PAGES = "".join(
    f"# planner/model/{name}\n### X\n- **Ablated Part**: {plan[0]['ablated_part']}\n- **Action**: {plan[0]['action']}\n"
    for name, plan in PAPERS.items()
)


@pytest.mark.parametrize("text", [PLANS, PAGES])
def test_of_several_papers_one_is_chosen(text: str) -> None:
    assert read_paper(text, "p", "BA_LoRA").blocks[0].part == "PiSSA initialization"
    assert read_paper(text, "p", "ba_lora").blocks[0].part == "PiSSA initialization"
    with pytest.raises(
        DataError, match=r"it holds plans of 3 papers: choose one with --paper: .*BA_LoRA, .*Other_Paper"
    ):
        read_paper(text, "p")
    with pytest.raises(DataError, match=r"--paper 'other' fits 2 papers: .*Other_Paper, .*Other_Thing"):
        read_paper(text, "p", "other")
    with pytest.raises(DataError, match=r"no paper in the file is called 'swin': it holds .*BA_LoRA"):
        read_paper(text, "p", "swin")


def test_first_level_headings_with_spaces_are_sections_of_one_plan() -> None:
    text = CANONICAL.replace("### Start", "# First part\n### Start").replace("### SVD", "# Second part\n### SVD")
    assert changes(text) == WANTED


@pytest.mark.parametrize("text", ["hello", "### Action\nREMOVE", "- **Ablated Part**: x", '{"a": 1}', "<!-- a -->"])
def test_a_text_without_a_block_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="no block of an ablation plan found"):
        read_paper(text, "p")


def test_averages_and_tasks_are_known_metrics_and_all_others_are_unknown() -> None:
    judged = judge([[
        "NLG Avg., GLUE benchmark scores (accuracy, F1)", "average NLU score", "GSM8K accuracy; SST-2, CoLA (Matthews)",
        "MT-Bench", "accuracy", "NLG metrics (Accuracy, Pass@1, GPT-4 Eval",
    ]])  # fmt: skip
    assert judged.metrics == ("nlu_avg", "nlg_avg")
    assert judged.known == {
        "NLG Avg": "nlg_avg", "GLUE benchmark scores (accuracy, F1)": "nlu_avg", "average NLU score": "nlu_avg",
        "GSM8K accuracy": "nlg_avg", "SST-2": "nlu_avg", "CoLA (Matthews)": "nlu_avg",
        "NLG metrics (Accuracy, Pass@1, GPT-4 Eval": "nlg_avg",
    }  # fmt: skip
    assert judged.tasks == ("gsm8k", "sst2", "cola")
    assert judged.unknown == ("MT-Bench", "accuracy")
    assert judge([["perplexity of NLU"]]).unknown == ("perplexity of NLU",)


def test_one_family_judges_only_where_every_block_says_so() -> None:
    assert judge([["NLU Avg"], ["GLUE", "F1"], []]).metrics == ("nlu_avg",)
    assert judge([["NLG Avg, BLEU"]]).metrics == ("nlg_avg",)
    assert judge([["NLU Avg"], ["Pass@1"]]).metrics == ("nlu_avg", "nlg_avg")
    assert judge([]).metrics == ("nlu_avg", "nlg_avg")
