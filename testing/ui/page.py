"""What tests do on the page."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page

from testing.ui.conftest import DESKTOP, PHONE

SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])


async def conversation(page: Page) -> str:
    return str(await page.evaluate("localStorage.getItem('conversation')"))


async def type_and_send(page: Page, words: str) -> None:
    await page.locator("#words").fill(words)
    await page.locator("#words").press("Enter")


async def until(check: object, seconds: float = 30.0) -> None:
    assert callable(check)
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.02)


async def page_says(page: Page, expression: str, seconds: float = 30.0) -> None:
    """Wait until it is true. (Playwright's own wait needs eval, which the page's policy forbids.)"""
    async with asyncio.timeout(seconds):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)
