"""Words that hold a wish which is nobody's now: somebody else's, one that is only supposed, one that is refused."""

from __future__ import annotations

import re

_SUPPOSED = re.compile(
    r"(?:(?:and|but|so|well|now|okay) )?(?:"
    r"(?:suppos(?:e|ing)|imagine|imagining|pretend|assum(?:e|ing)|theoretically|hypothetically)\b"
    r"|(?:what|how) (?:would|will)? ?(?:you say |happens? |about )?if\b|what if\b"
    r"|(?:let's|let us) say i\b|say i (?:was|were|had|lived|asked|told|wanted)\b"
    # "If I could have a timer" and "if you don't mind" are manners.
    r"|if (?:i|we|he|she|they|somebody|someone|anybody|anyone|my)\b(?! (?:could|may|might)\b))",
    re.IGNORECASE,
)
_WHO = (
    r"(?:he|she|they|it|people|everybody|everyone|somebody|someone|nobody|i"
    r"|(?:my|our|his|her|their|the|a|an|one|some)(?: (?!and\b|or\b)[\w'-]+){1,4}?"
    r"|(?!(?:what|who|which|how|where|when|why)\b)(?-i:[A-Z])[\w'-]+)"
)
_REPORTED = re.compile(
    rf"(?:(?:and|but|so|well|yesterday|once|then|today|last (?:night|week)|in the [\w]+|on the [\w]+) ){{0,2}}{_WHO}"
    r"(?: (?:just|also|always|often|once|only|never|keeps?|kept|used to|would|had|has))?"
    r" (?:said|says?|saying|told|tells?|telling|shout(?:s|ed)?|read(?:s|ing)?|claim(?:s|ed)?|heard|sang|sings?|goes"
    r"|wrote|writes|asked|asks|was told|were told|is called|are called|was called|has it|ends with|begins with"
    r"|starts with)\b",
    re.IGNORECASE,
)
# What the person says of their own words now is no report: "I said fifteen", "I told you to stop".
_OWN = re.compile(r"(?:\w+ )?i (?:just |also )?(?:said|say|told you|asked you|read|asked)\b", re.IGNORECASE)
_REFUSED = re.compile(
    r"(?:(?:please|oh|no|so|and|but),? )*(?:(?:do not|don't|dont|never)\b(?! (?:let\b|forget\b|you\b))"
    r"|(?:i|we) (?:do not|don't|dont|never|would not|wouldn't) (?:want|need|like|set|make|use)\b"
    r"|(?:there (?:is|was) )?no need to\b|you (?:need not|needn't|(?:do not|don't) (?:need|have) to)\b)",
    re.IGNORECASE,
)
# These change nothing: who tells of a sum wants to know it.
_READING = frozenset({
    "clock.now", "calendar.ask", "calculator.evaluate", "units.convert", "timer.list", "alarm.list", "reminder.list",
    "list.read", "mcp.get_status", "mcp.get_memory_summary", "memory.recall", "summarizer.get_summary", "say_again",
    "what_can_you_do", "vision.get_observation",
})  # fmt: skip
# What a "don't" does not ask for; "don't wake me tomorrow" does ask for an alarm to go.
_MAKING = frozenset({
    "timer.set", "timer.change", "alarm.set", "reminder.set", "list.add", "memory.remember", "ssh.run_command",
    "ansible.run_playbook", "code_runner.run_python_code", "web_browser.goto", "web_browser.type", "web_browser.click",
    "power.set_idle_threshold", "audio.volume",
})  # fmt: skip
# Who begins like this wants a change, and no report of how things are; "update me" does want one.
_CHANGING = re.compile(
    r"(?:(?:please|now|then|and|so|okay|ok|can you|could you|would you|will you|go and|i want you to),? )*"
    r"(?:update|upgrade|patch|restart|reboot|shut|stop|kill|fix|repair|clean|install|remove|delete|replace|move|wake)\b"
    r"(?! (?:me|us)\b)",
    re.IGNORECASE,
)


def is_for_a_change(words: str, tool: str) -> bool:
    """Whether these words ask for a change where the tool only tells how things are."""
    return tool == "mcp.get_status" and _CHANGING.match(" ".join(words.split())) is not None


def is_told(words: str, tool: str) -> bool:
    """Whether these words tell what somebody said, or suppose something: then nobody wishes for this tool now."""
    if tool in _READING:
        return False
    said = " ".join(words.split()).replace("\u2019", "'")
    if _SUPPOSED.match(said):
        return True
    return _REPORTED.match(said) is not None and _OWN.match(said) is None


def is_refused(words: str, tool: str) -> bool:
    """Whether these words ask for what this tool makes not to be made."""
    return tool in _MAKING and _REFUSED.match(" ".join(words.split()).replace("\u2019", "'")) is not None
