"""The identities of many runs that differ in their seeds alone: what they share is written out once."""

import hashlib
from collections.abc import Sequence

from balora.study.plan.blocks import Block
from balora.training.record import ID_LENGTH, payload
from balora.training.spec import RunSpec

STANDIN = Block(3_141_592_653, 2_718_281_828)
"""Seeds that stand for those of a block; where they are found, the block's go."""


def ids_of_blocks(spec: RunSpec, fingerprints: dict[str, str], blocks: Sequence[Block]) -> list[str]:
    """Return :func:`balora.training.record.run_id` of ``spec`` in each of ``blocks``."""
    text = payload(STANDIN.placed(spec), fingerprints)
    marks = [f'"seed": {seed}' for seed in STANDIN if spec.testbed is not None or seed == STANDIN.seed]
    places = sorted((text.index(mark), mark, number) for number, mark in enumerate(marks))
    pieces = [text[: places[0][0]]]
    for (start, mark, _), end in zip(places, [*(place for place, _, _ in places[1:]), len(text)], strict=True):
        pieces.append(text[start + len(mark) : end])
    begun = hashlib.sha256(pieces[0].encode())
    rest = [(number, piece) for (_, _, number), piece in zip(places, pieces[1:], strict=True)]
    return [_id(begun, "".join(f'"seed": {block[number]}{piece}' for number, piece in rest)) for block in blocks]


def _id(begun: "hashlib._Hash", rest: str) -> str:
    digest = begun.copy()
    digest.update(rest.encode())
    return digest.hexdigest()[:ID_LENGTH]
