"""What a person states is kept without a model; what they ask, order or chat is not."""

from __future__ import annotations

import time

import pytest

from pipecatapp.domain import Fact, Turn
from pipecatapp.memory.statement_rules import extract_statements, is_unasked_secret

pytestmark = pytest.mark.unit


def turn(words: str, answer: str = "All right.") -> Turn:
    return Turn("t", words, answer, "typed", 0.0)


def texts(words: str) -> list[str]:
    return [note.text for note in extract_statements(turn(words), [], [])]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("my daughter is called anna and my dog is called rex", ["my daughter is called anna", "my dog is called rex"]),
        ("I live in Bristol.", ["I live in Bristol"]),
        ("My favourite band is Panic! at the Disco.", ["My favourite band is Panic! at the Disco"]),
        ("I live in Bristol! My name is Joe!", ["I live in Bristol", "My name is Joe"]),
        ("well, my name is joe", ["my name is joe"]),
        ("by the way i am allergic to peanuts", ["i am allergic to peanuts"]),
        ("remember that the spare key is under the blue pot", ["the spare key is under the blue pot"]),
        ("please note that the printer is broken", ["the printer is broken"]),
        ("my dentist appointment is on wednesday can you remind me", ["my dentist appointment is on wednesday"]),
        ("I'm a nurse. My husband works at the harbour.", ["I'm a nurse", "My husband works at the harbour"]),
        ("we moved to leeds in 2020", ["we moved to leeds in 2020"]),
        ("i like strong coffee", ["i like strong coffee"]),
        ("the meeting is on friday", ["the meeting is on friday"]),
        ("My doctor is Dr. Smith. I live in St. Louis.", ["My doctor is Dr. Smith", "I live in St. Louis"]),
        (
            "my sister is allergic to nuts but my brother is not",
            ["my sister is allergic to nuts but my brother is not"],
        ),
        ("my sister has a dog and my brother does too.", ["my sister has a dog and my brother does too"]),
        ("the wifi password is hunter2", []),
        ("my password is hunter2", []),
        ("my token is abcdef", []),
        ("my passport number is X1234567", []),
        ("my mother's maiden name is Jones", []),
        ("my code is 4821", []),
        ("the pin of my card is 4821", []),
        ("my iban is DE89 3704 0044 0532 0130 00", []),
        ("my api key is sk-abcdefgh12345", []),
        ("my wifi key is abcdefgh", []),
        ("my safe combination is 12-34-56", []),
        ("I live in Ft. Worth near Elm Rd. Apt. 3", ["I live in Ft. Worth near Elm Rd. Apt. 3"]),
        ("I live in Washington, D.C. near the U.S. Capitol", ["I live in Washington, D.C. near the U.S. Capitol"]),
        ("my card is 4111 1111 1111 1111", []),
        ("remember that the wifi password is hunter2", ["the wifi password is hunter2"]),
        ("my pincushion is in the drawer", ["my pincushion is in the drawer"]),
        ("call me captain please", ["call me captain"]),
        ("i have two children", ["i have two children"]),
        ("My daughter is 5 ft. 3 in. tall.", ["My daughter is 5 ft. 3 in. tall"]),
        ("My desk is 3 ft. by 50 in. wide. My dog is Rex.", ["My desk is 3 ft. by 50 in. wide", "My dog is Rex"]),
        ("my cat is in. my dog is out in the garden.", ["my cat is in", "my dog is out in the garden"]),
        ("I like apples, pears etc. and nuts.", ["I like apples, pears etc. and nuts"]),
        ('my cat is called "Tiger. The Second."', ['my cat is called "Tiger. The Second."']),
        ("my daughter is called hope", ["my daughter is called hope"]),
        ("my birthday is in may", ["my birthday is in may"]),
        ("I told you my name is Joe.", ["my name is Joe"]),
        ("my office is on the right", ["my office is on the right"]),
        ("It may rain. My dog is called Rex.", ["My dog is called Rex"]),
        ("remember that my friend thinks my name is Tom", ["my friend thinks my name is Tom"]),
        ("My brother writes books.", []),
    ],
)
def test_a_statement_is_kept_in_the_persons_words(words: str, kept: list[str]) -> None:
    assert texts(words) == kept


@pytest.mark.parametrize(
    "words",
    [
        "what is my name",
        "where is the spare key",
        "is the meeting on friday",
        "my meeting is on friday, isn't it?",
        "my question is what time it is",
        "tell me a joke",
        "i like that",
        "i love you",
        "i am fine thanks",
        "i have a question",
        "i want to know the weather",
        "remember what i said",
        "run df -h on node3",
        "turn on the light",
        "my god",
        "no thanks",
        "",
    ],
)
def test_what_is_no_statement_is_not_kept(words: str) -> None:
    assert texts(words) == []


@pytest.mark.parametrize(
    "words",
    [
        # doubts
        "my car is red if I remember right",
        "I think my meeting is on friday",
        "maybe my name is Tom",
        "my keys are probably in the car",
        "my car is red, I guess",
        "My car is red. At least I think so.",
        "My car is red. I'm not sure, though.",
        "My name is Napoleon. Just kidding!",
        "as far as I know my car is red",
        "my appointment should be on friday",
        "my dog might be ill",
        "i am not sure if my name is in the book",
        # what others say
        "my friend thinks my name is Tom",
        "my friend thinks i am tall and my name is tom",
        "My mother told me my name is Tom",
        "they say my house is haunted",
        "according to my boss my car is red",
        "My friend wrote me: my name is Tom.",
        "My name is Tom, or so my friend says.",
        "i heard my neighbour is moving to leeds",
        "my doctor claims my heart is weak",
        # conditions and suppositions
        "if i win my car is red",
        "my car is red unless they painted it",
        "imagine my name is tom",
        "let's say my name is Tom",
        "suppose i live in paris and my name is tom",
        "i would love it if my name was tom",
        "in my dream i live in paris",
        "my brother would like a dog",
        "for example my name is tom",
        # quotations, and what something is to be done with
        'he said "hello. my name is tom. i live in leeds."',
        '"My name is Tom." is a line of a film.',
        "\u201cI live in Paris. My name is Tom.\u201d",
        "Translate to German: my dog is brown. My cat is black.",
        "translate this\nmy dog is brown\nmy cat is black",
        "write a poem. my love is gone. my heart is broken.",
        # questions without a sign
        "my car is red isn't it",
        "my car is red, right",
        "my meeting is on friday, is it not",
        "do you know whether my car is red",
        # negations
        "it is not true that my name is tom and my car is red",
        "my name is no longer tom",
        "what does this mean:\nmy sister lives in Bergen",
        "fix the spelling: my sister lives in Bergen",
        "Explain this. My sister lives in Bergen.",
        "what do you think of this?\nmy sister lives in Bergen",
        "> my sister lives in Bergen\n\nwhat should I answer",
        "on the web page it stands that my sister lives in Bergen",
        "in this mail my sister lives in Bergen",
    ],
)
def test_what_is_not_meant_as_it_stands_is_not_kept(words: str) -> None:
    assert texts(words) == []


DENTIST = Fact("7", "my dentist appointment is on wednesday at three")
KEY = Fact("8", "the spare key is under the blue pot")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("no, it is Thursday", "my dentist appointment is on Thursday at three"),
        ("no it's on thursday at four", "my dentist appointment is on thursday at four"),
        ("no, thursday", "my dentist appointment is on thursday at three"),
        ("sorry i meant thursday", "my dentist appointment is on thursday at three"),
        ("actually it is thursday not wednesday", "my dentist appointment is on thursday at three"),
        ("my dentist appointment is on friday at two", "my dentist appointment is on friday at two"),
    ],
)
def test_a_correction_replaces_what_was_just_said(words: str, text: str) -> None:
    before = [turn("my dentist appointment is on wednesday at three", "I will remember that.")]
    (note,) = extract_statements(turn(words), before, [KEY, DENTIST])
    assert (note.text, note.replaces) == (text, "7")


def test_a_correction_replaces_what_was_just_answered() -> None:
    before = [turn("where is the spare key", "The spare key is under the blue pot.")]
    (note,) = extract_statements(turn("no, it is in the drawer"), before, [DENTIST, KEY])
    assert (note.text, note.replaces) == ("the spare key is in the drawer", "8")


@pytest.mark.parametrize(
    "words",
    [
        "no thanks",
        "no",
        "no i don't think so",
        "actually tell me a joke",
        "wait, stop",
        "no, maybe thursday",
        "no, my wife says it is thursday",
    ],
)
def test_a_no_that_corrects_nothing_changes_nothing(words: str) -> None:
    before = [turn("where is the spare key", "The spare key is under the blue pot.")]
    assert extract_statements(turn(words), before, [KEY, DENTIST]) == []


def test_a_correction_of_something_else_changes_nothing() -> None:
    before = [turn("how is the weather", "It is sunny.")]
    assert extract_statements(turn("no, it is Thursday"), before, [DENTIST]) == []


def test_two_things_that_are_both_true_stand_beside_each_other() -> None:
    tea = Fact("1", "i like tea")
    tall = Fact("2", "my daughter is called anna")
    assert [note.replaces for note in extract_statements(turn("i like coffee"), [], [tea])] == [""]
    assert [note.replaces for note in extract_statements(turn("my daughter is very tall now"), [], [tall])] == [""]


@pytest.mark.parametrize("run", [" ", ",", " ,", ".", ". ", "; ", "\n", "\t", "no, ", "and ", "um ", "my "])
def test_no_words_take_long(run: str) -> None:
    # Tables and rulers are pasted too. Time that grows with the square of the length would be half a minute.
    began = time.process_time()
    words = f"my dog is called rex{run * (8000 // len(run))}x"
    extract_statements(turn(words), [turn("my dog is old")], [Fact("1", "My dog is old.")])
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("said", "unasked"), [("the gate code is 4711", True), ("please remember that the gate code is 4711", False)]
)
def test_a_model_keeps_a_secret_only_when_it_was_asked_to(said: str, unasked: bool) -> None:
    assert is_unasked_secret("The gate code is 4711.", said) is unasked
    assert not is_unasked_secret("The gate is green.", said)


@pytest.mark.parametrize(
    "said",
    [
        "i like the sound of that",
        "the song goes my heart is in the highlands",
        "I work hard",
        "my meeting was long",
    ],
)
def test_a_remark_is_no_fact(said: str) -> None:
    assert [note.text for note in extract_statements(turn(said), [], [])] == []


@pytest.mark.parametrize(
    ("before", "now", "kept"),
    [
        ("my car is red", "my car is blue", "my car is blue"),
        ("my doctor is Frau Berger", "my doctor is Frau Lang now", "my doctor is Frau Lang now"),
        (
            "my birthday is on the third of May",
            "no, my birthday is on the fourth of May",
            "my birthday is on the fourth of May",
        ),
    ],
)
def test_what_is_so_now_replaces_what_was(before: str, now: str, kept: str) -> None:
    (note,) = extract_statements(turn(now), [turn("hello")], [Fact("7", before)])
    assert (note.text, note.replaces) == (kept, "7")


@pytest.mark.parametrize(
    "again",
    [
        "my cat is named Minka",
        "my cat's name is Minka",
        "my uh my cat is um called Minka",
        "my cat is called Minka too",
    ],
)
def test_the_same_in_another_usual_way_is_no_second_fact(again: str) -> None:
    notes = extract_statements(turn(again), [], [Fact("7", "my cat is called Minka")])
    assert all(note.text == "my cat is called Minka" for note in notes)


def test_a_slip_of_the_tongue_is_not_kept_and_a_name_said_twice_is() -> None:
    (note,) = extract_statements(turn("my um my favourite band is is Duran Duran"), [], [])
    assert note.text == "my favourite band is Duran Duran"


def test_a_correction_of_a_correction_is_about_the_same() -> None:
    turns = [turn("my meeting is at nine", "At nine."), turn("no, at ten", "At ten.")]
    (note,) = extract_statements(turn("no, it is at eleven"), turns, [Fact("7", "my meeting is at ten")])
    assert (note.text, note.replaces) == ("my meeting is at eleven", "7")
