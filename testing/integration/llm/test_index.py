"""A file of the package index comes by its checksum, through what pip is configured with, and nothing of it is run."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipecatapp.errors import DownloadError, SourceUnreachableError
from pipecatapp.llm.download import Downloader
from pipecatapp.llm.index import PackageIndex, pip_settings
from testing.fakes.file_site import FileSite, running_file_site

pytestmark = pytest.mark.integration

NAME = "llama_cpp_python-0.0.1.tar.gz"


def sdist(folder: Path) -> bytes:
    """A source distribution whose build backend leaves a trace when it runs."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "trap"\nbackend-path = ["."]\n',
        "trap.py": f"open({str(folder / 'sprung')!r}, 'w').close()\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: llama-cpp-python\nVersion: 0.0.1\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"llama_cpp_python-0.0.1/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileSite]:
    """A package index; pip is told of it by its environment, and of nothing else."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_PROXY", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with running_file_site(tmp_path / "index") as site:
        monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/simple/")
        yield site


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return sdist(tmp_path)


def fetch(folder: Path, content: bytes) -> Path:
    target = folder / NAME
    sha256 = hashlib.sha256(content).hexdigest()
    PackageIndex.of_pip().fetch("llama-cpp-python", NAME, sha256, target, lambda *at: None)
    return target


def listing(index: FileSite, *files: tuple[str, bytes, bool], form: str) -> None:
    """Put files and the page that lists them; the third of each says whether with its checksum."""
    for name, content, _ in files:
        index.put(f"files/{name}", content)
    if form == "json":
        entries = [
            {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": digest(content)} if told else {}}
            for name, content, told in files
        ]
        index.put("simple/llama-cpp-python/index.json", json.dumps({"meta": {"api-version": "1.0"}, "files": entries}))
    else:
        links = [
            f'<a href="../../files/{name}{f"#sha256={digest(content)}" if told else ""}">{name}</a>'
            for name, content, told in files
        ]
        index.put("simple/llama-cpp-python/index.html", f"<html><body>{'<br>'.join(links)}</body></html>")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("form", ["json", "html"])
@pytest.mark.parametrize("told", [True, False])
def test_the_pinned_file_comes_and_nothing_of_it_is_run(
    index: FileSite, content: bytes, tmp_path: Path, form: str, told: bool
) -> None:
    listing(index, ("llama_cpp_python-9.9.tar.gz", b"newer", told), (NAME, content, told), form=form)

    assert fetch(tmp_path, content).read_bytes() == content
    assert not (tmp_path / "sprung").exists()
    assert not [path for path in index.asked if "9.9" in path]


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_file_of_that_name_that_is_another_one_is_refused(
    index: FileSite, content: bytes, tmp_path: Path, form: str
) -> None:
    listing(index, (NAME, b"something else", False), form=form)

    with pytest.raises(DownloadError, match="checksum"):
        fetch(tmp_path, content)
    assert not (tmp_path / NAME).exists()


def test_an_index_without_it_and_one_that_is_away_say_so(
    index: FileSite, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DownloadError, match="does not have"):
        fetch(tmp_path, content)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(SourceUnreachableError, match="cannot be reached"):
        fetch(tmp_path, content)


def test_a_folder_of_files_comes_before_the_index(
    index: FileSite, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / NAME).write_bytes(content)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "stick"))

    assert fetch(tmp_path, content).is_file()
    assert index.asked == []


def test_a_wrong_file_in_the_folder_gives_way_to_the_index(
    index: FileSite, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing(index, (NAME, content, True), form="html")
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / NAME).write_bytes(b"damaged")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "stick"))

    assert fetch(tmp_path, content).read_bytes() == content


def test_what_is_there_is_not_fetched_again(index: FileSite, content: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(content)

    assert fetch(tmp_path, content).read_bytes() == content
    assert index.asked == []


def test_a_page_that_is_no_listing_is_told(index: FileSite, content: bytes, tmp_path: Path) -> None:
    index.put("simple/llama-cpp-python/index.json", "[1, 2")

    with pytest.raises(DownloadError, match="something else than a listing"):
        fetch(tmp_path, content)


def test_without_any_setting_it_is_the_index_that_pip_itself_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    (url,) = PackageIndex.of_pip()._urls

    assert url.startswith("https://")
    assert url.endswith("/simple")


def test_pips_files_count_and_its_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://a.test/simple\nproxy = http://p.test\n"
                                       "[download]\nindex-url = https://b.test/simple\n")  # fmt: skip
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    assert pip_settings()["index-url"] == "https://b.test/simple"
    assert pip_settings()["proxy"] == "http://p.test"

    monkeypatch.setenv("PIP_INDEX_URL", "https://c.test/simple")

    assert pip_settings()["index-url"] == "https://c.test/simple"


def test_no_connection_stays_open(index: FileSite, content: bytes, tmp_path: Path) -> None:
    index.put("simple/llama-cpp-python/index.html", f'<a href="{index.put(f"files/{NAME}", content)}">{NAME}</a>')
    found, file, plain = PackageIndex.of_pip(), tmp_path / "here" / NAME, Downloader()

    found.fetch("llama-cpp-python", NAME, hashlib.sha256(content).hexdigest(), file, lambda *at: None)
    plain.fetch(f"{index.url}/files/{NAME}", tmp_path / "plain", hashlib.sha256(content).hexdigest(), lambda *at: None)

    deadline = time.monotonic() + 10
    while index.connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert index.connections == 0
    assert len(index.asked) == 3
