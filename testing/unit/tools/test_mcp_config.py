"""``mcp.json`` as this program and others write it: good servers are used, a bad one is off with its reason."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.domain import Risk
from pipecatapp.errors import ConfigurationError
from pipecatapp.tools.mcp_servers.config import Named, ServerConfig, load_servers, make_name

pytestmark = pytest.mark.unit

RESERVED = frozenset({"ssh", "mcp", "memory"})
Read = Callable[..., Named]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(value: Any, environ: Mapping[str, str] | None = None) -> Named:
        path = tmp_path / "mcp.json"
        content = value if isinstance(value, bytes | str) else json.dumps(value)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_servers(path, environ or {}, RESERVED)

    return read


def one(named: Named) -> ServerConfig:
    (server,) = named.servers
    assert named.off == {}
    return server


def test_our_own_file_is_understood(read: Read) -> None:
    named = read(
        {
            "mcpServers": {
                "files": {
                    "command": "mcp-files",
                    "args": ["/srv", "${HOME_DIR:-/home}"],
                    "env": {"KEY": "${FILES_KEY}"},
                    "cwd": "/srv",
                    "risk": {"read_file": "read", "*": "danger"},
                    "timeout_s": 5,
                    "start_timeout_s": 300,
                    "enabled_tools": ["read_file", "write_file"],
                },
                "house": {
                    "type": "http",
                    "url": "http://house:8123/mcp",
                    "headers": {"Authorization": "Bearer ${HOUSE_TOKEN}"},
                },
                "later": {"command": "x", "disabled": True},
            }
        },
        {"FILES_KEY": "key-one", "HOUSE_TOKEN": "token-one"},
    )
    files, house = named.servers
    assert named.off == {}
    assert (files.name, files.command, files.args) == ("files", "mcp-files", ("/srv", "/home"))
    assert files.env == {"KEY": "key-one"}
    assert (files.risk, files.risks) == (Risk.DANGER, {"read_file": Risk.READ})
    assert (files.timeout_s, files.start_timeout_s, house.start_timeout_s) == (5, 300, 180)
    assert files.enabled_tools == {"read_file", "write_file"}
    assert (house.url, house.headers, house.way) == (
        "http://house:8123/mcp",
        {"Authorization": "Bearer token-one"},
        "http",
    )
    assert house.risk is Risk.ACT
    assert "key-one" not in repr(files)
    assert "token-one" not in repr(house)
    assert house.hide_secrets("401 for token-one, Bearer token-one") == "401 for ***, ***"


OTHERS = {
    "a chat program": """{"mcpServers": {"Filesystem": {
        "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv"]}}}""",
    "an editor's extension": """{"mcpServers": {"filesystem": {"command": "npx", "args": ["-y", "fs"],
        "disabled": false, "autoApprove": ["write_file"], "alwaysAllow": ["delete"], "timeout": 60}}}""",
    "another editor": """{
        // what the editor asks for
        "inputs": [{"type": "promptString", "id": "token", "password": true}],
        "servers": {"FileSystem": {"type": "stdio", "command": "npx", "args": ["-y", "fs",],
                    "env": {"A": "${env:SOME}", "PORT": 8080, "DEBUG": true, "OFF": null}, "envFile": ".env",
                    "dev": {"watch": "src/**"}, "gallery": true}, },
        }""",
    "a list for the command": """{"mcpServers": {"file system": {"type": "local", "command": ["npx", "-y", "fs"],
        "enabled": true, "trust": true}}}""",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS.keys())
def test_files_of_other_programs_are_understood(read: Read, text: str) -> None:
    server = one(read(text, {"SOME": "thing"}))
    assert server.name in ("filesystem", "file_system")
    assert (server.command, server.args[0], server.way) == ("npx", "-y", "stdio")
    assert (server.risk, server.risks, server.timeout_s) == (Risk.ACT, {}, 30)
    if server.env:
        assert server.env == {"A": "thing", "PORT": "8080", "DEBUG": "true"}


@pytest.mark.parametrize(
    ("entry", "way"),
    [
        ({"type": "sse", "url": "http://h/x"}, "sse"),
        ({"url": "http://h/sse"}, "sse"),
        ({"url": "http://h/sse/"}, "sse"),
        ({"url": "http://h/sse", "type": "http"}, "http"),
        ({"url": "http://h/mcp"}, "http"),
        ({"type": "streamable-http", "url": "http://h/mcp"}, "http"),
        ({"type": "streamableHttp", "url": "http://h/mcp"}, "http"),
        ({"transport": "streamable_http", "url": "http://h/mcp"}, "http"),
        ({"serverUrl": "http://h/mcp"}, "http"),
        ({"httpUrl": "http://h/mcp", "trust": True}, "http"),
        ({"url": "http://h/mcp", "args": ["x"], "env": {"A": "b"}}, "http"),
    ],
)
def test_ways_to_reach_a_url(read: Read, entry: Any, way: str) -> None:
    server = one(read({"mcpServers": {"a": entry}}))
    assert (server.way, server.url[:9], server.risk) == (way, "http://h/", Risk.ACT)


@pytest.mark.parametrize("key", ["autoApprove", "alwaysAllow", "trust", "autoAllow", "risks", "approval"])
@pytest.mark.parametrize("value", [True, ["*"], ["delete"], {"*": "read"}, "read", None])
def test_a_key_of_others_allows_nothing(read: Read, key: str, value: Any) -> None:
    server = one(read({"mcpServers": {"a": {"command": "x", key: value}}}))
    assert (server.risk, server.risks) == (Risk.ACT, {})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_comments_commas_and_marks_are_read_over(read: Read, encoding: str) -> None:
    text = """/* all of "mine" */ {"mcpServers": { // [these]
        "a": {"command": "sh", "args": ["-c", "echo // no /* comment */ ,] \\"// ,}\\" ü",],}, # """
    text = text.removesuffix(" # ") + "\n}\n,}//"
    assert one(read(text.encode(encoding))).args == ("-c", 'echo // no /* comment */ ,] "// ,}" ü')


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("GitHub", "github"),
        ("My Files", "my_files"),
        ("@scope/some.thing", "scope_some_thing"),
        ("Küche", "kuche"),
        ("a-b_c9", "a-b_c9"),
        ("1password", "mcp_1password"),
        ("--x--", "x"),
        ("x" * 100, "x" * 32),
        ("\u65e5\u672c", ""),
        ("", ""),
        ("\u202e\n", ""),
    ],
)
def test_a_name_becomes_one_that_tools_can_carry(written: str, name: str) -> None:
    assert make_name(written) == name


BAD: dict[str, tuple[Any, str]] = {
    "own group": ({"ssh": {"command": "x"}}, "in mcp.json: ssh is a group of the agent's own tools"),
    "own group in other letters": ({"SSH": {"command": "x"}}, "ssh is a group of the agent's own tools"),
    "no letters": ({"\u65e5\u672c": {"command": "x"}}, "has no letter or digit"),
    "same name": ({"Good": {"command": "x"}}, "another server is called good already"),
    "nothing to start": ({"a": {}}, 'give either "command"'),
    "two ways": ({"a": {"command": "x", "url": "http://h/"}}, 'give either "command"'),
    "a socket": ({"a": {"type": "websocket", "url": "http://h/"}}, "none of stdio, http and sse"),
    "not a web address": ({"a": {"url": "ftp://h/"}}, "url: URL scheme"),
    "another way": ({"a": {"type": "stdio", "url": "http://h/"}}, "that needs"),
    "a risk that is none": ({"a": {"command": "x", "risk": "harmless"}}, "risk"),
    "a risk of a tool that is none": ({"a": {"command": "x", "risk": {"t": "none"}}}, "risk"),
    "no time": ({"a": {"command": "x", "timeout_s": 0}}, "timeout_s"),
    "no time to start": ({"a": {"command": "x", "start_timeout_s": 7200}}, "start_timeout_s"),
    "a slip": ({"a": {"comand": "y"}}, "comand means nothing here, perhaps command was meant"),
    "not set": ({"a": {"command": "x", "env": {"K": "${NOT_SET}"}}}, "env: the environment has no NOT_SET"),
    "an input": ({"a": {"command": "x", "env": {"K": "${input:token}"}}}, "ask for ${input:token}"),
    "a folder of an editor": ({"a": {"command": "${workspaceFolder}/x"}}, "the environment has no workspaceFolder"),
    "no object": ({"a": "x"}, "it is no object"),
    "a list": ({"a": ["x"]}, "it is no object"),
    "nothing": ({"a": None}, "it is no object"),
}


@pytest.mark.parametrize(("entries", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_server_is_off_and_the_good_one_is_used(read: Read, entries: Any, said: str) -> None:
    named = read({"mcpServers": {"good": {"command": "mcp-files"}, **entries}})
    assert [server.name for server in named.servers] == ["good"]
    ((name, reason),) = named.off.items()
    assert said in reason
    assert name


def test_what_stands_twice_is_off(read: Read) -> None:
    named = read(
        '{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}, "b": {"command": "x", "command": "y"}}}'
    )
    assert [server.name for server in named.servers] == ["a"]
    assert "another server is called a already" in named.off["a (2)"]
    assert "command stands there twice" in named.off["b"]


def test_one_that_is_disabled_may_be_as_wrong_as_it_likes(read: Read) -> None:
    entries = {
        "a": {"disabled": True, "type": "carrier pigeon"},
        "ssh": {"disabled": True, "env": {"K": "${NOT_SET}"}},
        "c": {"enabled": False, "command": "x"},
        "d": {"isActive": False, "command": "x"},
    }
    assert read({"mcpServers": entries}) == Named()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ('{"mcpServers": {\n  "a": {"command": "x"}\n  "b": {}\n}}', "line 3 column 3"),
        ("[" * 100_000, "nested too deep"),
        ("{}", 'no object "mcpServers"'),
        ("[]", 'no object "mcpServers"'),
        ('{"mcpServers": []}', 'no object "mcpServers"'),
        ('{"mcpServers": {}} ' + " " * 2_000_000, "larger than a megabyte"),
        (b'{"mcpServers": {"\xff": 1}}', "is not JSON"),
    ],
)
def test_a_file_that_cannot_be_understood_stops_nothing(read: Read, text: Any, said: str) -> None:
    named = read(text)
    assert named.servers == ()
    assert said in named.off["mcp.json"]


@pytest.mark.parametrize("unit", ['"', '\\"', '"\\', "/*", "//", ",", ", ", "/", "*", "${", "{", "[,"])
def test_reading_takes_as_long_as_the_file_is(read: Read, unit: str) -> None:
    began = time.process_time()
    read('{"mcpServers": ' + unit * (900_000 // len(unit)))
    assert time.process_time() - began < 3.0


def test_variables_are_replaced_in_what_counts_alone(read: Read) -> None:
    server = one(
        read(
            {
                "mcpServers": {
                    "a": {
                        "command": "${userHome}/bin/x",
                        "args": ["${A}${B:-}", "${env:A}", "$A", "${not this}", "${B:-a b}"],
                        "note": "${NOT_SET}",
                    }
                }
            },
            {"A": "1", "HOME": "/srv/me"},
        )
    )
    assert server.command == "/srv/me/bin/x"
    assert server.args == ("1", "1", "$A", "${not this}", "a b")


def test_a_reason_never_shows_a_secret(read: Read) -> None:
    named = read({"mcpServers": {"a": {"url": "http://h/", "headers": {"Authorization": ["hunter2"]}}}})
    assert "headers.Authorization" in named.off["a"]
    assert "hunter2" not in named.off["a"]


def test_keys_that_are_ignored_are_told_in_the_log(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        one(read({"mcpServers": {"a": {"command": "x", "enabledTools": [], "autoApprove": ["hunter2"]}}}))
    assert "ignored in its entry: enabledTools, autoApprove" in caplog.text
    assert "enabledTools means nothing here, perhaps enabled_tools was meant" in caplog.text
    assert "a person's yes alone" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json cannot be read: No such file"):
        load_servers(tmp_path / "none.json", {}, RESERVED)
