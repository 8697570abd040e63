"""``calculator.evaluate``: a calculation in the person's words, exact, and with the reading that was taken.

Numbers are decimals of 34 digits whose exponents have an end, so nothing takes long or much memory whatever is asked.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, DecimalException, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from pipecatapp.domain import ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.languages import language
from pipecatapp.languages.calculation import Piece, Share, UnknownWordError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.quantities import say_number
from pipecatapp.tools.registry import ToolServices

_MOST_PIECES = 120
_LARGEST_FACTORIAL = 500
_CONTEXT = Context(prec=34, Emax=9999, Emin=-9999, traps=[DivisionByZero, InvalidOperation, Overflow])


class Calculator:
    """Calculates."""

    spec = ToolSpec(
        name="calculator.evaluate",
        description="Calculate: plus, minus, times, divided by, percent, powers, roots.",
        parameters={
            "type": "object",
            "properties": {
                "expression": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 300,
                    "description": "In the person's words.",
                }
            },
            "required": ["expression"],
        },
        copied=("expression",),
        asks=("what is 18 percent of 240", "how much is three squared", "twelve times seven", "square root of 144"),
    )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say what comes out, and how it was read where that could be otherwise."""
        return ToolResult(calculate(str(arguments["expression"])))


def calculate(words: str) -> str:
    """The calculation and its result in a sentence.

    Raises:
        ToolError: it is no calculation, or it has no result; the sentence says why.
    """
    try:
        with localcontext(_CONTEXT):
            read = language().read_calculation(words)
    except UnknownWordError as error:
        if not error.word:
            raise ToolError("that calculation is too long for me") from error
        raise ToolError(f"I do not know what {error.word} means in a calculation") from error
    with localcontext(_CONTEXT):
        try:
            if isinstance(read, Share):
                part, whole = _Reading(read.part), _Reading(read.whole)
                share = part.value() / whole.value() * 100
                return f"{_up(part.said)} is {say_number(share)} percent of {whole.said}."
            reading = _Reading(read)
            value = reading.value()
        except ZeroDivisionError as error:
            raise ToolError("nothing can be divided by zero") from error
        except Overflow as error:
            raise ToolError("that number is too large for me to say") from error
        except DecimalException as error:
            raise ToolError("that has no result among the numbers that I know") from error
        note = f", {' and '.join(dict.fromkeys(reading.notes))}" if reading.notes else ""
        return f"{_up(reading.said)} is {say_number(value)}{note}."


class _Percent:
    """So many hundredths, of what they are added to or taken from."""

    def __init__(self, count: Decimal) -> None:
        self.count = count


_Value = Decimal | _Percent


class _Reading:
    """A calculation as it was understood: ``said`` aloud, ``notes`` on how it was read."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        if not pieces or len(pieces) > _MOST_PIECES:
            raise ToolError("say what I should calculate" if not pieces else "that calculation is too long for me")
        self.said = _say(pieces)
        self.notes = ["with the brackets first"] if any(piece.sign == "(" for piece in pieces) else []
        self._names: dict[str, Decimal] = {}
        self._text = self._write(pieces)

    def value(self) -> Decimal:
        """What comes out. Raises ToolError, ZeroDivisionError or DecimalException."""
        evaluator = SimpleEval(
            operators={
                ast.Add: self._add, ast.Sub: self._subtract, ast.Mult: _binary(lambda a, b: a * b),
                ast.Div: _binary(lambda a, b: a / b), ast.Pow: _binary(_power), ast.Mod: _binary(lambda a, b: a % b),
                ast.USub: lambda a: -_plain(a), ast.UAdd: _plain,
            },
            functions={
                "percent": lambda a: _Percent(_plain(a)), "root2": _root2, "root3": _root3, "factorial": _factorial,
            },
            names=self._names,
        )  # fmt: skip
        try:
            return _plain(evaluator.eval(self._text))
        except (InvalidExpression, SyntaxError, RecursionError, MemoryError, TypeError, ValueError) as error:
            raise ToolError(f"I cannot make a calculation of {self.said or 'that'}") from error

    def _write(self, pieces: Sequence[Piece]) -> str:
        """The expression for the evaluator: numbers have names in it."""
        out: list[str] = []
        start = 0  # where in it the last number or group begins
        opened: list[int] = []
        functions: list[tuple[int, str, int]] = []  # those that wait for what they are for, and in how many brackets
        for at, piece in enumerate(pieces):
            match piece.sign:
                case "number":
                    name = f"n{len(self._names)}"
                    self._names[name] = piece.value
                    start = len(out)
                    out.append(name)
                case "(":
                    opened.append(len(out))
                    out.append("(")
                    continue
                case ")":
                    start = opened.pop() if opened else 0
                    out.append(")")
                case "root2" | "root3" | "factorial":
                    if any(later.sign in ("+", "-", "*", "/") for later in pieces[at + 2 :]) and (
                        pieces[at + 1 : at + 2] and pieces[at + 1].sign == "number"
                    ):
                        self.notes.append(f"taking {_say(pieces[at : at + 2])} alone")
                    functions.append((len(out), piece.sign, len(opened)))
                    continue
                case "2*" | "3*":
                    out.append(f"{piece.sign[0]}*")
                    continue
                case "percent" | "percent*":
                    out.insert(start, "percent(")
                    out.append(")*" if piece.sign == "percent*" else ")")
                    continue
                case "!":
                    out.insert(start, "factorial(")
                    out.append(")")
                    continue
                case "mod":
                    out.append("%")
                    continue
                case _:
                    out.append(piece.sign)
                    continue
            while functions and functions[-1][2] == len(opened):
                before, name, _ = functions.pop()
                out.insert(before, f"{name}(")
                out.append(")")
                start = before
        return " ".join(out)

    def _add(self, left: _Value, right: _Value) -> _Value:
        if isinstance(right, _Percent) and not isinstance(left, _Percent):
            self._note(left, right)
            return left * (1 + right.count / 100)
        if isinstance(left, _Percent) and isinstance(right, _Percent):
            return _Percent(left.count + right.count)
        return _plain(left) + _plain(right)

    def _subtract(self, left: _Value, right: _Value) -> _Value:
        if isinstance(right, _Percent) and not isinstance(left, _Percent):
            self._note(left, right)
            return left * (1 - right.count / 100)
        if isinstance(left, _Percent) and isinstance(right, _Percent):
            return _Percent(left.count - right.count)
        return _plain(left) - _plain(right)

    def _note(self, left: Decimal, right: _Percent) -> None:
        self.notes.append(f"taking {say_number(right.count)} percent of {say_number(left)}")


def _plain(value: Any) -> Decimal:
    if isinstance(value, _Percent):
        return value.count / 100
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    if not isinstance(value, Decimal):
        raise TypeError("no number")
    return value


def _binary(work: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Any, Any], Decimal]:
    return lambda left, right: work(_plain(left), _plain(right))


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    return base**exponent


def _root2(value: Any) -> Decimal:
    number = _plain(value)
    if number < 0:
        raise InvalidOperation
    return number.sqrt()


def _root3(value: Any) -> Decimal:
    number = _plain(value)
    root = abs(number) ** (Decimal(1) / 3)
    whole = root.to_integral_value()
    root = whole if whole**3 == abs(number) else root
    return root.copy_sign(number)


def _factorial(value: Any) -> Decimal:
    number = _plain(value)
    if number < 0 or number != number.to_integral_value():
        raise InvalidOperation
    if number > _LARGEST_FACTORIAL:
        raise Overflow
    return +Decimal(math.factorial(int(number)))


def _say(pieces: Sequence[Piece]) -> str:
    words = [piece.said or _write_out(piece.value) for piece in pieces]
    return " ".join(words).replace("( ", "(").replace(" )", ")")


def _write_out(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _up(text: str) -> str:
    return text[:1].upper() + text[1:]


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Calculator()
