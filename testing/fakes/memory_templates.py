"""Sentences in which a fact is told, and questions that ask for it in other words; memory_corpus.py fills them in."""

from __future__ import annotations

KINDS = [
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
