"""`balora settings` says what may be set."""

import json

from running import Balora


def test_without_a_word_every_key_has_a_line(balora: Balora) -> None:
    done = balora("settings")
    *lines, empty, last = done.out.splitlines()
    assert done.code == 0
    assert empty == ""
    assert last == f"{len(lines)} settings with their defaults; `balora settings WORD` says what one does."
    assert "training.warmup                    0.03" in lines


def test_a_word_shows_everything_about_its_settings(balora: Balora) -> None:
    assert balora("settings", "lora_rank").out.splitlines() == [
        "adapter.rank: whole number ≥ 1; default: 16",
        "    r of the trained factors A (r×in) and B (out×r); at most min(in, out) of every target layer.",
        "    elsewhere: r, lora_r, lora_rank",
    ]
    assert "\n\nscoring.temperature: number > 0; default: 0.8\n" in balora("settings", "temperature").out


def test_json_has_the_same_fields(balora: Balora) -> None:
    (row,) = json.loads(balora("settings", "max_norm", "--json").out)["settings"]
    assert (row["key"], row["type"], row["default"]) == ("training.max_grad_norm", "number > 0", "1.0")
    assert "grad_clip" in row["other_names"]


def test_an_unknown_word_is_wrong_input(balora: Balora) -> None:
    done = balora("settings", "warmpu")
    assert (done.code, done.out) == (2, "")
    assert done.err == "balora: error: unknown setting 'warmpu': did you mean 'warmup'?\n"
