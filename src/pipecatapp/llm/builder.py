"""Runs the native build as a process of its own, at low priority, and passes on its progress."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from pipecatapp.errors import EngineError
from pipecatapp.llm import native


async def run_build(engines: Path, progress: Callable[[str, float | None], None]) -> None:
    """Build an engine for this CPU. Cancelling ends the compiler too; what is compiled so far is kept.

    Raises:
        EngineError: it could not be built; the text says why.
    """
    command = [sys.executable, "-m", native.__name__, str(engines)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, start_new_session=True)
    problem = ""
    try:
        while process.stdout and (line := await process.stdout.readline()):
            step = json.loads(line)
            problem = str(step.get("error", ""))
            if "doing" in step:
                progress(str(step["doing"]), step["progress"])
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.shield(process.wait())
    if code:
        raise EngineError(problem or f"the build ended with status {code}")
