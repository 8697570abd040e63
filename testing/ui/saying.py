"""What tests of the page say to the agent, and what its model then writes."""

from __future__ import annotations

import json
from typing import Any

from playwright.async_api import Page


def call(tool: str, **arguments: Any) -> str:
    """What the model writes to use a tool."""
    return f"<tool_call>\n{json.dumps({'name': tool, 'arguments': arguments})}\n</tool_call>"


async def say(page: Page, words: str) -> None:
    """Type it and send it."""
    await page.locator("#words").fill(words)
    await page.locator("#words").press("Enter")
