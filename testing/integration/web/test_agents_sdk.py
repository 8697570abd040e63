"""The OpenAI endpoint asked by the Agents SDK, in an environment of its own that ``AGENTS_SDK_PYTHON`` names."""

from __future__ import annotations

import asyncio
import os
import shutil

import pytest

from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

PYTHON = os.environ.get("AGENTS_SDK_PYTHON", "")
CLIENT = """
import asyncio, sys
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)


@function_tool
def weather(city: str) -> str:
    return "warm"


async def main(url, token):
    model = OpenAIChatCompletionsModel("pipecatapp", AsyncOpenAI(base_url=url, api_key=token, max_retries=0))
    agent = Agent(name="helper", instructions="Be brief.", model=model)
    first = await Runner.run(agent, "hello")
    print(first.final_output)
    print((await Runner.run(agent, [*first.to_input_list(), {"role": "user", "content": "again"}])).final_output)
    streamed = Runner.run_streamed(agent, "stream")
    async for _ in streamed.stream_events():
        pass
    print(streamed.final_output)
    try:
        await Runner.run(Agent(name="tools", model=model, tools=[weather]), "weather")
    except Exception as error:
        print(error)


asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(not shutil.which(PYTHON), reason="AGENTS_SDK_PYTHON names no Python with openai-agents")
async def test_an_agent_of_the_sdk_talks_streams_and_is_told_that_its_tools_are_not_taken(mission: Mission) -> None:
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-c", CLIENT, f"{mission.url}/v1", mission.token,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(120):
        output, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    lines = [line.strip() for line in output.decode().splitlines()]
    assert lines[:3] == ["You said: hello", "You said: again", "You said: stream"]
    assert "the tools are those of this node" in lines[3]
