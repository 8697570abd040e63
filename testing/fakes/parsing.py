"""Messages of a model, read by the parser: what of them is words, calls, an error."""

from __future__ import annotations

from dataclasses import dataclass

from pipecatapp.twin.speak.message_parser import MessageParser

NOW = '{"name": "clock.now", "arguments": {"timezone": "Oslo"}}'
OSLO = [("clock.now", {"timezone": "Oslo"})]
SCHEMAS = {
    "clock.now": {"type": "object", "properties": {"timezone": {"type": "string"}}},
    "mcp.get_status": {"type": "object", "properties": {}},
    "ssh.run_command": {"type": "object", "properties": {"host": {"type": "string"}, "command": {"type": "string"}}},
    "power.set": {"type": "object", "properties": {"seconds": {"type": "integer"}, "service": {"type": "string"}}},
}


@dataclass
class Parsed:
    words: str
    calls: list[tuple[str, dict[str, object]]]
    error: str


def parse(*pieces: str, thinking: bool = False, cut_off: bool = False) -> Parsed:
    parser = MessageParser(SCHEMAS)
    if thinking:
        parser.assume_thought()
    words = ""

    def read(new: str) -> str:
        if parser.retracted:
            parser.retracted = False
            return new
        return words + new

    for piece in pieces:
        words = read(parser.feed(piece))
    words = read(parser.finish(cut=cut_off))
    return Parsed(words, [(call.name, dict(call.arguments)) for call in parser.calls], str(parser.error or ""))
