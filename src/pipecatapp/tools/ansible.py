"""``ansible.run_playbook``: runs a playbook of this program, after a yes to a dry run and a yes to what that found."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipecatapp.domain import Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.ansible_run import Played, play
from pipecatapp.tools.playbook_files import digest_of_files
from pipecatapp.tools.playbook_variables import as_untrusted_yaml, check_variables
from pipecatapp.tools.playbooks import declared_variables, find_playbook
from pipecatapp.tools.registry import ToolServices

_RUN_S = 3600.0
_CHECK_S = 45.0
_VERSION_S = 30.0
_LIMIT = re.compile(r"[A-Za-z0-9_*!&\[][A-Za-z0-9_.:,!&*\[\]-]*")
_TAGS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_:,-]*")
_VERSION = re.compile(r"core (\d+)\.(\d+)")
_OLDEST = (2, 19)  # that takes a value as data for good
_INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "TZ", "SSH_AUTH_SOCK"),
    *("PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)


class RunPlaybook:
    """Runs playbooks out of one folder.

    Args:
        program: ``ansible-playbook``.
        playbooks: the folder; its ``ansible.cfg`` counts.
        home: where Ansible may write.
        check_s: how long a dry run may take.
    """

    spec = ToolSpec(
        name="ansible.run_playbook",
        description="Run a playbook of this program on the machines of its inventory.",
        parameters={
            "type": "object",
            "properties": {
                "playbook": {"type": "string", "minLength": 1, "maxLength": 200, "description": "Its file name."},
                "limit": {"type": "string", "maxLength": 500, "description": "Only these hosts or groups."},
                "tags": {"type": "string", "maxLength": 500, "description": "Only tasks with these tags."},
                "extra_vars": {"type": "object", "description": "Variables of the playbook, plain values."},
            },
            "required": ["playbook"],
        },
        risk=Risk.DANGER,
        timeout_s=_RUN_S,
        copied=("playbook", "limit", "tags"),
        untrusted=True,
        asks=(
            "play site.yml",
            "roll out the config to all machines",
            "apply the role",
            "heal the cluster",
            "set up the workers",
        ),
    )

    def __init__(self, program: Path, playbooks: Path, home: Path, check_s: float = _CHECK_S) -> None:
        self._program = program
        self._playbooks = playbooks
        self._home = home
        self._check_s = check_s

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Ask for a dry run. It connects to the machines and starts a program, so it waits for a yes itself."""
        _, files = await self._meant(arguments)
        what = _what(arguments)
        return Preview(
            f"Look what {what} would change.",
            detail=f"$ {what} --check --diff\n\nA dry run: it connects to the machines and changes nothing.",
            whole=not arguments.get("extra_vars"),
            look=True,
            basis=files,
        )

    async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Do a dry run; its summary stands on the card. What hosts say of themselves is not in the sentence."""
        command, files = await self._agreed(arguments, context)
        what = _what(arguments)
        await self._check_version(arguments)
        played = await self._play([*command, "--check", "--diff"], arguments, self._check_s, context.progress)
        await self._agreed(arguments, context)  # what was found is true of these files only
        if played.code and not played.recap:  # no task was run: it is wrong itself, or no host matches
            raise ToolError(f"{what} cannot run: {played.failure}")
        return Preview(
            f"Run {what}. {_forecast(played, self._check_s)}",
            detail=f"$ {what} --check --diff\n{played.output}",
            found="a dry run",
            basis=files,
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run it to its end."""
        command, _ = await self._agreed(arguments, context)
        what = _what(arguments)
        await self._check_version(arguments)
        played = await self._play(command, arguments, _RUN_S, context.progress)
        if played.code == 0:
            return ToolResult(f"{what} is done. {played.recap or 'No host matched'}.", detail=played.output)
        if played.code is None:
            return ToolResult(f"{what} took more than an hour, so I stopped it.", ok=False, detail=played.output)
        recap = f" {played.recap}." if played.recap else ""
        return ToolResult(f"{what} failed. {played.failure}.{recap}", ok=False, detail=played.output)

    async def _agreed(self, arguments: Mapping[str, Any], context: ToolContext) -> tuple[list[str], str]:
        """The same as ``_meant``. Raises ToolError where the files are not those that the yes was for."""
        command, files = await self._meant(arguments)
        if files != context.basis:
            raise ToolError(f"{_what(arguments)} has changed since you looked: its files are others now. Ask again")
        return command, files

    async def _meant(self, arguments: Mapping[str, Any]) -> tuple[list[str], str]:
        """The command line, and the digest of the files that it may read."""
        command = await asyncio.to_thread(self._command, arguments)
        return command, await asyncio.to_thread(digest_of_files, self._playbooks, self._home)

    def _command(self, arguments: Mapping[str, Any]) -> list[str]:
        """The command line, but for the variables. Raises ToolError for arguments that are not what they should be."""
        playbook = find_playbook(self._playbooks, str(arguments["playbook"]))
        command = [str(self._program), str(playbook)]
        for name, pattern in (("limit", _LIMIT), ("tags", _TAGS)):
            if value := str(arguments.get(name, "")).strip():
                if pattern.fullmatch(value) is None:
                    raise ToolError(f"{value!r} cannot be the {name} of a playbook")
                command.append(f"--{name}={value}")
        if variables := arguments.get("extra_vars", {}):
            check_variables(playbook.name, variables, declared_variables(self._playbooks, playbook))
        return command

    async def _play(
        self, command: Sequence[str], arguments: Mapping[str, Any], seconds: float, show: Callable[[str], None]
    ) -> Played:
        with self._variables(arguments.get("extra_vars", {})) as variables:
            return await play([*command, *variables], self._playbooks, self._environment(), seconds, show)

    async def _check_version(self, arguments: Mapping[str, Any]) -> None:
        """Raises ToolError where this Ansible would evaluate variables."""
        if not arguments.get("extra_vars"):
            return
        said = (await play([str(self._program), "--version"], self._playbooks, self._environment(), _VERSION_S)).output
        found = _VERSION.search(said)
        if found is None or (int(found[1]), int(found[2])) < _OLDEST:
            which = f"{found[1]}.{found[2]}" if found else "unknown"
            oldest = ".".join(map(str, _OLDEST))
            raise ToolError(f"variables need ansible-core {oldest} or newer, which takes them as data; here is {which}")

    @contextmanager
    def _variables(self, variables: Mapping[str, Any]) -> Iterator[list[str]]:
        """A file with the variables, which other users cannot see, as an argument."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not variables:
            yield []
            return
        with tempfile.NamedTemporaryFile("w", dir=self._home, suffix=".yaml", encoding="utf-8") as file:
            file.write(as_untrusted_yaml(variables))
            file.flush()
            yield [f"--extra-vars=@{file.name}"]

    def _environment(self) -> dict[str, str]:
        """Ours without what is secret; a form of output that we can read."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        config = self._playbooks / "ansible.cfg"
        named = {"ANSIBLE_CONFIG": str(config)} if config.is_file() else {}
        return {
            **inherited,
            **named,
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_HOME": str(self._home),
            "ANSIBLE_STDOUT_CALLBACK": "default",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_NOCOWS": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
        }


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    if services.playbooks is None:
        raise ToolOffError("there are no playbooks here; set PLAYBOOKS_DIR to a checkout of this program")
    if not services.playbooks.is_dir():
        raise ToolOffError(f"PLAYBOOKS_DIR {services.playbooks} is no folder")
    program = find_program(services.ansible)
    return RunPlaybook(program, services.playbooks, services.ansible_home or Path(tempfile.gettempdir(), "ansible"))


def find_program(places: Sequence[Path]) -> Path:
    """``ansible-playbook`` on the PATH, or in one of these folders.

    Raises:
        ToolOffError: nowhere.
    """
    if found := shutil.which("ansible-playbook"):
        return Path(found)
    for place in places:
        if os.access(program := place / "ansible-playbook", os.X_OK):
            return program
    raise ToolOffError("there is no ansible-playbook; run: sudo apt-get install ansible-core")


def _what(arguments: Mapping[str, Any]) -> str:
    parts = [str(arguments["playbook"])]
    parts += [f"on {limit}"] if (limit := arguments.get("limit")) else []
    parts += [f"with tags {tags}"] if (tags := arguments.get("tags")) else []
    return " ".join(parts)


def _forecast(played: Played, seconds: float) -> str:
    if played.code is None:
        return f"The dry run did not end within {seconds:g} seconds."
    if played.code:
        return f"The dry run failed{f' at {played.failed_at}' if played.failed_at else ''}."
    if not played.recap:
        return "No host matches."
    changes = played.changes
    if not changes:
        return "The dry run would change nothing."
    named = ", ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
    return f"The dry run would change: {named}."
