"""Links between the pages resolve, and nothing in the project names a developer's machine or an unknown host."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from testing.docs.pages import ROOT, anchors, matches, pages, prose

pytestmark = pytest.mark.docs

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")

# Every host that the project names, and why. Registries and mirrors are never named: they come from the machine.
HOSTS = {
    "localhost": "the machine itself",
    "127.0.0.1": "the machine itself",
    "huggingface.co": "where the larger models come from (group_vars/models.yaml)",
    "github.com": "sources of third parties",
    "releases.hashicorp.com": "where Consul and Nomad come from (ansible/roles/hashicorp)",
    "snapshot.debian.org": "Debian's archive of all packages there ever were (llm/engine_pins.yaml)",
    "www.debian.org": "the list of Debian's mirrors, for a person who has none",
    "www.apache.org": "the licence",
    "www.gnu.org": "licences of third parties",
    "www.w3.org": "the name of SVG",
    "json-schema.org": "the name of a dialect of JSON Schema",
    "www.geonames.org": "whose places the clock knows; CC BY 4.0 asks for the link (tools/places.tsv)",
    "arxiv.org": "a person's request in the starter model's hand-written test",
}
# Files whose hosts are not ours to choose: the licence's text, the lock of the linters (funding links), and
# requests with made-up addresses.
FOREIGN = {"LICENSE", "package-lock.json", "ansible/roles/pipecatapp/files/prompts/router_examples.txt"}


def tracked() -> list[Path]:
    """Every text file of the project."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [ROOT / name for name in listing.split("\0") if name and name not in FOREIGN]
    return [path for path in found if path.is_file() and "/vendor/" not in str(path) and is_text(path)]


def is_text(path: Path) -> bool:
    """Whether the file holds no NUL in its beginning."""
    with path.open("rb") as file:
        return b"\0" not in file.read(8192)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    broken = []
    for match in LINK.finditer(prose(page.read_text(encoding="utf-8"))):
        target, _, fragment = match["target"].partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists():
            broken.append(f"{match['target']}: no such file")
        elif fragment and fragment not in anchors(path.read_text(encoding="utf-8")):
            broken.append(f"{match['target']}: no such heading")
    assert broken == []


def test_every_page_is_reachable_from_the_readme() -> None:
    seen, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        for match in LINK.finditer(prose(page.read_text(encoding="utf-8"))):
            target = match["target"].partition("#")[0]
            if target.endswith(".md") and "://" not in target:
                queue.append((page.parent / target).resolve())
    assert {str(page.relative_to(ROOT)) for page in set(pages()) - seen} == set()


def test_only_known_hosts_are_named() -> None:
    unknown = {}
    for path in tracked():
        for host in re.findall(
            r"https?://([A-Za-z0-9.-]+\.[A-Za-z]{2,})", path.read_text(encoding="utf-8", errors="replace")
        ):
            if host.lower() not in HOSTS and not is_example(host):
                unknown.setdefault(host.lower(), str(path.relative_to(ROOT)))
    assert unknown == {}


def is_example(host: str) -> bool:
    """Names that lead nowhere on purpose (RFC 2606 and RFC 6761), and names of a local network."""
    return host.lower().endswith(
        (".example", ".invalid", ".test", ".local", "example.com", "example.org", "example.net")
    )


def test_no_path_of_a_developers_machine() -> None:
    found = {}
    for path in tracked():
        for match in re.finditer(
            r"(?<![\w.~-])/(?:home|work|Users)/[\w./-]+", path.read_text(encoding="utf-8", errors="replace")
        ):
            found[match[0]] = str(path.relative_to(ROOT))
    assert found == {}


@pytest.mark.parametrize(
    ("said", "printed", "same"),
    [
        ("ready\n", "ready", True),
        ("Open http://...", "Open http://localhost:8000/?token=x", True),
        ("a\n...\nz", "a\nb\nc\nz", True),
        ("ready", "not ready", False),
    ],
)
def test_printed_lines_are_compared_with_what_the_page_says(said: str, printed: str, same: bool) -> None:
    assert matches(said, printed) is same
