"""Tokens, lessons, the optimizer, and a pre-training of a few steps: what it may depend on and what it may not."""

from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from balora.errors import TrainingError
from balora.tasks.encoding import IGNORED
from balora.tasks.testbed import decoder, encoder, probes
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.lexicon import VERDICTS
from balora.tasks.testbed.optimizer import Mixed, orthogonalized
from balora.tasks.testbed.pairs import OPPOSITE, OTHER, SAME, WIDER
from balora.tasks.testbed.pretrain import pretrain
from balora.tasks.testbed.probes import check, limit
from balora.tasks.testbed.testbed_tasks import NLG, NLU, rows
from balora.tasks.testbed.text import documents
from balora.tasks.testbed.tokenizer import END, MASK, PAD, START, build_tokenizer, word_ids

SMALL = TestbedConfig(encoder_steps=3, decoder_steps=3, batch_size=4, people=16)


def test_the_tokenizer_reads_every_task_without_unknown_words() -> None:
    config = TestbedConfig()
    for family, tasks in (("nlu", NLU), ("nlg", NLG)):
        tokenizer = build_tokenizer(config, family)  # type: ignore[arg-type]
        for task in tasks:
            for row in rows(task, "test", config, 100):
                texts = [row[name] for name in row if name in ("sentence", "sentence1", "question", "answer")]
                ids = tokenizer("\n".join(texts))["input_ids"]
                assert tokenizer.unk_token_id not in ids
                assert ids[0] == START
    prompt = build_tokenizer(config, "nlg")("Question: what is the home of Mila ?\nAnswer:")["input_ids"]
    assert prompt[-1] == word_ids(config)["Answer:"]


def test_pairs_are_encoded_as_the_lessons_are() -> None:
    tokenizer, words = build_tokenizer(TestbedConfig(), "nlu"), word_ids(TestbedConfig())
    for document in islice(documents(TestbedConfig(), "nlu"), 200):
        expected = tokenizer(document.first, document.second)["input_ids"]
        assert encoder.encode(document, words).ids == expected


def test_text_survives_encoding_and_decoding() -> None:
    tokenizer = build_tokenizer(TestbedConfig(), "nlg")
    for row in rows("code", "test", TestbedConfig(), 20):
        assert tokenizer.decode(tokenizer(row["answer"])["input_ids"], skip_special_tokens=True) == row["answer"]


@pytest.mark.parametrize(
    ("second", "links"),
    [
        ("Mila grips the big hammer .", [SAME, SAME, -1, SAME, SAME, -1]),
        ("Mila holds the small tool .", [SAME, SAME, -1, OPPOSITE, WIDER, -1]),
        ("Tora finds the old fruit .", [OTHER, OTHER, -1, OTHER, OTHER, -1]),
        ("Mila does not hold the hammer .", [SAME, -1, OPPOSITE, SAME, -1, SAME, -1]),
    ],
)
def test_links_say_how_words_relate(second: str, links: list[int]) -> None:
    from balora.tasks.testbed.grammar import Clause, Written
    from balora.tasks.testbed.pairs import _links
    from balora.tasks.testbed.world import Person

    def clause(text: str) -> tuple[Clause, Written]:
        words = text.replace("does not ", "").split()[:-1]
        adjective = words[3] if len(words) == 5 else None
        pole = {"big": (0, 0), "small": (0, 1), "old": (1, 0), None: None}[adjective]
        verb = words[1].removesuffix("s")
        noun = words[-1]
        category = {"hammer": "tool", "tool": "tool", "fruit": "fruit"}[noun]
        meaning = Clause(
            Person(words[0], 0), {"hold": 0, "grip": 0, "find": 1}[verb], pole, category,
            noun if noun == "hammer" else None, "not" in text,
        )  # fmt: skip
        return meaning, Written(words[0], verb, adjective, noun, "not" in text)

    first, _ = clause("Mila holds the big hammer .")
    assert _links(first, *clause(second)) == links


def test_hiding_masks_asks_and_marks_the_right_places() -> None:
    words = word_ids(TestbedConfig())
    rows_ = [encoder.encode(document, words) for document in islice(documents(TestbedConfig(), "nlu"), 256)]
    batch = encoder.hide(rows_, np.random.default_rng(0), words)
    whole = decoder.padded([one.ids for one in rows_])
    masked, body = batch.ids == MASK, batch.targets[:, 1:]
    assert torch.equal(body != IGNORED, masked[:, 1:])
    assert torch.equal(batch.targets[masked], whole[masked])
    assert batch.targets[:, 0].tolist() == [one.marker for one in rows_]
    judged = batch.replaced != IGNORED
    assert torch.equal((batch.ids != whole)[judged], batch.replaced[judged].bool())
    assert not judged[masked].any()
    padding = whole == PAD
    assert padding.any()
    assert torch.equal(batch.ids == PAD, padding)
    for asked in (batch.targets, batch.replaced, batch.links):
        assert (asked[padding] == IGNORED).all()
    assert 0.02 < batch.replaced[judged].float().mean() < 0.1


def test_verdicts_are_masked_oftener_than_other_words() -> None:
    words = word_ids(TestbedConfig())
    found = [d for d in islice(documents(TestbedConfig(), "nlu"), 3000) if d.kind == "sentiment" and d.marker is None]
    lessons = [encoder.encode(document, words) for document in found]
    batch = encoder.hide(lessons, np.random.default_rng(0), words)
    verdicts = torch.tensor([words[word] for word in VERDICTS])
    asked, kept = batch.targets[:, 1:], batch.ids
    hidden, shown = int(torch.isin(asked, verdicts).sum()), int(torch.isin(kept, verdicts).sum())
    assert hidden / (hidden + shown) == pytest.approx(0.85, abs=0.06)


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 5, 12), (3, 12, 5)])
def test_orthogonalized_keeps_the_directions_and_levels_their_lengths(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    inner = u.mT @ orthogonalized(matrices) @ vt.mT
    lengths = inner.diagonal(dim1=1, dim2=2)
    assert torch.allclose(inner, torch.diag_embed(lengths), atol=1e-4)
    assert (lengths > 0.1).all()
    assert (lengths < 1.3).all()
    assert (lengths > 0.6).float().mean() > 0.7


def test_the_optimizer_moves_every_parameter_downhill() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 8), torch.nn.Linear(8, 2))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(1))
    inputs = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    optimizer = Mixed(model, 1e-2, 1e-2)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    losses = []
    for _ in range(30):
        loss = (model(inputs) - inputs[:, :2]).square().mean()
        loss.backward()
        optimizer.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("family", ["nlu", "nlg"])
def test_pretraining_is_the_configurations_alone(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "DOCUMENTS", 60)
    torch.manual_seed(1)
    one = pretrain(SMALL, family, checked=False)  # type: ignore[arg-type]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    two = pretrain(SMALL, family, checked=False)  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), state)
    other = pretrain(SMALL.replace(seed=1), family, checked=False)  # type: ignore[arg-type]
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name])
    assert not all(torch.equal(v, other.model.state_dict()[k]) for k, v in one.model.state_dict().items())
    assert one.probes == two.probes


def test_a_model_that_knows_too_little_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "DOCUMENTS", 60)
    with pytest.raises(
        TrainingError, match=r"the pre-trained decoder \(seed 0\) gets 0\.\d\d of the \w+ probes right, "
    ):
        pretrain(SMALL, "nlg")


def test_limits_fall_with_the_noise_and_hold_without() -> None:
    clean, noisy = TestbedConfig(), TestbedConfig(noise=0.4)
    assert limit("fact", clean, "nlg") > limit("fact", noisy, "nlg") > 0.125
    found = {"fact": limit("fact", clean, "nlg"), "code": 0.0}
    with pytest.raises(TrainingError, match="code probes"):
        check(found, clean, "nlg")
    check({"fact": limit("fact", noisy, "nlg")}, noisy, "nlg")


@pytest.mark.slow
def test_a_model_that_fails_its_probes_is_made_anew_from_other_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    with pytest.raises(TrainingError, match="take another seed"):
        pretrain(SMALL, "nlg", on_steps=lambda done, of, loss: steps.append(done))
    assert steps == [1, 2, 3] * 3
    verdicts = iter([["fact"], []])
    monkeypatch.setattr("balora.tasks.testbed.pretrain.failures", lambda *_: next(verdicts))
    second, first = pretrain(SMALL, "nlg"), pretrain(SMALL, "nlg", checked=False)
    assert (second.attempts, first.attempts) == (2, 1)
    assert not torch.equal(second.model.lm_head.weight, first.model.lm_head.weight)


def test_saving_a_model_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pretrain(SMALL, "nlg", checked=False).save(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert capfd.readouterr() == ("", "")


def test_packed_rows_hold_every_document_once_and_whole() -> None:
    words = word_ids(TestbedConfig())
    texts = [decoder.tokens(document, words) for document in islice(documents(TestbedConfig(), "nlg"), 300)]
    rows_ = decoder.packed(texts, Random(0))
    assert max(map(len, rows_)) <= decoder.WIDTH
    parts = [[START, *part] for row in rows_ for part in _split(row)]
    assert sorted(parts) == sorted(texts)
    assert sum(map(len, rows_)) > 0.9 * len(rows_) * decoder.WIDTH


def test_documents_of_a_row_do_not_see_each_other() -> None:
    taught = decoder.DecoderLoss(decoder.new_decoder(40))
    one, two = [START, 10, 11, 12, END], [START, 20, 21, END]
    with torch.no_grad():
        alone = [float(taught(torch.tensor([document]))) * (len(document) - 1) for document in (one, two)]
        together = float(taught(torch.tensor([one + two + [PAD]])))
    assert together == pytest.approx(sum(alone) / (len(one) + len(two) - 2), rel=1e-5)


def _split(row: list[int]) -> list[list[int]]:
    """Cut a row before every start token, and drop these."""
    cuts = [position for position, token in enumerate(row) if token == START]
    return [row[start + 1 : end] for start, end in zip(cuts, [*cuts[1:], len(row)], strict=True)]
