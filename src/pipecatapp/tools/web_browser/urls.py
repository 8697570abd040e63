"""What a person or a model says as an address, as the URL that the browser opens."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from pipecatapp.errors import ToolError
from pipecatapp.tools.web_browser.addresses import plain_host

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_PORT_FOLLOWS = re.compile(r"^[^/?#:]+:\d+(?:[/?#]|$)")
# Chromium reads a backslash as a slash and drops line breaks: the host it goes to would not be the one that was shown.
_AMBIGUOUS = re.compile(r"[\\\s\x00-\x1f\x7f]")
_MOST = 2000


def web_address(said: str) -> str:
    """The URL. One without a scheme gets https.

    Raises:
        ToolError: it is none that the browser opens.
    """
    text = said.strip().strip("<>\"'")
    if not text:
        raise ToolError("there is no address to open")
    if len(text) > _MOST or _AMBIGUOUS.search(text):
        raise ToolError("that is no web address: it is too long, or has spaces or backslashes in it")
    scheme = _SCHEME.match(text)
    if text.startswith("//"):
        text = f"https:{text}"
    elif scheme is None or _PORT_FOLLOWS.match(text):
        text = f"https://{text}"
    elif scheme[1].lower() not in ("http", "https"):
        raise ToolError(f"I open http and https addresses only, not {scheme[1].lower()}")
    try:
        parts = urlsplit(text)
        host, port = plain_host(parts.hostname or ""), parts.port
    except ValueError as error:
        raise ToolError(f"{said.strip()[:100]} is no web address") from error
    if not host or not parts.netloc:
        raise ToolError(f"{said.strip()[:100]} is no web address")
    if "@" in parts.netloc:
        raise ToolError("I do not open addresses with a name or password in front of the host")
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ToolError(f"{host[:100]} is no host name") from error
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", ascii_host):
        raise ToolError(f"{host[:100]} is no host name")
    netloc = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    return urlunsplit((parts.scheme.lower(), netloc if port is None else f"{netloc}:{port}", *parts[2:]))
