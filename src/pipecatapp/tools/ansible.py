"""``ansible.run_playbook``: runs a playbook of this program, after a dry run that stands on the approval card."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipecatapp.domain import Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.output import BoundedOutput, NewestLine, drained, short
from pipecatapp.tools.registry import ToolServices

_RUN_S = 3600.0
_CHECK_S = 45.0
_END_S = 5.0
_CHUNK = 64 * 1024
_SUFFIXES = (".yaml", ".yml")
_LIMIT = re.compile(r"[A-Za-z0-9_*!&\[][\w.:,!&*\[\]-]*")
_TAGS = re.compile(r"\w[\w:,-]*")
_VARIABLE = re.compile(r"[a-z][a-z0-9_]*")
# What Ansible would evaluate instead of taking it as it is.
_TEMPLATES = ("{{", "{%", "{#")
_INTERNAL = "__ansible"
_RECAP = re.compile(r"^(\S+)\s+: (ok=\d+ .*)$", re.MULTILINE)
_COUNT = re.compile(r"(\w+)=(\d+)")
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \**$")
_CHANGED = re.compile(r"^changed: \[([^\]]*)\]")
_FATAL = re.compile(r"^(?:fatal|failed): \[([^\]]*)\].*?(?:FAILED|UNREACHABLE)! => (.*)$")
_INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "TZ", "SSH_AUTH_SOCK", "PIP_INDEX_URL"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a run; ``code`` is None when it took too long."""

    code: int | None
    output: str

    @property
    def recap(self) -> str:
        """Per host what happened, in words."""
        hosts = []
        for host, counts in _RECAP.findall(self.output):
            told = [f"{n} {name}" for name, n in _COUNT.findall(counts) if n != "0" or name in ("ok", "changed")]
            hosts.append(f"{host}: {', '.join(told)}")
        return "; ".join(hosts[:5]) + (f"; and {len(hosts) - 5} more hosts" if len(hosts) > 5 else "")

    @property
    def changes(self) -> list[str]:
        """The tasks that changed something."""
        task, changes = "", []
        for line in self.output.splitlines():
            if match := _TASK.match(line):
                task = match[1]
            elif (match := _CHANGED.match(line)) and task not in changes:
                changes.append(task)
        return changes

    @property
    def failure(self) -> str:
        """Where it failed first, and why."""
        task = ""
        for line in self.output.splitlines():
            if match := _TASK.match(line):
                task = match[1]
            elif match := _FATAL.match(line):
                return f"{task!r} failed on {match[1]}: {_message(match[2])}"
        lines = [line for line in self.output.splitlines() if line.strip()]
        return short(lines[-1] if lines else "it does not say why", 200)


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
                "extra_vars": {"type": "object", "description": "Variables, plain values without templates."},
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
        """Do a dry run; its summary stands on the card."""
        command = await asyncio.to_thread(self._command, arguments)
        what = _what(arguments)
        played = await self._play([*command, "--check", "--diff"], arguments, self._check_s, context.progress)
        if played.code and not played.recap:  # no task was run: it is wrong itself, or no host matches
            raise ToolError(f"{what} cannot run: {played.failure}")
        return Preview(
            f"Run {what}. {_forecast(played, self._check_s)}",
            detail=f"$ {what} --check --diff\n{played.output}",
            found=f"the dry run of {json.dumps(dict(arguments), sort_keys=True)}",
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run it to its end."""
        command = await asyncio.to_thread(self._command, arguments)
        what = _what(arguments)
        played = await self._play(command, arguments, _RUN_S, context.progress)
        if played.code == 0:
            return ToolResult(f"{what} is done. {played.recap or 'No host matched'}.", detail=played.output)
        if played.code is None:
            return ToolResult(f"{what} took more than an hour, so I stopped it.", ok=False, detail=played.output)
        recap = f" {played.recap}." if played.recap else ""
        return ToolResult(f"{what} failed. {played.failure}.{recap}", ok=False, detail=played.output)

    def _command(self, arguments: Mapping[str, Any]) -> list[str]:
        """The command line, but for the variables. Raises ToolError for arguments that are not what they should be."""
        command = [str(self._program), str(find_playbook(self._playbooks, str(arguments["playbook"])))]
        for name, pattern in (("limit", _LIMIT), ("tags", _TAGS)):
            if value := str(arguments.get(name, "")).strip():
                if pattern.fullmatch(value) is None:
                    raise ToolError(f"{value!r} cannot be the {name} of a playbook")
                command.append(f"--{name}={value}")
        _check_variables(arguments.get("extra_vars", {}))
        return command

    async def _play(
        self, command: Sequence[str], arguments: Mapping[str, Any], seconds: float, show: Callable[[str], None]
    ) -> Played:
        kept, newest = BoundedOutput(), NewestLine(lambda line: show(line.rstrip(" *")))
        with self._variables(arguments.get("extra_vars", {})) as variables:
            process = await asyncio.create_subprocess_exec(
                *command,
                *variables,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self._playbooks,
                env=self._environment(),
                start_new_session=True,
            )
            code: int | None = None
            try:
                async with asyncio.timeout(seconds):
                    while process.stdout is not None and (data := await process.stdout.read(_CHUNK)):
                        kept.add(data)
                        newest.add(data)
                    code = await process.wait()
            except TimeoutError:
                code = None
            finally:
                await _ended(process)
        return Played(code, kept.text())

    @contextmanager
    def _variables(self, variables: Mapping[str, Any]) -> Iterator[list[str]]:
        """A file with the variables, which other users cannot see, as an argument."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not variables:
            yield []
            return
        with tempfile.NamedTemporaryFile("w", dir=self._home, suffix=".json", encoding="utf-8") as file:
            json.dump(variables, file)
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


def find_playbook(folder: Path, name: str) -> Path:
    """The playbook of this name, with or without its ending, strictly inside the folder.

    Raises:
        ToolError: there is none; lists those that there are.
    """
    root = folder.resolve()
    for spelling in (name, *(f"{name}{suffix}" for suffix in _SUFFIXES)):
        if path := _inside(root, spelling):
            return path
    there = sorted(path.name for path in root.iterdir() if _inside(root, path.name))
    raise ToolError(f"there is no playbook {name!r}; there are: {', '.join(there) or 'none'}")


def _inside(root: Path, name: str) -> Path | None:
    """The playbook of exactly this name, unless it, or what it links to, lies elsewhere."""
    try:
        path = (root / name).resolve()
        found = path.is_relative_to(root) and path.suffix in _SUFFIXES and path.is_file()
    except (OSError, ValueError):
        return None
    return path if found and is_playbook(path) else None


def is_playbook(path: Path) -> bool:
    """Whether the file is a list of plays."""
    try:
        plays = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return (
        isinstance(plays, list)
        and bool(plays)
        and all(
            isinstance(play, dict)
            and any(key.endswith(("hosts", "import_playbook")) for key in play if isinstance(key, str))
            for play in plays
        )
    )


def _check_variables(variables: Mapping[str, Any]) -> None:
    for name in variables:
        if _VARIABLE.fullmatch(name) is None or name.startswith("ansible_"):
            raise ToolError(
                f"{name!r} cannot be set: a variable has small letters, and those of Ansible itself are not free"
            )
    _check_value(variables)


def _check_value(value: object) -> None:
    if isinstance(value, str) and any(mark in value for mark in _TEMPLATES):
        raise ToolError("a variable has a template in it; give the value itself")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if str(key).startswith(_INTERNAL):
                raise ToolError(f"a variable has {key!r} in it, which belongs to Ansible itself")
            _check_value(key)
            _check_value(inner)
    if isinstance(value, list):
        for inner in value:
            _check_value(inner)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End it with everything that it started, unless it has ended by itself."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await drained(process.stdout)
                await process.wait()


def _what(arguments: Mapping[str, Any]) -> str:
    parts = [str(arguments["playbook"])]
    parts += [f"on {limit}"] if (limit := arguments.get("limit")) else []
    parts += [f"with tags {tags}"] if (tags := arguments.get("tags")) else []
    return " ".join(parts)


def _forecast(played: Played, seconds: float) -> str:
    if played.code is None:
        return f"The dry run did not end within {seconds:g} seconds."
    if played.code:
        return f"The dry run failed: {played.failure}."
    if not played.recap:
        return "No host matches."
    changes = played.changes
    if not changes:
        return "The dry run would change nothing."
    named = ", ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
    return f"The dry run would change: {named}."


def _message(result: str) -> str:
    """What Ansible says of a failed task: a JSON object with a message in it."""
    try:
        told = json.loads(result)
    except ValueError:
        told = None
    text = str(told.get("msg", result)) if isinstance(told, dict) else result
    return short(text.strip().partition("\n")[0], 200).rstrip(".")
