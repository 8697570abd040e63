"""Makes data of text from outside, before it stands in a prompt."""

from __future__ import annotations

import re

# Ours; then those of ChatML and Llama 3 (<|...), Gemma, Mistral and Llama 2, DeepSeek.
_MARKER = re.compile(
    r"</?tool_(?:call|response)>|<\||</?(?:start|end)_of_turn>|</?s>|<(?:bos|eos)>|\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS)\]"
    r"|<</?SYS>>|<\uff5c",
    re.IGNORECASE,
)


def defuse(text: str) -> str:
    """Text from outside without our markers and the control tokens of chat templates: it is data.

    A server reads control tokens wherever they stand in a message: typed ones would end it and begin another role's.
    """
    return _MARKER.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
