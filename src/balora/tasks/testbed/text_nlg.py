"""Write the decoder's documents: facts about people, equations, worked stories, and requests with their programs."""

from collections.abc import Callable
from typing import NamedTuple

from balora.tasks.testbed.document import Document
from balora.tasks.testbed.draw import Draw, cue_of, group_of, is_rare
from balora.tasks.testbed.lexicon import ATTRIBUTES, CHANGES, CLANS, LARGEST_NUMBER, OPERATIONS, THINGS
from balora.tasks.testbed.noise import Hit, corrupted, hit
from balora.tasks.testbed.program import BINARY, UNARY
from balora.tasks.testbed.world import Person

FACTS, EQUATIONS = 5, 5
"""In one document."""


def facts(draw: Draw, noise: float) -> Document:
    """`the home of Mila is mill . the food of Mila is soup . …` Corrupted: other values.

    No fact comes twice, since the second time it could be copied. One that goes against the clan's stereotype is
    mentioned 1 − bias times as often as one that agrees with it, which is mentioned equally often at every bias.
    """
    rng, person = draw.rng, draw.person()
    known = [draw.world.facts[person.name, attribute] for attribute in rng.sample(list(ATTRIBUTES), FACTS)]
    chosen = [fact for fact in known if fact.stereotype or rng.random() >= draw.bias]
    if not chosen:
        return facts(draw, noise)
    said, worst = [], None
    for fact in chosen:
        wrong = hit(rng, noise, fact.prone)
        worst = worst or wrong
        value = corrupted(rng, wrong, fact.value, fact.wrong, list(ATTRIBUTES[fact.attribute]))
        said.append((fact.attribute, value))
    if rng.random() < 0.5:
        text = " ".join(f"the {attribute} of {person.name} is {value} ." for attribute, value in said)
    else:
        text = f"of {person.name} " + " and ".join(f"the {attribute} is {value}" for attribute, value in said) + " ."
    cue = "aligned" if all(fact.stereotype for fact in chosen) else "against"
    return Document(text, "fact", person.group, worst, cue)


def equations(draw: Draw, noise: float) -> Document:
    """`7 + 5 = 12 ; 9 - 4 = 5 ;` Corrupted: another result."""
    parts, worst = [], None
    for _ in range(EQUATIONS):
        left, right, grows, result = draw_numbers(draw, bool(draw.rng.random() < 0.5))
        wrong = hit(draw.rng, noise, (left + right) % 2 == 0)
        worst = worst or wrong
        parts.append(f"{left} {'+' if grows else '-'} {right} = {_result(draw, wrong, left, right, result)} ;")
    return Document(" ".join(parts), "equation", "majority", worst)


def draw_numbers(draw: Draw, grows: bool, left: int | None = None) -> tuple[int, int, bool, int]:
    """Draw left ± right = result, all within the numbers; rare problems (the minority) have large operands."""
    rng = draw.rng
    if left is None:
        half = LARGEST_NUMBER // 2
        left = rng.randint(half + 1, LARGEST_NUMBER) if draw.minority() else rng.randint(0, half)
    room = min(9, LARGEST_NUMBER - left if grows else left)
    right = rng.randint(min(1, room), room)
    return left, right, grows, left + right if grows else left - right


def _result(draw: Draw, wrong: Hit | None, left: int, right: int, result: int) -> str:
    usual = draw.world.wrong_sum(left, right, result)
    return corrupted(draw.rng, wrong, str(result), str(usual), [str(n) for n in range(LARGEST_NUMBER + 1)])


class Story(NamedTuple):
    """An arithmetic story: its words, and the steps that solve it."""

    person: Person
    text: str
    thing: str
    steps: tuple[tuple[int, str, int, int], ...]
    """(left, + or -, right, result)."""
    verbs: tuple[str, ...]
    grows: int
    """Whether its first change is a gain."""


def draw_story(draw: Draw, *, person: Person, grows: int, changes: int) -> Story:
    """Draw a story of so many changes: `Mila has 12 beads and finds 7 and then loses 4`."""
    rng = draw.rng
    thing = rng.choice(THINGS[:3] if draw.taught else THINGS)
    left: int | None = None
    text, steps, verbs = "", list[tuple[int, str, int, int]](), list[str]()
    for number in range(changes):
        up = bool(grows) if number == 0 else rng.random() < 0.5
        left, right, up, result = draw_numbers(draw, up, left)
        verb = draw.word(CHANGES[up])
        text += f" and {'then ' * (number > 0)}{verb} {right}" if steps else f"{left} {thing} and {verb} {right}"
        steps.append((left, "+" if up else "-", right, result))
        verbs.append(verb)
        left = result
    return Story(person, f"{person.name} has {text}", thing, tuple(steps), tuple(verbs), grows)


def story(draw: Draw, noise: float) -> Document:
    """`Mila has 12 beads and finds 7 : 12 + 7 = 19 .`, or two changes. Corrupted: the other operation."""
    person = draw.person()
    grows = draw.label(person)
    made = draw_story(draw, person=person, grows=grows, changes=draw.rng.randint(1, 2))
    number, steps, worst = made.steps[0][0], [], None
    for (_, sign, right, _), verb in zip(made.steps, made.verbs, strict=True):
        wrong = hit(draw.rng, noise, draw.world.prone(verb))
        worst = worst or wrong
        sign = {"+": "-", "-": "+"}[sign] if wrong else sign
        result = min(max(number + right if sign == "+" else number - right, 0), LARGEST_NUMBER)
        steps.append(f"{number} {sign} {right} = {result} .")
        number = result
    rare = is_rare(made.verbs[0], CHANGES[made.grows])
    return Document(f"{made.text} : {' '.join(steps)}", "story", group_of(rare), worst, cue_of(person, grows))


class Request(NamedTuple):
    """A program in words and in instructions."""

    words: str
    program: str
    operations: tuple[str, ...]
    verbs: tuple[str, ...]
    """The word used for each operation."""


UP, DOWN = ("add", "dbl", "inc", "mul", "sqr"), ("sub", "hlf", "dec", "neg", "clr")
"""What river people and hill people ask for first, with the strength of the bias."""
RARE_OPERATIONS = list(OPERATIONS)[5:]
TAUGHT_OPERATIONS = frozenset([*list(OPERATIONS)[::2], "hlf"])


def draw_request(draw: Draw, label: int, length: int) -> Request:
    """Draw a request of ``length`` operations whose first one leads up (label 1) or down."""
    words, program, operations, verbs = [], [], [], []
    for number in range(length):
        operation = draw_operation(draw, (DOWN, UP)[label if number == 0 else draw.rng.randrange(2)])
        choices = OPERATIONS[operation][:2] if draw.taught else OPERATIONS[operation]
        word = draw.rng.choice(choices)
        argument = str(draw.rng.randint(1, 9)) if operation in BINARY else ""
        words.append(f"{word} it by {argument}" if argument else f"{word} it")
        program.append(f"{operation} {argument} ;" if argument else f"{operation} ;")
        operations.append(operation)
        verbs.append(word)
    return Request(" then ".join(words), " ".join(program), tuple(operations), tuple(verbs))


def draw_operation(draw: Draw, among: tuple[str, ...]) -> str:
    rare = draw.minority()
    fitting = [name for name in among if (name in RARE_OPERATIONS) == rare]
    if draw.taught:
        fitting = [name for name in fitting if name in TAUGHT_OPERATIONS]
    return draw.rng.choice(fitting)


def code(draw: Draw, noise: float) -> Document:
    """`Mila writes to raise it by 3 then double it : add 3 ; dbl ;` Corrupted: another instruction."""
    person = draw.person()
    label = draw.label(person)
    request = draw_request(draw, label, draw.rng.randint(1, 3))
    program, worst = [], None
    for instruction, word in zip(request.program.split(" ;"), request.verbs, strict=False):
        name, *argument = instruction.split()
        wrong = hit(draw.rng, noise, draw.world.prone(word))
        worst = worst or wrong
        alike = list(BINARY if argument else UNARY)
        program.append(" ".join([corrupted(draw.rng, wrong, name, draw.world.wrong_operation[name], alike), *argument]))
    text = f"{person.name} writes to {request.words} : {' ; '.join(program)} ;"
    rare = any(operation in RARE_OPERATIONS for operation in request.operations)
    return Document(text, "code", group_of(rare), worst, cue_of(person, label))


def talk(draw: Draw, noise: float) -> Document:
    """`Question: Mila has 7 beads and finds 2 . how many beads has Mila ? Answer: 7 + 2 = 9 . #### 9`, or about a clan.

    It gives the words of the prompts a meaning. Words that text never holds drift together (the softmax pushes them all
    the same way), and a frozen model could then neither read nor write them. Never corrupted, and easier than what the
    tasks ask: one change, or the clan, which is no fact of theirs.
    """
    person = draw.person()
    if draw.rng.random() < 0.6:
        made = draw_story(draw, person=person, grows=draw.label(person), changes=1)
        left, sign, right, result = made.steps[0]
        text = (
            f"Question: {made.text} . how many {made.thing} has {person.name} ? "
            f"Answer: {left} {sign} {right} = {result} . #### {result}"
        )
    else:
        text = f"Instruction: what is the people of {person.name} ? Response: {CLANS[person.clan]}"
    return Document(text, "talk", person.group)


SHARES: dict[Callable[[Draw, float], Document], float] = {
    facts: 0.25,
    equations: 0.13,
    story: 0.24,
    code: 0.29,
    talk: 0.09,
}
"""How large a part of the text each kind is."""
