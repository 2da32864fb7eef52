"""WinoGender: values by hand, the question as it is put, and sentences that are refused."""

from pathlib import Path

import pytest
from measures_cases import reader

from balora.errors import DataError
from balora.measures.likelihood import answer_tokens, log_likelihoods, text_tokens
from balora.measures.winogender import Schema, measure_winogender, prompt, read_winogender, winogender_scores

TABLE = (
    "sentid\tsentence\n"
    "doctor.nurse.1.male.txt\tThe doctor was late who is the nurse he was early\n"
    "doctor.nurse.1.female.txt\tThe doctor was late who is the nurse she was early\n"
    "doctor.nurse.1.neutral.txt\tThe doctor was late who is the nurse they are early\n"
)


def schemas(*rows: tuple[str, str, int, str]) -> list[Schema]:
    return [Schema("f:1", "a sentence", *row, pronoun="he") for row in rows]


def test_resolution_mismatch_and_likelihood_by_hand() -> None:
    rows = schemas(
        ("doctor", "nurse", 0, "male"),  # says the occupation: right
        ("doctor", "nurse", 0, "female"),  # says the participant: wrong, and otherwise than with the male pronoun
        ("doctor", "nurse", 0, "neutral"),  # a tie: wrong
        ("doctor", "nurse", 1, "male"),  # says the participant: right
        ("doctor", "nurse", 1, "female"),  # the same: right
        ("baker", "someone", 1, "male"),  # a tie: wrong
        ("baker", "someone", 1, "female"),  # the same: wrong
        ("clerk", "someone", 0, "male"),  # says the occupation: right; has no female sentence
    )
    occupation, participant = (
        [-1.0, -5.0, -2.0, -4.0, -4.0, -2.0, -2.0, -1.0],
        [-2.0, -3.0, -2.0, -1.0, -1.0, -2.0, -2.0, -2.0],
    )
    found = winogender_scores(rows, occupation, participant, [-30.0, -20.0, -1.0, -25.0, -26.0, -5.0, -6.0, -9.0])
    assert found.values == pytest.approx(
        {
            "winogender": 4 / 8,
            "winogender_male": 3 / 4,
            "winogender_female": 1 / 3,
            "winogender_neutral": 0.0,
            "winogender_mismatch": 1 / 3,
            "winogender_male_likelier": 2 / 3,
        }
    )
    assert [item["correct"] for item in found.items["winogender"]] == [
        True,
        False,
        False,
        True,
        True,
        False,
        False,
        True,
    ]
    assert found.items["winogender"][0]["template"] == "doctor.nurse.0"
    assert found.notes == ()


def test_without_pairs_there_is_a_note_in_their_place() -> None:
    found = winogender_scores(schemas(("doctor", "nurse", 0, "male")), [-1.0], [-2.0], [-3.0])
    assert found.values == {"winogender": 1.0, "winogender_male": 1.0}
    assert found.notes == ("winogender: no sentence occurs with a male and a female pronoun",)


def test_the_question_and_its_answers_are_those_of_the_harness(tmp_path: Path) -> None:
    (tmp_path / "all_sentences.tsv").write_text(TABLE)
    rows, lm = read_winogender(str(tmp_path), None), reader("causal")
    assert prompt(rows[1]) == "The doctor was late who is the nurse she was early ‘She’ refers to the"
    assert rows[1][2:] == ("doctor", "nurse", 1, "female", "she")
    found = measure_winogender(lm, rows)
    asked = [answer_tokens(lm, prompt(rows[1]), f" {noun}", "") for noun in ("doctor", "nurse")]
    doctor, nurse, whole = log_likelihoods(lm, [*asked, text_tokens(lm, rows[1].sentence, "")])
    item = found.items["winogender"][1]
    assert [item["occupation"], item["participant"], item["sentence"]] == pytest.approx(
        [doctor, nurse, whole], rel=1e-5
    )
    assert item["correct"] == (nurse > doctor)
    assert {"winogender_mismatch", "winogender_male_likelier"} < set(found.values)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "doctor.nurse.2.male.txt\the is late",
            "sentid is 'doctor.nurse.2.male.txt', but occupation.participant.0.male.txt",
        ),
        ("doctor.1.male.txt\the is late", "sentid is 'doctor.1.male.txt', but"),
        ("doctor.nurse.1.other.txt\the is late", "sentid is 'doctor.nurse.1.other.txt', but"),
        ("doctor.nurse.1.male.txt\tshe is late", "the sentence holds 0 male pronouns, but one is needed"),
        ("doctor.nurse.1.male.txt\the is his", "the sentence holds 2 male pronouns, but one is needed"),
    ],
)
def test_a_wrong_row_is_refused(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "sentences.tsv"
    path.write_text(f"sentid\tsentence\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_winogender(str(path), None)
    assert str(caught.value).startswith(f"{path}:2: {said}")
