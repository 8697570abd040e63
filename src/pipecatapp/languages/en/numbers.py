"""Numbers, days and months in words."""

from __future__ import annotations

from pipecatapp.languages.language import Numbers

NUMBERS = Numbers(
    small=(
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ),
    words=frozenset(
        {
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
            "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty",
            "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion",
            "point", "minus", "plus", "percent", "degrees", "half", "third", "quarter",
        }
    ),
    alike=frozenset({"to", "too", "for", "fore", "won", "ate", "oh", "o", "tree", "sex", "tin", "nought", "double"}),
    weekdays=(
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today", "tomorrow",
    ),
    months=(
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
        "december",
    ),
    times=(
        r"\d+(?:[:.]\d+)?(?:st|nd|rd|th)?(?: ?(?:am|pm|o'clock))?",
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "noon",
        "midnight", r"half past \w+", r"quarter (?:past|to) \w+",
    ),
)  # fmt: skip
