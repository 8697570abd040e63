"""Numbers as a sentence holds them: short, exact where they can be, and "about" where they are rounded."""

from __future__ import annotations

from decimal import Context, Decimal

_WHOLE_DIGITS = 21  # more of them nobody follows
_TINY = Decimal("0.000001")
_EXACT = Decimal("1e-25")  # of a number: what is nearer is the same, 3 times 1/3 and 1


def say_number(value: Decimal, digits: int = 8) -> str:
    """``Decimal("1234567.5")`` -> "1,234,567.5"; where it has more digits than so many "about 3.3333333"."""
    if value == 0:
        return "0"
    if value < 0:
        return f"minus {say_number(-value, digits)}"
    size = value
    if value == value.to_integral_value() and size < Decimal(10) ** _WHOLE_DIGITS:
        return f"{value.to_integral_value():,f}"
    if size >= Decimal(10) ** _WHOLE_DIGITS or size < _TINY:
        return _scientific(value)
    before = max(0, value.adjusted() + 1)
    rounded = Context(prec=max(digits, before + 2)).plus(value)
    text = f"{rounded:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if abs(rounded - value) <= size * _EXACT else f"about {text}"


def _scientific(value: Decimal) -> str:
    rounded = Context(prec=4).plus(value)
    about = "" if abs(rounded - value) <= value * _EXACT else "about "
    exponent = rounded.adjusted()
    rounded = rounded.scaleb(-exponent)
    text = f"{rounded:f}".rstrip("0").rstrip(".") if "." in f"{rounded:f}" else f"{rounded:f}"
    power = f"minus {-exponent}" if exponent < 0 else str(exponent)
    return f"{about}{text} times 10 to the power of {power}"
