"""Facts of invented people, and questions that ask for them in other words: to tune the recall, to measure its speed.

Everything is drawn from the templates below; no test set has a part in it. The people share the same kinds of facts, so
that a name decides as often as the meaning does, and some names are known to no model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

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
_KINDS = [
    (
        [
            "{who} moved to {city} last spring.",
            "{who} lives in {city} now.",
        ],
        [
            "Where does {who} live?",
            "Which town is {who}'s home these days?",
            "What is {who}'s current address?",
        ],
    ),
    (
        [
            "{who} is allergic to {food}.",
            "{who} gets a rash from {food}.",
        ],
        [
            "What must I not cook for {who}?",
            "Which foods does {who} not tolerate?",
            "Does {who} have an allergy?",
        ],
    ),
    (
        [
            "{who}'s favourite meal is {dish}.",
            "{who} could eat {dish} every day.",
        ],
        [
            "What does {who} like to eat most?",
            "What should I cook to make {who} happy?",
            "Which dish does {who} love?",
        ],
    ),
    (
        [
            "{who} has {pet}.",
            "{who} adopted {pet} from the shelter.",
        ],
        [
            "What animal does {who} keep?",
            "Does {who} own a pet?",
            "Which pet lives with {who}?",
        ],
    ),
    (
        [
            "{who} works as a {job}.",
            "{who} started a new position as a {job}.",
        ],
        [
            "What does {who} do for a living?",
            "What is {who}'s profession?",
            "How does {who} earn money?",
        ],
    ),
    (
        [
            "{who} took up {hobby}.",
            "{who} goes to {hobby} every {day}.",
        ],
        [
            "How does {who} spend the free time?",
            "What is {who}'s new hobby?",
            "What does {who} do for fun?",
        ],
    ),
    (
        [
            "{who}'s birthday is on {date}.",
            "{who} was born on {date}.",
        ],
        [
            "When does {who} celebrate getting older?",
            "When is {who}'s birthday?",
            "On which date do I congratulate {who}?",
        ],
    ),
    (
        [
            "{who}'s {thing} is in {place}.",
            "I put {who}'s {thing} into {place}.",
        ],
        [
            "Where did we leave {who}'s {thing}?",
            "Where can {who} find the {thing}?",
            "Which spot holds the {thing} of {who}?",
        ],
    ),
    (
        [
            "{who} is recovering from {illness}.",
            "{who} had {illness} this winter.",
        ],
        [
            "How is {who}'s health?",
            "What medical trouble did {who} have?",
            "Why was {who} unwell?",
        ],
    ),
    (
        [
            "{who} drives {car}.",
            "{who} bought {car} from a colleague.",
        ],
        [
            "What vehicle does {who} use?",
            "How does {who} get around?",
            "What does {who} ride to work?",
        ],
    ),
    (
        [
            "{who} learns {instrument}.",
            "{who} plays {instrument} in a band.",
        ],
        [
            "Does {who} make music?",
            "Which instrument does {who} practise?",
            "What does {who} play in the orchestra?",
        ],
    ),
    (
        [
            "{who} owes me {sum}.",
            "I lent {who} {sum} on {day}.",
        ],
        [
            "How much money do I get back from {who}?",
            "What debt does {who} have with me?",
            "Who must pay back: what about {who}?",
        ],
    ),
    (
        [
            "{who} studies {study}.",
            "{who} enrolled in {study} at the university.",
        ],
        [
            "What is {who}'s major?",
            "Which subject did {who} choose at college?",
            "What is {who} getting a degree in?",
        ],
    ),
    (
        [
            "{who} is afraid of {fear}.",
            "{who} panics because of {fear}.",
        ],
        [
            "What scares {who}?",
            "What frightens {who} the most?",
            "Which phobia does {who} have?",
        ],
    ),
    (
        [
            "{who} wants {gift} for the anniversary.",
            "{who} would love to get {gift}.",
        ],
        [
            "What present should I buy for {who}?",
            "What does {who} wish for?",
            "Any idea for a gift for {who}?",
        ],
    ),
    (
        [
            "{who}'s train leaves at {time} on {day}.",
            "{who} has to be at the station by {time} on {day}.",
        ],
        [
            "When does {who} depart?",
            "At what hour is {who} travelling?",
            "When must I bring {who} to the railway?",
        ],
    ),
    (
        [
            "{who} has a dentist appointment on {day} at {time}.",
            "The dentist expects {who} on {day} at {time}.",
        ],
        [
            "When does {who} get the teeth checked?",
            "What medical visit does {who} have this week?",
            "When is {who} at the dentist?",
        ],
    ),
    (
        [
            "{who} broke up with the boyfriend.",
            "{who} is single again.",
        ],
        [
            "Is {who} in a relationship?",
            "What happened in {who}'s love life?",
            "Does {who} have a partner?",
        ],
    ),
    (
        [
            "{who} expects a baby in {date}.",
            "{who} is pregnant and due on {date}.",
        ],
        [
            "What are {who}'s family news?",
            "Is {who} having a child?",
            "When does {who} become a parent?",
        ],
    ),
    (
        [
            "{who} said the exam in {study} went badly.",
            "{who} failed the {study} test.",
        ],
        [
            "How did {who} do at school?",
            "Which examination did {who} not pass?",
            "What grade trouble does {who} have?",
        ],
    ),
    (
        [
            "{who} cannot sleep since the move to {city}.",
            "{who} lies awake at night in {city}.",
        ],
        [
            "What keeps {who} tired?",
            "Does {who} suffer from insomnia?",
            "How are {who}'s nights?",
        ],
    ),
    (
        [
            "{who} booked a holiday in {city}.",
            "{who} flies to {city} on {date}.",
        ],
        [
            "Where does {who} go on vacation?",
            "What trip has {who} planned?",
            "Which journey is {who} looking forward to?",
        ],
    ),
    (
        [
            "The {odd} meeting was moved to {day} at {time}.",
            "We see the {odd} people on {day}, {time}.",
        ],
        [
            "When is the {odd} meeting?",
            "What about {odd}, which day?",
        ],
    ),
    (
        [
            "The password of the {odd} network is in {place}.",
            "The login for {odd} is written down: {place}.",
        ],
        [
            "How do I get into {odd}?",
            "Where is the {odd} password?",
        ],
    ),
    (
        [
            "{who} recommended the film {odd}.",
            "{who} told me to watch {odd}.",
        ],
        [
            "Who talked about {odd}?",
            "What did {who} say about {odd}?",
        ],
    ),
    (
        [
            "The invoice from {odd} over {sum} is still open.",
            "{odd} wants {sum} from us by {day}.",
        ],
        [
            "What do we have to pay to {odd}?",
            "Is {odd} paid already?",
        ],
    ),
    (
        [
            "The part number of the {thing} is {odd} {code}.",
            "For the {thing} we need {odd} {code}.",
        ],
        [
            "What is {odd} {code} for?",
            "Which {thing} model is it, {odd}?",
        ],
    ),
    (
        [
            "{who}'s new number ends in {code}.",
            "Call {who} on the line that ends in {code}.",
        ],
        [
            "What is {who}'s phone number?",
            "Whose number ends in {code}?",
        ],
    ),
    (
        [
            "{who} met {odd} at the fair in {city}.",
            "{odd} and {who} know each other from {city}.",
        ],
        [
            "How does {who} know {odd}?",
            "Where did they meet {odd}?",
        ],
    ),
    (
        [
            "{odd} is the street where {who} parks.",
            "{who} leaves the car in {odd} street.",
        ],
        [
            "Where does {who} park?",
            "What happens in {odd} street?",
        ],
    ),
]

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
        if len(pairs) == facts or len(drawn) == len(_NAMES) * len(_KINDS):
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
        who, kind = rng.choice(_NAMES), rng.randrange(len(_KINDS))
        statements, questions = _KINDS[kind]
        slots = {name: rng.choice(values) for name, values in _FILLERS.items()}
        slots |= {"odd": _odd_name(rng), "code": str(rng.randint(1000, 9999))}
        statement = rng.choice(statements).format(who=who, **slots)
        question = rng.choice(questions).format(who=who, **slots)
        yield statement[0].upper() + statement[1:], question, (who, kind)


def _odd_name(rng: random.Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=3)).title()
