"""Addresses in words: of pages, of people, of machines, of files."""

from __future__ import annotations

import re

from pipecatapp.voice.aloud.numbers import digits, formatted, mixed, number

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://|mailto:")
_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", ":": "colon", "@": "at", "~": "tilde", "+": "plus",
    "*": "star", "=": "equals", "%": "percent", "\\": "backslash",
}  # fmt: skip
_BIT = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]")
_PORT = re.compile(r":(\d{1,5})(?=/|$)")


def page(text: str) -> str:
    """A web address: without its scheme and without what is behind a question mark."""
    bare = re.split(r"[?#]", _SCHEME.sub("", text, count=1), maxsplit=1)[0].rstrip("/")
    host, slash, path = bare.partition("/")
    port = _PORT.search(host)
    said = spelled(host[: port.start()] if port else host)
    if port:
        said += f" port {digits(port[1])}"
    return f"{said} slash {spelled(path)}" if slash else said


def person(text: str) -> str:
    """An e-mail address."""
    return " ".join(mixed(word) if any(char.isdigit() for char in word) else word for word in formatted(text).split())


def machine(text: str) -> str:
    """An IPv4 address, digit by digit; what stands behind it is its network's length or a port."""
    host, slash, length = text.partition("/")
    host, colon, port = host.partition(":")
    said = " dot ".join(digits(part) for part in host.split("."))
    if slash:
        said += f" slash {number(length)}"
    return f"{said} port {digits(port)}" if colon else said


def hexadecimal(text: str) -> str:
    """An IPv6 address or the address of a network card."""
    return " colon ".join(" ".join(digits(c) if c.isdigit() else c.upper() for c in part) for part in text.split(":"))


def version(text: str) -> str:
    """``3.11.7`` -> "three point eleven point seven"."""
    numbers, dash, stage = text.lstrip("vV").partition("-")
    said = " point ".join(number(part) for part in numbers.split("."))
    return f"{said} {mixed(stage)}" if dash else said


def spelled(text: str) -> str:
    """Words and signs as they follow each other: ``docs.example.org`` -> "docs dot example dot org"."""
    said = []
    for bit in _BIT.findall(text):
        if bit.isdigit():
            said.append(number(bit) if len(bit) < 5 else digits(bit))
        elif bit.isalpha():
            vowel = any(letter in "aeiouyAEIOUY" for letter in bit)
            said.append(bit if vowel and not (bit.isupper() and len(bit) > 1) else " ".join(bit.upper()))
        elif bit in _SIGNS:
            said.append(_SIGNS[bit])
    return " ".join(said)
