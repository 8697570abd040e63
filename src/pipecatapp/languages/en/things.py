"""How things are named and counted: "I see a person, two cups and an umbrella."."""

from __future__ import annotations

from collections.abc import Mapping

NOTHING = "I see nothing that I know."

_NUMBERS = ("no", "one", "two", "three", "four", "five")
_IRREGULAR = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "mouse": "mice",
    "goose": "geese",
    "foot": "feet",
    "tooth": "teeth",
    "ox": "oxen",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "aircraft": "aircraft",
    "knife": "knives",
    "wife": "wives",
    "life": "lives",
    "leaf": "leaves",
    "loaf": "loaves",
    "shelf": "shelves",
    "wolf": "wolves",
    "half": "halves",
    "scarf": "scarves",
    "potato": "potatoes",
    "tomato": "tomatoes",
}
# One of them is called by the plural already.
_PAIRS = frozenset({"scissors", "glasses", "sunglasses", "trousers", "jeans", "pants", "shorts", "pliers", "skis"})
# Nobody counts these.
_MASS = frozenset({"broccoli", "bread", "rice", "water", "grass", "snow", "sand", "food", "furniture", "luggage"})
_SPOKEN = {"tv": "TV", "pc": "PC", "tvmonitor": "TV", "diningtable": "dining table", "pottedplant": "potted plant"}
# Written with a vowel, spoken with a consonant, and the other way round.
_CONSONANT = ("uni", "use", "eu", "one", "ufo", "uk")
_VOWEL = ("hour", "honest", "heir", "x-ray", "mp3", "led")
_UNI_VOWEL = ("unin", "unim", "unid")


def describe(counts: Mapping[str, int]) -> str:
    """What is seen, as one sentence, in the order of ``counts``."""
    things = [name(label, count) for label, count in counts.items() if count > 0]
    if not things:
        return NOTHING
    listed = things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"
    return f"I see {listed}."


def name(label: str, count: int) -> str:
    """``a cup``, ``two cups``, ``several cups``."""
    spoken_name = spoken(label)
    last = spoken_name.rpartition(" ")[2].lower()
    if last in _MASS:
        return f"some {spoken_name}"
    if last in _PAIRS:
        return f"a pair of {spoken_name}" if count == 1 else f"{amount(count)} pairs of {spoken_name}"
    return f"{article(spoken_name)} {spoken_name}" if count == 1 else f"{amount(count)} {plural(spoken_name)}"


def amount(count: int) -> str:
    """Small numbers as words; more than five at a glance are several, or every step of a crowd would be news."""
    return _NUMBERS[count] if count < len(_NUMBERS) else "several"


def spoken(label: str) -> str:
    """A class name as it is said: models write ``cell_phone`` and ``tv``."""
    words = label.replace("_", " ").replace("-", " ").split() if "x-ray" not in label.lower() else label.split()
    return " ".join(_SPOKEN.get(word.lower(), word) for word in words)


def article(name: str) -> str:
    """``a`` or ``an``, by the sound that the name begins with."""
    word = name.lower()
    if name.split()[0] in ("TV", "PC"):
        return "a"
    if word.startswith(_VOWEL):
        return "an"
    if word.startswith(_CONSONANT) and not word.startswith(_UNI_VOWEL):
        return "a"
    return "an" if word[:1] in "aeiou" else "a"


def plural(name: str) -> str:
    """The plural of a name; of several words the last one changes."""
    front, space, word = name.rpartition(" ")
    return f"{front}{space}{_plural(word)}"


def _plural(word: str) -> str:
    lower = word.lower()
    for one, many in _IRREGULAR.items():
        # "policeman", "grandchild"; a human is no man.
        if lower == one or (one in ("man", "woman", "child") and lower.endswith(one) and lower != "human"):
            return word[: len(word) - len(one)] + many
    if lower.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if lower.endswith("y") and lower[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"
