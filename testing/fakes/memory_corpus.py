"""Facts of invented people, and questions that ask for them in other words: to tune the recall, to measure its speed.

Everything is drawn from templates; no test set has a part in it. The people share the same kinds of facts, so
that a name decides as often as the meaning does, and some names are known to no model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from testing.fakes.memory_templates import KINDS

_NAMES = [
    *(
        "Anna",
        "Ben",
        "Carla",
        "David",
        "Elif",
        "Farid",
        "Greta",
        "Hugo",
        "Ines",
        "Jonas",
        "Kira",
        "Leo",
        "Mina",
        "Noah",
    ),
    *("Olga", "Paul", "Quinn", "Rosa", "Sami", "Tara", "Uwe", "Vera", "Wim", "Xenia", "Yusuf", "Zoe", "Aunt Lisa"),
    *("Grandpa Otto", "Doctor Weiss", "Mrs. Novak", "the neighbour", "my brother", "my daughter", "our landlord"),
]
_FILLERS = {
    name: [value.strip() for value in values.replace("\n", " ").split(";")]
    for name, values in re.findall(
        r"^(\w+): ((?:.+\n)(?:    .+\n)*)",
        """\
city: Lisbon; Krakow; Toronto; Nairobi; Oslo; Lyon; Porto; Vienna; Seattle; Hanoi; Bergen; Ghent; Leeds; Tartu
food: peanuts; shellfish; strawberries; milk; gluten; walnuts; eggs; soy; kiwi; celery
dish: lasagna; ramen; mushroom risotto; pancakes; lentil soup; fish tacos; dumplings; apple pie
pet: a beagle called Biscuit; a grey cat called Moth; two rabbits; a parrot called Captain; a tortoise; a pony
job: nurse; carpenter; tax adviser; bus driver; biology teacher; baker; software tester; violinist; plumber
hobby: pottery; rock climbing; chess; bird watching; salsa; knitting; kayaking; calligraphy; archery
day: Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday
date: 2 March; 2 June; 2 August; 2 November; 9 March; 9 June; 9 August; 9 November; 14 March; 14 June; 14 August; 14
    November; 21 March; 21 June; 21 August; 21 November; 27 March; 27 June; 27 August; 27 November
place: the blue drawer; the garage shelf; the piano bench; the red suitcase; under the stairs; the tool box
thing: passport; spare keys; drill; vaccination card; tent; winter gloves; charger of the camera; sewing kit
illness: a broken wrist; the flu; a slipped disc; migraine; a knee operation; a tooth infection
car: an old Volvo; a red Fiat; a cargo bike; a camper van; an electric scooter
instrument: the cello; the drums; the accordion; the flute; the bass guitar
sum: 40 euros; 120 dollars; 300 crowns; 75 pounds; 20 francs
study: architecture; marine biology; law; nursing; graphic design; history of art
fear: spiders; heights; thunderstorms; flying; deep water
gift: a telescope; a cookbook; hiking boots; a wool scarf; concert tickets; a bonsai
time: 6:15; 7:30; 8:45; 12:10; 17:20; 19:05; 21:40
""",
        re.MULTILINE,
    )
}
# Statements and questions; {who} is a person, {odd} a name that nobody has heard before, {code} a number.
_OPENERS = [
    "Hey, long time no see!", "Wow, that sounds great.", "Guess what happened.", "Oh no, I am sorry to hear that.",
    "You will not believe it,", "Thanks for asking!", "I have been so busy lately, but", "By the way,", "Really?",
    "That reminds me:", "Good to hear from you.", "It has been quite a week.", "Absolutely, I agree with you.", "So,",
]  # fmt: skip
_CLOSERS = [
    "How about you?", "It makes me really happy.", "I cannot wait to tell you more.", "Anyway, what is new with you?",
    "My friends were surprised.", "Let us talk about it soon.", "It was not easy.", "I took some pictures too.",
    "What do you think?", "I still have to get used to it.", "Take care!", "It means a lot to me and the family.",
]  # fmt: skip
_PLAIN = {"that", "this", "have", "from", "with", "told", "into", "said", "since", "still", "every", "called"}
_SYLLABLES = ["ba", "ke", "li", "mo", "nu", "ra", "shi", "to", "ven", "zor", "dal", "fim", "gre", "hul", "jas"]

UNRELATED = [
    "What is seven times eight?", "Turn on the light in the hall.", "How tall is the Eiffel tower?", "Stop.",
    "Tell me a joke.", "What time is it?", "Thank you, that was all.", "How do I boil an egg?", "Say that again.",
    "What is the capital of Mongolia?", "Translate good morning into Italian.", "Set a timer for ten minutes.",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the place of the fact that answers it."""

    text: str
    answer: int


def corpus(facts: int, seed: int = 0) -> tuple[list[str], list[Question]]:
    """Facts in random order, and one question for each that only this fact answers."""
    pairs = []
    drawn: set[tuple[str, int]] = set()
    for statement, question, key in _draw(random.Random(seed)):
        if key not in drawn:
            drawn.add(key)
            pairs.append((statement, question))
        if len(pairs) == facts or len(drawn) == len(_NAMES) * len(KINDS):
            break
    return [statement for statement, _ in pairs], [Question(text, place) for place, (_, text) in enumerate(pairs)]


def dialogue(asked: int, seed: int = 0) -> tuple[list[str], list[Question]]:
    """The same facts as people tell them: among small talk, in answer to each other, in the order of a conversation.

    Half of the questions use other words than were said, half some of the same.
    """
    rng = random.Random(seed)
    said: list[str] = []
    questions: list[Question] = []
    told: set[tuple[str, int]] = set()
    for statement, question, (who, kind) in _draw(rng):
        if len(questions) == asked:
            break
        if (who, kind) in told or who not in statement:
            continue
        told.add((who, kind))
        other = rng.choice([name for name in _NAMES if name != who])
        own_words = statement.replace(f"{who}'s", "my").replace(f"{who} is", "I am").replace(who, "I")
        if rng.random() < 0.5:
            said.append(f"{other}: {rng.choice(_OPENERS)} {question.replace(who, 'you')}")
        said.append(f"{who}: {rng.choice(_OPENERS)} {own_words} {rng.choice(_CLOSERS)}")
        place = len(said) - 1
        if rng.random() < 0.6:
            said.append(f"{other}: {rng.choice(_OPENERS)} {rng.choice(_CLOSERS)}")
        content = [word for word in re.findall(r"[A-Za-z]{4,}", own_words) if word.lower() not in _PLAIN]
        if content and rng.random() < 0.5:
            question = f"What did {who} say about {' '.join(rng.sample(content, min(2, len(content))))}?"
        questions.append(Question(question, place))
    return said, questions


def endless(seed: int = 0) -> Iterator[str]:
    """Facts without end, each with words of its own as real ones have."""
    rng = random.Random(seed + 1)
    for number, (statement, _, _) in enumerate(_draw(random.Random(seed))):
        yield f"{statement} {_odd_name(rng)} {number} said so."


def _draw(rng: random.Random) -> Iterator[tuple[str, str, tuple[str, int]]]:
    while True:
        who, kind = rng.choice(_NAMES), rng.randrange(len(KINDS))
        statements, questions = KINDS[kind]
        slots = {name: rng.choice(values) for name, values in _FILLERS.items()}
        slots |= {"odd": _odd_name(rng), "code": str(rng.randint(1000, 9999))}
        statement = rng.choice(statements).format(who=who, **slots)
        question = rng.choice(questions).format(who=who, **slots)
        yield statement[0].upper() + statement[1:], question, (who, kind)


def _odd_name(rng: random.Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=3)).title()
