"""Words that ask or connect: they say nothing of what a text is about."""

from __future__ import annotations

from pipecatapp.languages.language import StopWords


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Those that nobody looks at.
_ALWAYS = _words(
    """
    a am an and are at be been by did do for from has have he i in is it its me my of on or our she so that the
    their there they this to was we were what which with you your
    """
)
# What an apostrophe leaves of a word, too ("don't" is "don" and "t").
_FACTS = _words(
    """
    about any as because being but can could d didn does doesn doing don had having her here hers him his how if
    into isn ll m mine no nor not off ours out over own please re s same should some such t tell than theirs
    them then these those through too under up us ve very when where while who whom why will would yours
    """
)
# What people say around a request.
_TOOLS = _words(
    """
    as can could d does get got had hello here hey hi how if just let ll m may might must no not now oh ok okay
    please re s shall should t than them then these those uh um us ve well when where who whom why will would
    yes
    """
)
# How people ask for a summary.
_SUMMARY = _words(
    """
    about again all any as but can could does earlier everything had her him his how if just no not out said say
    some summarize summary talk talked tell than them then up us when where who will would
    """
)
# How people ask for what they told.
_SUBJECT = _words(
    """
    about all any anything everything her his mine note said these thing those told user users
    """
)

STOP_WORDS = StopWords(
    facts=_ALWAYS | _FACTS,
    tools=_ALWAYS | _TOOLS,
    summary=_ALWAYS | _SUMMARY,
    subject=_ALWAYS | _SUBJECT,
)
