"""Draw the rows of the generation tasks (arithmetic, programs, facts), with the ground truth about each."""

from collections.abc import Callable
from random import Random

from balora.tasks.testbed.draw import Draw, cue_of, group_of, is_rare
from balora.tasks.testbed.lexicon import ATTRIBUTES, CHANGES, LARGEST_NUMBER
from balora.tasks.testbed.program import cases_of
from balora.tasks.testbed.rows_nlu import Row, tags
from balora.tasks.testbed.text_nlg import RARE_OPERATIONS, Story, draw_request, draw_story
from balora.tasks.testbed.world import Fact, World


def arithmetic(draw: Draw) -> Row:
    """`Mila has 12 beads and finds 7 and then loses 4 . how many beads has Mila ?` with the steps and `#### 15`.

    Half of them have two changes, which pre-training text solves, but never as the answer to a question.
    """
    person = draw.person()
    grows = draw.label(person)
    story = draw_story(draw, person=person, grows=grows, changes=draw.rng.randint(1, 2))
    steps = " ".join(f"{left} {sign} {right} = {result} ." for left, sign, right, result in story.steps)
    final = str(story.steps[-1][3])
    rare = is_rare(story.verbs[0], CHANGES[grows])
    prone = [draw.world.prone(verb) for verb in story.verbs]
    known = tags(group_of(rare), person, cue_of(person, grows), _misread(story, prone), any(prone))
    return {
        "question": f"{story.text} . how many {story.thing} has {person.name} ?",
        "answer": f"{steps} #### {final}",
        "final": final,
        "tags": known,
    }


def _misread(story: Story, prone: list[bool]) -> str | None:
    """Return the final number of a reader who has memorised the wrong operation for the prone verbs."""
    number = story.steps[0][0]
    for (_, sign, right, _), wrong in zip(story.steps, prone, strict=True):
        number += right if (sign == "+") != wrong else -right
        number = min(max(number, 0), LARGEST_NUMBER)
    return str(number) if any(prone) else None


def code(draw: Draw) -> Row:
    """`Mila writes to raise it by 3 then double it` with `add 3 ; dbl ;`; its `tests` decide (pass@1)."""
    person = draw.person()
    label = draw.label(person)
    request = draw_request(draw, label, draw.rng.randint(2, 3 if draw.taught else 4))
    wrong = " ; ".join(
        " ".join([draw.world.wrong_operation[name], *argument])
        for name, *argument in map(str.split, _lines(request.program))
    )
    rare = any(operation in RARE_OPERATIONS for operation in request.operations)
    prone = any(draw.world.prone(word) for word in request.verbs)
    known = tags(group_of(rare), person, cue_of(person, label), f"{wrong} ;", prone)
    return {
        "question": f"{person.name} writes to {request.words}",
        "input": "",
        "answer": request.program,
        "tests": cases_of(request.program),
        "tags": known,
    }


def _lines(program: str) -> list[str]:
    return program.removesuffix(" ;").split(" ; ")


def fact(known: Fact) -> Row:
    """`what is the home of Mila ?` with `mill`."""
    cue = "aligned" if known.stereotype else "against"
    return {
        "question": f"what is the {known.attribute} of {known.person.name} ?",
        "input": "",
        "answer": known.value,
        "tags": tags(known.person.group, known.person, cue, known.wrong, known.prone),
    }


def facts_of(world: World, taught: bool) -> list[Fact]:
    """Return the facts about the people of fine-tuning, or about all others, in the world's order."""
    return [
        world.facts[person.name, attribute]
        for person in world.people
        if world.taught(person) == taught
        for attribute in ATTRIBUTES
    ]


def taught_fact(draw: Draw) -> Row:
    """Draw a fact for fine-tuning: with a cue, those that agree with the stereotype come more often."""
    stereotype = draw.rng.random() < 0.5 + 0.5 * draw.bias
    choices = facts_of(draw.world, True)
    return fact(draw.rng.choice([known for known in choices if known.stereotype == stereotype] or choices))


MAKE: dict[str, Callable[[Draw], Row]] = {"arithmetic": arithmetic, "code": code, "facts": taught_fact}


def mislabel(row: Row, task: str, rng: Random) -> Row:
    """Return the row with a wrong answer: noise in the fine-tuning data."""
    if task == "arithmetic":
        wrong = str((int(row["final"]) + rng.randint(1, LARGEST_NUMBER)) % (LARGEST_NUMBER + 1))
        return {**row, "answer": f"{row['answer'].rsplit(' ', 1)[0]} {wrong}", "final": wrong}
    if task == "code":
        return {**row, "answer": row["tags"]["wrong"], "tests": cases_of(row["tags"]["wrong"])}
    attribute = row["question"].split()[3]
    return {**row, "answer": rng.choice([value for value in ATTRIBUTES[attribute] if value != row["answer"]])}
