"""Takes the README's pictures of a running program: ``python -m testing.manual.screenshots``.

Start ``pipecatapp serve`` first. The pictures show what it really answers; look at them before committing them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
from pathlib import Path

from playwright.async_api import Browser, async_playwright, expect

QUESTIONS = ("What can you do?", "What is your status?", "What time is it?")
ACTION = "Put the coding expert to sleep after ten minutes."
FACTS = (
    "The bin goes out on Monday evening.",
    "Anna drinks her coffee without sugar.",
    "The spare key is with the neighbours on the second floor.",
)
SHOTS = (
    ("mission-control", (1280, 800), "light"),
    ("mission-control-dark", (1280, 800), "dark"),
    ("mission-control-phone", (390, 844), "light"),
)


async def take(browser: Browser, link: str, target: Path, size: tuple[int, int], theme: str) -> None:
    """One conversation, one picture."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
        ignore_https_errors=True,
    )
    page = await context.new_page()
    await page.goto(link)
    await expect(page.locator("#state")).to_have_text("Ready", timeout=120_000)
    for number, question in enumerate(QUESTIONS, start=1):
        await page.locator("#words").fill(question)
        await page.locator("#words").press("Enter")
        await expect(page.locator(".turn-foot .cost")).to_have_count(number, timeout=120_000)
    await expect(page.locator("#recent button")).not_to_have_count(0)
    await page.locator("#words").blur()
    await page.wait_for_timeout(1000)
    await page.screenshot(path=target)
    await context.close()


async def take_approval(browser: Browser, link: str, target: Path) -> None:
    """An action that waits for a yes, beside what is remembered. It is refused afterwards."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    page = await context.new_page()
    await page.goto(link)
    await expect(page.locator("#state")).to_have_text("Ready", timeout=120_000)
    await page.get_by_role("tab", name="Memory").click()
    for number, fact in enumerate(FACTS, start=1):
        await page.get_by_label("Fact", exact=True).fill(fact)
        await page.get_by_role("button", name="Remember").click()
        await expect(page.locator("#memory-list .fact")).to_have_count(number)
    await page.locator("#words").fill(ACTION)
    await page.locator("#words").press("Enter")
    await expect(page.locator(".turn-foot .cost")).to_have_count(1, timeout=120_000)
    await page.locator("#words").blur()
    await page.wait_for_timeout(1000)
    await page.screenshot(path=target)
    await page.get_by_role("button", name="Refuse").click()
    await expect(page.locator(".approval.decided")).to_have_count(1)
    for fact in FACTS:
        await page.get_by_role("button", name=f"Forget: {fact}").click()
        await expect(page.locator("#memory-undo-text")).to_contain_text(fact)
    await context.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("link", help="as `pipecatapp link` prints it")
    parser.add_argument("--folder", type=Path, default=Path("docs/img"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        for name, size, theme in SHOTS:
            await take(browser, options.link, options.folder / f"{name}.png", size, theme)
        await take_approval(browser, options.link, options.folder / "mission-control-approval.png")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
