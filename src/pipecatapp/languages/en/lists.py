"""Lists and what stands on them: "milk, eggs and two litres of juice" on "my shopping list"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipecatapp.languages.en.numbers import NUMBERS
from pipecatapp.languages.en.stems import stem
from pipecatapp.languages.skills import Lists

SHOPPING, TO_DO = "shopping", "to do"
_ALIASES = {
    "grocery": SHOPPING, "groceries": SHOPPING, "shop": SHOPPING, "supermarket": SHOPPING,
    "todo": TO_DO, "to dos": TO_DO, "todos": TO_DO, "task": TO_DO, "tasks": TO_DO, "things to do": TO_DO,
}  # fmt: skip
_TASKS = frozenset({TO_DO, "chores", "chore", "work", "errands", "errand", "bucket"})
_NO_NAME = frozenset({"", "list", "it", "that", "one", "there"})
_EVERYTHING = frozenset(
    {"everything", "all", "all of it", "all of them", "all items", "all the items", "every item", "the lot"}
)
# Each is one thing.
_TOGETHER = (
    "macaroni and cheese", "mac and cheese", "fish and chips", "gin and tonic", "rum and coke", "half and half",
    "salt and vinegar crisps", "salt and vinegar chips", "cheese and onion crisps", "sour cream and onion chips",
    "cookies and cream", "peanut butter and jelly", "ham and cheese sandwich", "head and shoulders", "m and ms",
)  # fmt: skip
_JOINED = "\u0000"
_PAIRS = re.compile("|".join(rf"\b{re.escape(pair)}\b" for pair in sorted(_TOGETHER, key=len, reverse=True)))
_COMMA = re.compile(r"\s*[,;\n]\s*(?:(?:and|plus|also|then)\s+)*(?:also\s+)?")
_AND = re.compile(r"\s+(?:and|plus|as well as|and also|and then)\s+(?:also\s+)?")
_AROUND = re.compile(r"^(?:(?:also|please|and|some|the)\s+)+|(?:\s+(?:please|too|as well))+$")
_ARTICLE = re.compile(r"^(?:an?)\s+(?!(?:dozen|few|couple|lot|bit|little|pair|half|hundred|bunch)\b)(?!\S+ of\b)")
_COUNT = rf"(?:\d+(?:[.,/]\d+)?|{'|'.join(sorted(NUMBERS.words | {'dozen', 'couple', 'few', 'a', 'an', 'some'}))})"
_SIZES = (
    "bag|bar|bottle|box|boxe|bunch|bunche|can|carton|case|crate|cup|gallon|gram|g|jar|kg|kilo|kilogram|l|liter|litre|loaf"
    "|loave|ml|ounce|oz|pack|package|packet|pair|piece|pint|pound|lb|quart|roll|slice|stick|tin|tub|tube"
)
_AMOUNT = re.compile(rf"(?:{_COUNT}\b[\s-]*)+(?:of\s+)?(?:(?:{_SIZES})s?\s+(?:of\s+)?)?|(?:{_SIZES})s?\s+of\s+")
_WORD = re.compile(r"[^\W_]+")
_LIST = re.compile(r"\s*\b(?:lists?|list's)$")
_POSSESSIVE = re.compile(r"(?:(?:to(?!\s+do\b)|on|onto|off|from|of|in|into|the|my|our|a|an|new|this|that|your)\b\s*)+")


def name_of(text: str) -> str:
    """What the list is called: ``my Grocery list`` -> "shopping"."""
    said = " ".join(text.casefold().replace("-", " ").split()).strip(" .,!?")
    plain = _LIST.sub("", said)
    if (around := _POSSESSIVE.match(plain)) is not None:
        plain = plain[around.end() :]
    return "" if plain in _NO_NAME else _ALIASES.get(plain, plain)


def split(text: str, tasks: bool = False) -> list[str]:
    """The things, as they were said, without what stands around them."""
    whole = _PAIRS.sub(lambda found: found[0].replace(" and ", _JOINED), " ".join(text.split()))
    parts = _COMMA.split(whole)
    if not tasks or len(parts) > 1:
        parts = [piece for part in parts for piece in _AND.split(part)]
    return [plain for part in parts if (plain := _plain(part.replace(_JOINED, " and ")))]


def key(text: str) -> str:
    """The thing without articles, amounts and endings: ``two litres of Milk`` -> "milk"."""
    plain = _plain(" ".join(text.casefold().replace("\u2019", "'").split()))
    amount = _AMOUNT.match(plain)
    bare = plain[amount.end() :] if amount else plain
    return " ".join(stem(word) for word in _WORD.findall(bare or plain))


def join(things: Sequence[str]) -> str:
    """``milk``, ``eggs``, ``bread`` -> "milk, eggs and bread"."""
    *most, last = things
    return f"{', '.join(most)} and {last}" if most else last


def _plain(text: str) -> str:
    plain = _AROUND.sub("", text.strip(' .,;!?"\u201c\u201d'))
    return _ARTICLE.sub("", plain).strip()


LISTS = Lists(
    defaults=(SHOPPING, TO_DO),
    name=name_of,
    split=split,
    key=key,
    is_tasks=lambda name: name in _TASKS or name.endswith("to do"),
    is_everything=lambda text: " ".join(text.casefold().split()).strip(" .!?") in _EVERYTHING,
    join=join,
)
