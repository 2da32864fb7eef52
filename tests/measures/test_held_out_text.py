"""The loss on a text: windows by hand, against the model's own loss, bits a byte, and files that are refused."""

import math
from pathlib import Path

import pytest
import torch
from measures_cases import WORDS, reader

from balora.errors import DataError
from balora.measures.held_out_text import held_out_scores, measure_held_out, read_documents, windows


def test_loss_and_bits_by_hand() -> None:
    """Two windows, 3 + 1 tokens, −8 log 2 nats in all: 2 log 2 a token; 8 bits over 16 bytes: half a bit a byte."""
    found = held_out_scores([-6 * math.log(2), -2 * math.log(2)], [3, 1], 16)
    assert found.values == pytest.approx({"held_out_loss": 2 * math.log(2), "held_out_bits_per_byte": 0.5})
    assert found.items["held_out"] == [
        {"index": 0, "score": pytest.approx(-2 * math.log(2)), "tokens": 3},
        {"index": 1, "score": pytest.approx(-2 * math.log(2)), "tokens": 1},
    ]


def test_windows_do_not_overlap_and_score_every_token_once() -> None:
    found = windows([10, 11, 12, 13, 14], [1], 3, "w")
    assert [(row.ids, row.scored) for row in found] == [
        ([1, 10, 11], [1, 2]),
        ([1, 12, 13], [1, 2]),
        ([1, 14], [1]),
    ]


def test_without_a_start_token_the_first_of_a_window_is_not_scored() -> None:
    found = windows([10, 11, 12], [], 2, "w")
    assert [(row.ids, row.scored) for row in found] == [([10, 11], [1]), ([12], [])]


def test_tokens_that_cannot_be_scored_count_in_bits_as_the_others_do() -> None:
    """Without a start token, half of the windows' tokens here; their bytes alone would halve the bits a byte."""
    lm = reader("causal", max_positions=2)
    lm.tokenizer.bos_token = lm.tokenizer.eos_token = None
    assert lm.start == []
    found = measure_held_out(lm, ["the cat the cat"])
    bits = found.values["held_out_loss"] / math.log(2)
    assert [item["tokens"] for item in found.items["held_out"]] == [1, 1]
    assert found.values["held_out_bits_per_byte"] == pytest.approx(bits * 4 / len("the cat the cat"))


@pytest.mark.parametrize("positions", [8, None])
def test_the_loss_is_the_models_own_window_by_window(positions: int | None) -> None:
    lm = reader("causal", max_positions=positions)
    documents = [" ".join(WORDS), "the cat runs late", " ".join(WORDS[::-1])]
    total, count = 0.0, 0
    for document in documents:
        ids = lm.tokenizer(document, add_special_tokens=False)["input_ids"]
        step = (positions or 1024) - 1
        for start in range(0, len(ids), step):
            window = torch.tensor([[lm.tokenizer.bos_token_id, *ids[start : start + step]]])
            with torch.no_grad():
                total += float(lm.model(window, labels=window).loss) * (window.shape[1] - 1)
            count += window.shape[1] - 1
    found = measure_held_out(lm, documents)
    assert found.values["held_out_loss"] == pytest.approx(total / count, rel=1e-4)
    size = sum(len(document) for document in documents)
    assert found.values["held_out_bits_per_byte"] == pytest.approx(total / math.log(2) / size, rel=1e-4)
    assert sum(item["tokens"] for item in found.items["held_out"]) == count == 2 * len(WORDS) + 4


def test_bytes_are_counted_in_utf_8() -> None:
    lm = reader("causal")
    plain, other = (measure_held_out(lm, [text]).values for text in ("x the", "é the"))  # one unknown token each
    assert plain["held_out_loss"] == other["held_out_loss"]
    assert plain["held_out_bits_per_byte"] / other["held_out_bits_per_byte"] == pytest.approx(6 / 5)


def test_documents_are_parted_by_their_mark(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("\ufeffone\ntwo\n<|endoftext|>\nthree\n<|endoftext|>\n\n")
    assert read_documents(str(path)) == ["one\ntwo", "three"]
    path.write_text("no mark\n\nat all")
    assert read_documents(str(path)) == ["no mark\n\nat all"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory): name a UTF-8 text file of at most 64 MiB"),
        (b"\xff\xfe\x00", "cannot be read (it is not UTF-8 text): name a UTF-8 text file of at most 64 MiB"),
        (b" \n<|endoftext|>\n", "holds no text: name a file with some"),
        (b"", "holds no text: name a file with some"),
    ],
)
def test_a_wrong_file_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_documents(str(path))
    assert str(caught.value).startswith("measures.held_out: ")
    assert str(caught.value).endswith(said)


def test_devices_and_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="'/dev/zero' cannot be read \\(it is no regular file\\)"):
        read_documents("/dev/zero")
    monkeypatch.setattr("balora.measures.held_out_text.LARGEST", 2**20)
    path = tmp_path / "text.txt"
    path.write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(DataError, match="it is larger than 1 MiB"):
        read_documents(str(path))


def test_a_text_of_one_token_without_a_start_token_is_refused() -> None:
    lm = reader("causal")
    lm.tokenizer.bos_token = lm.tokenizer.eos_token = None
    with pytest.raises(DataError, match="the text has no token to score"):
        measure_held_out(lm, ["cat"])
