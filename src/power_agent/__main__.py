"""``python3 -m power_agent CONFIGURATION``: watches the services of the configuration until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from power_agent.agent import Agent, handed_over
from power_agent.configuration import read_configuration
from power_agent.errors import ConfigurationError
from power_agent.traffic import open_traffic


def main() -> int:
    """Run until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.umask(0o077)
    if len(sys.argv) != 2:
        sys.stderr.write("power_agent is started by its unit: systemctl start pipecatapp-power\n")
        return 2
    try:
        configuration = read_configuration(Path(sys.argv[1]).read_text(encoding="utf-8"))
    except (OSError, ConfigurationError) as error:
        sys.stderr.write(f"{sys.argv[1]} cannot be used ({error}); run playbook.yaml again\n")
        return 2
    traffic = open_traffic()
    with suppress(asyncio.CancelledError):
        asyncio.run(_until_stopped(Agent(configuration, traffic)))
    traffic.close()
    return 0


async def _until_stopped(agent: Agent) -> None:
    running = asyncio.ensure_future(agent.run(handed_over()))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await running


if __name__ == "__main__":
    sys.exit(main())
