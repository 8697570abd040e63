"""What went wrong with a page, as a sentence: Chromium's error codes, and what the proxy knows of a connection."""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit

logger = logging.getLogger(__name__)

_CODE = re.compile(r"net::(ERR_[A-Z0-9_]+)")
_SENTENCES = {
    "ERR_TOO_MANY_REDIRECTS": "{host} sends me around in circles",
    "ERR_ABORTED": "{host} sends a file to download, and downloads are off",
    "ERR_CERT_AUTHORITY_INVALID": "nobody vouches for the certificate of {host}, so it may be somebody else",
    "ERR_CERT_DATE_INVALID": "the certificate of {host} has expired, or the clock of this PC is wrong",
    "ERR_CERT_COMMON_NAME_INVALID": "the certificate of {host} is for another name",
    "ERR_SSL_PROTOCOL_ERROR": "{host} does not speak https there; an address with http:// in front may work",
    "ERR_EMPTY_RESPONSE": "{host} closed the connection without an answer",
    "ERR_CONNECTION_CLOSED": "{host} closed the connection",
    "ERR_CONNECTION_RESET": "{host} closed the connection",
    "ERR_INVALID_HTTP_RESPONSE": "{host} does not speak http there",
    "ERR_UNSAFE_PORT": "the port of that address is not one for web pages",
    "ERR_HTTP_RESPONSE_CODE_FAILURE": "{host} answers with an error and no page",
    "ERR_INTERNET_DISCONNECTED": "this PC has no network",
}
_BY_PROXY = re.compile(r"ERR_(SOCKS|PROXY|TUNNEL|CONNECTION_(REFUSED|TIMED_OUT|FAILED)|NAME_NOT_RESOLVED|ADDRESS)")


def host_of(url: str) -> str:
    """The host of a URL, with the port where it is not the usual one; empty for none."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    except ValueError:
        return ""
    return f"{parts.hostname or ''}{port}"


def endpoint_of(url: str) -> tuple[str, int]:
    """The host and port that a URL is fetched from."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    except ValueError:
        return "", 0


def explain(error: str, url: str, by_proxy: str) -> str:
    """A sentence about a page that did not load.

    Args:
        error: what Chromium or Playwright said.
        url: the address that failed, after redirects.
        by_proxy: why the proxy did not connect to its host, empty when it did.
    """
    found = _CODE.search(error)
    code = found[1] if found else ""
    if "Download is starting" in error:
        code = "ERR_ABORTED"
    host = host_of(url) or "the page"
    if by_proxy and (not code or _BY_PROXY.match(code)):
        return by_proxy
    if sentence := _SENTENCES.get(code):
        return sentence.format(host=host)
    if code.startswith("ERR_CERT"):
        return f"the certificate of {host} is not valid"
    if code.startswith(("ERR_SSL", "ERR_BAD_SSL")):
        return f"no secure connection to {host} can be made"
    logger.warning("a page did not open: %s", code or error.partition(" at ")[0])
    return f"{host} cannot be opened ({code or 'Chromium gives no reason'})"
