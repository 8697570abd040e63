"""``calculator.evaluate``: what people say becomes an exact number, with the reading taken; nothing blows up."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.calculator import Calculator, calculate

pytestmark = pytest.mark.unit

SAID = {
    "18 percent of 240": "18 percent of 240 is 43.2.",
    "eighteen percent of two hundred and forty": "18 percent of 240 is 43.2.",
    "20 + 10 %": "20 plus 10 percent is 22, taking 10 percent of 20.",
    "twenty plus ten percent": "20 plus 10 percent is 22, taking 10 percent of 20.",
    "200 minus 15 percent": "200 minus 15 percent is 170, taking 15 percent of 200.",
    "100 + 10% + 5%": (
        "100 plus 10 percent plus 5 percent is 115.5, taking 10 percent of 100 and taking 5 percent of 110."
    ),
    "ten percent off eighty": "80 minus 10 percent is 72, taking 10 percent of 80.",
    "a 15 percent tip on 80": "15 percent of 80 is 12.",
    "what percent of 80 is 20": "20 is 25 percent of 80.",
    "20 is what percent of 80": "20 is 25 percent of 80.",
    "three squared": "3 squared is 9.",
    "two cubed": "2 cubed is 8.",
    "two to the power of ten": "2 to the power of 10 is 1,024.",
    "What is twelve times seven?": "12 times 7 is 84.",
    "how much is one point five million divided by three": "1,500,000 divided by 3 is 500,000.",
    "seven hundred seventy seven thousand plus one": "777,000 plus 1 is 777,001.",
    "two million three hundred thousand and five times two": "2,300,005 times 2 is 4,600,010.",
    "three point one four times two": "3.14 times 2 is 6.28.",
    "point five times two": "0.5 times 2 is 1.",
    "zero point zero five plus one": "0.05 plus 1 is 1.05.",
    "0.1 + 0.2": "0.1 plus 0.2 is 0.3.",
    "1,200 plus 300": "1,200 plus 300 is 1,500.",
    "two and a half times four": "2.5 times 4 is 10.",
    "1 1/2 + 1/4": "1.5 plus 1 divided by 4 is 1.75.",
    "one half plus one quarter": "Half plus a quarter is 0.75.",
    "a third of 90": "A third of 90 is 30.",
    "two thirds of ninety": "2 thirds of 90 is 60.",
    "half a million plus 1": "Half of 1,000,000 plus 1 is 500,001.",
    "double 21": "Twice 21 is 42.",
    "five dozen": "5 times 12 is 60.",
    "the square root of 144": "The square root of 144 is 12.",
    "square root of sixteen plus nine": ("The square root of 16 plus 9 is 13, taking the square root of 16 alone."),
    "sqrt(16+9)": "The square root of (16 plus 9) is 5, with the brackets first.",
    "cube root of 27": "The cube root of 27 is 3.",
    "five factorial": "5 factorial is 120.",
    "add 5 and 7": "5 plus 7 is 12.",
    "subtract three from ten": "10 minus 3 is 7.",
    "the sum of 1, 2 and 3": "1 plus 2 plus 3 is 6.",
    "minus five plus three": "Minus 5 plus 3 is minus 2.",
    "10 divided by 3": "10 divided by 3 is about 3.3333333.",
    "2 ** 100": "2 to the power of 100 is about 1.268 times 10 to the power of 30.",
    "3x4": "3 times 4 is 12.",
    "7 mod 3": "7 modulo 3 is 1.",
}


@pytest.mark.parametrize("words", SAID)
def test_what_is_said_is_calculated(words: str) -> None:
    assert calculate(words) == SAID[words]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("9**9**9", "too large for me to say"),
        ("9^9^9^9", "too large for me to say"),
        ("100000 factorial", "too large for me to say"),
        ("10 / 0", "divided by zero"),
        ("square root of minus four", "no result among the numbers"),
        ("12 bananas times 3", "what bananas means"),
        ("__import__('os').system('id')", "means in a calculation"),
        ("1e999999999", "what e means"),
        ("(1 + 2", "cannot make a calculation of"),
        ("?", "say what I should calculate"),
        ("5 plus", "cannot make a calculation of"),
    ],
)
def test_what_has_no_result_is_said(words: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        calculate(words)


@pytest.mark.parametrize(
    "words",
    [
        "(" * 290,
        "2**" * 90 + "2",
        "!" * 200,
        "sqrt " * 60 + "2",
        "9!" * 60,
        "9**9" * 40,
        "1 " * 140,
        "half " * 60,
        "9" * 300,
        "<1/0>",
        "1/0 of 5",
        "a hundred " * 30,
        "point " * 50,
        "2 and a " * 40,
        "%" * 250,
    ],
)
def test_nothing_takes_long_or_breaks(words: str) -> None:
    began = time.process_time()
    with suppress(ToolError):
        calculate(words)
    assert time.process_time() - began < 0.3


async def test_the_tool_tells_it() -> None:
    result = await Calculator().run({"expression": "three squared"}, ToolContext("c", "t"))
    assert (result.ok, result.text) == (True, "3 squared is 9.")
