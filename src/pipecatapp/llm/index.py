"""One file from the Python package index, by project and checksum; nothing of it is run.

pip would run what a source distribution brings (its build backend) to learn its name. Here the file is found in the
index's listing and downloaded: which index, proxy and authority, pip's own configuration says.
"""

from __future__ import annotations

import ast
import logging
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import httpx

from pipecatapp.errors import DownloadError, SourceUnreachableError
from pipecatapp.llm.download import NO_IDLE_CONNECTIONS, ByteProgress, Downloader, copy_checked, file_sha256
from pipecatapp.proxies import is_in_house

logger = logging.getLogger(__name__)

JSON = "application/vnd.pypi.simple.v1+json"
# A listing with thousands of files has a few megabytes.
LISTING_BYTES = 64_000_000
_SETTING = re.compile(r"^(?P<section>[^.]+|:env:)\.(?P<name>[a-z-]+)=(?P<value>.*)$")
_DEFAULT = re.compile(r"--index-url.*?\(default:? ([^\s)]+)\)")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file in a listing; ``sha256`` is empty where the listing does not say."""

    name: str
    url: str
    sha256: str


class PackageIndex:
    """The indexes that pip would ask, in its order.

    Args:
        urls: their simple API, each ending before the project's name.
        find_links: folders, and pages with links to files.
        http: the client for listings and files.
    """

    def __init__(self, urls: list[str], find_links: list[str], http: httpx.Client) -> None:
        self._urls = urls
        self._find_links = find_links
        self._http = http

    @classmethod
    def of_pip(cls) -> PackageIndex:
        """As pip of this Python is configured: files, environment, else its own default.

        Raises:
            DownloadError: there is no pip, or its configuration is wrong.
        """
        settings = pip_settings()
        urls = [] if settings.get("no-index") in ("1", "true", "True") else _words(settings, "index-url")
        if not urls and "no-index" not in settings:
            urls = [_default_index()]
        urls += _words(settings, "extra-index-url")
        return cls(urls, _words(settings, "find-links"), _client(settings, outside=not all(map(is_in_house, urls))))

    def fetch(self, project: str, file: str, sha256: str, target: Path, progress: ByteProgress) -> None:
        """Bring a project's file to ``target``; what is there and right is kept, an interrupted download goes on.

        Raises:
            SourceUnreachableError: no index answers.
            DownloadError: none of them has the pinned file.
        """
        if target.is_file() and file_sha256(target) == sha256:
            return
        reasons: list[DownloadError] = []
        for source in (*self._find_links, *self._urls):
            try:
                if self._from(source, project, file, sha256, target, progress):
                    return
                reasons.append(DownloadError(f"{_host(source)} does not have {file}"))
            except (DownloadError, OSError) as error:
                reasons.append(error if isinstance(error, DownloadError) else DownloadError(str(error)))
        unreachable = bool(reasons) and all(isinstance(reason, SourceUnreachableError) for reason in reasons)
        kind = SourceUnreachableError if unreachable else DownloadError
        raise kind(f"{file} cannot be had: {'; '.join(map(str, reasons)) or 'pip has no index (no-index is set)'}")

    def _from(self, source: str, project: str, file: str, sha256: str, target: Path, progress: ByteProgress) -> bool:
        if not source.startswith(("http://", "https://")):
            return _from_folder(Path(unquote(urlsplit(source).path)), file, sha256, target)
        url = source if source in self._find_links else f"{source.rstrip('/')}/{_normalized(project)}/"
        for listed in self._listing(url):
            # Without a checksum in the listing the name decides what is tried: what arrives is checked all the same.
            if listed.sha256 == sha256 or (not listed.sha256 and listed.name == file):
                Downloader(self._http).fetch(listed.url, target, sha256, progress)
                return True
        return False

    def _listing(self, url: str) -> list[Listed]:
        headers = {"Accept": f"{JSON}, text/html;q=0.2"}
        content = bytearray()
        try:
            with self._http.stream("GET", url, headers=headers) as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    return []
                response.raise_for_status()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > LISTING_BYTES:
                        raise DownloadError(f"the listing of {_host(url)} is too long")
                at, kind = str(response.url), response.headers.get("content-type", "")
            listed = _from_json(bytes(content), at) if "json" in kind else _from_html(bytes(content), at)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise SourceUnreachableError(f"{_host(url)} cannot be reached: {reason}") from error
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DownloadError(f"{_host(url)} answers with something else than a listing: {error}") from error
        return listed


def pip_settings() -> dict[str, str]:
    """pip's configuration as it holds for a download: files, then its command's section, then the environment."""
    found: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}
    for line in _pip("config", "list").splitlines():
        match = _SETTING.match(line)
        if match and match["section"] in found:
            found[match["section"]][match["name"]] = str(ast.literal_eval(match["value"]))
    return {**found["global"], **found["download"], **found[":env:"]}


def _default_index() -> str:
    """The index that pip itself knows."""
    match = _DEFAULT.search(" ".join(_pip("download", "--help").split()))
    if match is None:
        raise DownloadError("pip does not say which package index it asks; set PIP_INDEX_URL")
    return match[1].rstrip(".")


def _pip(*arguments: str) -> str:
    if find_spec("pip") is None:
        raise DownloadError(f"pip is missing beside {sys.executable}; run: {sys.executable} -m ensurepip")
    command = [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=True)
    except subprocess.CalledProcessError as error:
        raise DownloadError(f"pip {arguments[0]} failed: {error.stderr.strip()[-300:]}") from error
    except subprocess.TimeoutExpired as error:
        raise DownloadError(f"pip {arguments[0]} does not end") from error
    return done.stdout


def _client(settings: Mapping[str, str], *, outside: bool) -> httpx.Client:
    authority = settings.get("cert")
    context = ssl.create_default_context(cafile=authority) if authority else httpx.create_ssl_context()
    return httpx.Client(
        verify=context,
        proxy=settings.get("proxy") or None,
        trust_env=outside,
        timeout=httpx.Timeout(30.0, connect=10.0),
        limits=NO_IDLE_CONNECTIONS,
        follow_redirects=True,
    )


def _words(settings: Mapping[str, str], name: str) -> list[str]:
    return settings.get(name, "").split()


def _from_folder(folder: Path, file: str, sha256: str, target: Path) -> bool:
    found = folder / file
    if not found.is_file():
        return False
    copy_checked(found, target, sha256, 0o640)
    return True


def _from_json(content: bytes, at: str) -> list[Listed]:
    import json

    files = json.loads(content)["files"]
    return [
        Listed(str(f["filename"]), urljoin(at, f["url"]), str(f.get("hashes", {}).get("sha256", ""))) for f in files
    ]


def _from_html(content: bytes, at: str) -> list[Listed]:
    page = _Links()
    page.feed(content.decode("utf-8", "replace"))
    return list(page.listed(at))


class _Links(HTMLParser):
    """The links of a page, and the address that it says they are relative to."""

    def __init__(self) -> None:
        super().__init__()
        self._base = ""
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link."""
        href = dict(attrs).get("href")
        if href and tag == "a":
            self._links.append(href)
        elif href and tag == "base" and not self._base:
            self._base = href

    def listed(self, at: str) -> Iterator[Listed]:
        """The files behind the links."""
        for link in self._links:
            url, fragment = urldefrag(urljoin(urljoin(at, self._base), link))
            name = unquote(urlsplit(url).path.rpartition("/")[2])
            yield Listed(name, url, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else "")


def _normalized(project: str) -> str:
    return re.sub(r"[-_.]+", "-", project).lower()


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
