"""``SSH_DIR/config``, as OpenSSH writes it: what it says of one host.

Read by ourselves: paramiko's reader knows no ``Include``, and looking a host up there asks the name service and runs
the commands of ``Match exec``, which nobody has agreed to yet. What is written there and not done here is an error:
nobody should believe that it counts.
"""

from __future__ import annotations

import getpass
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipecatapp.errors import ToolError

_LINE = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.*)")
_DEEPEST = 16  # files that include each other
_MOST_BYTES = 1 << 20

# What changes neither where a command runs, nor as whom, nor whom we trust; or what we never do anyway.
_HARMLESS = frozenset(
    {
        "addkeystoagent", "batchmode", "canonicaldomains", "canonicalizefallbacklocal", "canonicalizemaxdots",
        "canonicalizepermittedcnames", "checkhostip", "ciphers", "clearallforwardings", "compression",
        "connectionattempts", "connecttimeout", "controlmaster", "controlpath", "controlpersist", "dynamicforward",
        "enableescapecommandline", "enablesshkeysign", "escapechar", "exitonforwardfailure", "fingerprinthash",
        "forkafterauthentication", "forwardagent", "forwardx11", "forwardx11timeout", "forwardx11trusted",
        "gatewayports", "globalknownhostsfile", "gssapiauthentication", "gssapidelegatecredentials", "hashknownhosts",
        "hostbasedacceptedalgorithms", "hostbasedauthentication", "hostkeyalgorithms", "identitiesonly",
        "ignoreunknown", "ipqos", "kbdinteractiveauthentication", "kexalgorithms", "localforward", "loglevel",
        "logverbose", "macs", "nohostauthenticationforlocalhost", "numberofpasswordprompts", "obscurekeystroketiming",
        "passwordauthentication", "permitlocalcommand", "permitremoteopen", "preferredauthentications",
        "pubkeyacceptedalgorithms", "pubkeyauthentication", "rekeylimit", "remoteforward", "requesttty",
        "requiredrsasize", "sendenv", "serveralivecountmax", "serveraliveinterval", "stdinnull",
        "streamlocalbindmask", "streamlocalbindunlink", "stricthostkeychecking", "syslogfacility", "tcpkeepalive",
        "updatehostkeys", "userknownhostsfile", "verifyhostkeydns", "visualhostkey", "xauthlocation",
    }
)  # fmt: skip
_OFF = frozenset({"no", "none", "false", "any"})  # the value that says: not this


@dataclass(slots=True)
class HostConfig:
    """What the file says of a host; empty: nothing. ``jump`` is what ``ProxyJump`` says, ``identities`` are files."""

    hostname: str = ""
    user: str = ""
    port: str = ""
    jump: str = ""
    identities: list[str] = field(default_factory=list)


class SshConfigError(ToolError):
    """The file cannot be used, or asks for what is not done here."""


def read_config(file: Path, name: str) -> HostConfig:
    """What the file, with those that it includes, says of this host; nothing where there is no file.

    Raises:
        SshConfigError: it cannot be read, or says something that is not done here.
    """
    found = HostConfig()
    if file.is_file():
        _Reader(file, name.lower(), found).read()
        found.hostname = _expanded(file, found.hostname, {"%": "%", "h": name, "n": name})
        tokens = {"%": "%", "h": found.hostname or name, "n": name, "d": str(Path.home()), "u": getpass.getuser()}
        tokens |= {"p": found.port or "22", "r": found.user or getpass.getuser()}
        found.identities = [_expanded(file, identity, tokens) for identity in found.identities]
    return found


class _Reader:
    """Reads the lines that are for one host."""

    def __init__(self, file: Path, name: str, found: HostConfig) -> None:
        self._file = file
        self._name = name
        self._found = found

    def read(self) -> None:
        """From the main file on."""
        self._read(self._file, active=True, depth=0)

    def _read(self, file: Path, *, active: bool, depth: int) -> None:
        if depth > _DEEPEST:
            raise SshConfigError(f"{file} cannot be used: files include each other too deep")
        around = active  # a block in an included file counts only where its Include does
        for number, key, values in _lines(file):
            where = f"{file} cannot be used: line {number}: {key}"
            if not values:
                raise SshConfigError(f"{where} has no value")
            match key.lower():
                case "host":
                    active = around and _matches(values, self._name)
                case "match":
                    active = around and self._criteria(where, values)
                case "include":
                    for pattern in values:
                        for included in _included(self._file.parent, pattern, where):
                            self._read(included, active=active, depth=depth + 1)
                case keyword if active:
                    self._option(where, keyword, values)

    def _option(self, where: str, keyword: str, values: list[str]) -> None:
        value = values[0]
        if keyword in ("hostname", "user", "port", "identityfile", "proxyjump") and len(values) > 1:
            raise SshConfigError(f"{where} has more than one value")
        match keyword:  # of each the first counts
            case "hostname":
                self._found.hostname = self._found.hostname or value
            case "user":
                self._found.user = self._found.user or value
            case "port":
                self._found.port = self._found.port or value
            case "proxyjump":
                self._found.jump = self._found.jump or value
            case "identityfile":
                if value not in self._found.identities:
                    self._found.identities.append(value)
            case _ if keyword not in _HARMLESS and value.lower() not in _OFF:
                raise SshConfigError(
                    f"{where} {' '.join(values)} is not done here; take it out, or exclude {self._name}"
                )

    def _criteria(self, where: str, values: list[str]) -> bool:
        words = iter(values)
        for word in words:
            negated, criterion = word.startswith("!"), word.removeprefix("!").lower()
            if criterion == "all":
                if negated:
                    return False
                continue
            pattern = next(words, "").split(",")
            match criterion:
                case "host":
                    met = _matches(pattern, (self._found.hostname or self._name).lower())
                case "originalhost":
                    met = _matches(pattern, self._name)
                case "user":
                    met = _matches(pattern, self._found.user or getpass.getuser())
                case "localuser":
                    met = _matches(pattern, getpass.getuser())
                case _:
                    raise SshConfigError(f"{where} {word} is not done here")
            if met is negated:
                return False
        return True


def _lines(file: Path) -> Iterator[tuple[int, str, list[str]]]:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise SshConfigError(f"{file} cannot be used: it is too long")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SshConfigError(f"{file} cannot be used: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not (line := line.strip()) or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise SshConfigError(f"{file} cannot be used: line {number}: {line[:60]} says nothing")
        try:
            yield number, found[1], shlex.split(found[2], comments=True)
        except ValueError as error:
            raise SshConfigError(f"{file} cannot be used: line {number}: {error}") from error


def _included(folder: Path, pattern: str, where: str) -> list[Path]:
    """The files that an ``Include`` means. A pattern may match none; a name must be there."""
    path = Path(pattern).expanduser()
    root, relative = (Path(path.anchor), path.relative_to(path.anchor)) if path.is_absolute() else (folder, path)
    found = sorted(file for file in root.glob(str(relative)) if file.is_file())
    if not found and not re.search(r"[*?\[]", pattern):
        raise SshConfigError(f"{where} {pattern}: there is no such file")
    return found


def _matches(patterns: list[str], name: str) -> bool:
    """Whether one of the patterns is for this name, and none of those with a ``!``."""
    met = False
    for pattern in patterns:
        plain = re.escape(pattern.removeprefix("!").lower()).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(plain, name):
            if pattern.startswith("!"):
                return False
            met = True
    return met


def _expanded(file: Path, value: str, tokens: dict[str, str]) -> str:
    """The value with its ``%`` tokens filled in."""

    def fill(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise SshConfigError(f"{file} cannot be used: {found[0]} in {value} is not done here")
        return tokens[found[1]]

    return re.sub(r"%(.?)", fill, value)
