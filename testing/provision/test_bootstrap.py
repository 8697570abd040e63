"""The life of one PC, told in order on one tree: a fresh Debian, bootstrap.sh, an answer, a crash, --uninstall."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.provision.new_pc import CLONE, NewPc

# Minutes on a quiet PC; a busy one may take much longer.
pytestmark = [pytest.mark.provision, pytest.mark.timeout(1800)]

# What Debian leaves behind when packages come, beside the packages' own files.
DEBIANS_RECORDS = re.compile(
    r"^var/lib/(dpkg|apt|ucf|systemd|python)(/|$)|^var/(cache|log)/|/__pycache__(/|$)|^usr/share/(runit|python3)/|^usr/local/lib/python3"
    r"|^etc/(.*-$|alternatives/|ssl/certs/|python3|runit/|sv/|hosts$|networks$|inputrc$|subuid$|subgid$|adduser)"
)


def wait_for(what: str, holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {limit_s:g} s"
        time.sleep(0.2)


def answers(pc: NewPc) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{pc.port}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def ask(pc: NewPc, token: str, text: str) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{pc.port}/v1/chat/completions",
        data=json.dumps({"model": "pipecatapp", "messages": [{"role": "user", "content": text}]}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        return str(json.load(reply)["choices"][0]["message"]["content"])


def token_in(output: str, pc: NewPc) -> str:
    plain = re.search(rf"http://localhost:{pc.port}/\?token=(\S+)", output)
    secure = re.search(rf"Open +https://\S+:{pc.tls_port}/\?token=(\S+)", output)
    assert plain, "no plain link"
    assert secure, "no secure link"
    assert plain.group(1) == secure.group(1)
    return plain.group(1)


def test_dry_run_says_what_would_change_and_changes_nothing(pc: NewPc) -> None:
    before = pc.files()

    result = pc.bootstrap("--dry-run")

    assert result.code == 0
    assert "would change: Copy the program" in result.output
    assert "nothing was touched" in result.output
    after = pc.files()
    assert after == before, sorted(set(after.items()) ^ set(before.items()))
    assert pc.processes() == []


def test_a_disc_in_the_package_sources_is_named_with_what_to_do(pc: NewPc) -> None:
    disc = pc.tree.path / "etc/apt/sources.list.d/disc.list"
    disc.write_text("deb [trusted=yes] cdrom:[Debian GNU/Linux 13 _Trixie_]/ trixie main\n")

    result = pc.bootstrap()

    disc.unlink()
    assert result.code == 1
    assert "disc.list names a disc" in result.output
    assert "What to do: " in result.output


def test_an_interrupted_run_says_so_and_leaves_no_agent(pc: NewPc) -> None:
    process = pc.tree.popen(["./bootstrap.sh"], env=pc.environment, cwd=CLONE)
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if "Make the Python environment" in line:
            time.sleep(2)  # in the middle of the download
            os.killpg(process.pid, signal.SIGINT)
            break
    output += process.communicate(timeout=120)[0]

    assert process.returncode != 0
    assert "Run ./bootstrap.sh again: it continues" in output
    assert not answers(pc)


def test_one_command_ends_with_a_link_and_an_agent_that_answers(pc: NewPc) -> None:
    started = time.monotonic()

    result = pc.bootstrap()

    print(f"took {time.monotonic() - started:.0f} s")
    assert result.code == 0
    assert "Agent: " in result.output
    # Debian's mirror and the package index were enough for real ears, a voice and a memory.
    listed = pc.tree.run("/usr/local/bin/pipecatapp", "models", "list").output
    here = {line.split()[2] for line in listed.splitlines() if line.startswith("* ")}
    assert {"stt", "tts", "embedding"} <= here, listed
    status = pc.tree.run("/usr/local/bin/pipecatapp", "status").output
    if "sse4_1" in Path("/proc/cpuinfo").read_text():
        assert "faster-whisper" in status
    assert "piper" in status
    answer = ask(pc, token_in(result.output, pc), "What can you do?")
    assert len(answer.split()) >= 3
    assert not answer.lstrip().startswith(("{", "["))


def test_it_runs_as_its_own_user_and_keeps_its_secrets(pc: NewPc) -> None:
    owners = pc.tree.run(
        "sh", "-c", "stat -c '%U %n' /proc/[0-9]*/exe | while read u n; do echo \"$u $(readlink $n)\"; done"
    )
    programs = [
        line for line in owners.output.splitlines() if "python" in line or "ld-linux" in line or "llama" in line
    ]

    assert programs
    assert all(line.startswith("pipecatapp ") for line in programs), programs
    modes = pc.tree.run(
        "stat", "-c", "%a %U", "/var/lib/pipecatapp", "/var/lib/pipecatapp/token", "/etc/pipecatapp/pipecatapp.env"
    )
    assert modes.output.splitlines() == ["750 pipecatapp", "600 pipecatapp", "640 root"]


def test_a_second_run_changes_nothing_and_says_so(pc: NewPc) -> None:
    settings = pc.tree.path / "etc/pipecatapp/pipecatapp.env"
    settings.write_text(settings.read_text() + "LOG_LEVEL=DEBUG\n")  # a person's own line
    before = {path: what for path, what in pc.files().items() if path.startswith(("opt/", "etc/", "usr/local/"))}

    result = pc.bootstrap()

    assert result.code == 0
    assert "Nothing to change (changed=0" in result.output
    assert "changed:" not in result.output
    token_in(result.output, pc)
    volatile = re.compile(r"^opt/pipecatapp/(ansible/home|services/[^/]+/supervise|packages)")
    after = {path: what for path, what in pc.files().items() if path.startswith(("opt/", "etc/", "usr/local/"))}
    assert settings.read_text().endswith("\nLOG_LEVEL=DEBUG\n")
    assert {p for p, _ in set(before.items()) ^ set(after.items()) if not volatile.match(p)} == set()


def test_status_names_what_runs(pc: NewPc) -> None:
    result = pc.bootstrap("--status")

    assert result.code == 0
    assert re.search(r"^pipecatapp-engine +run", result.output, re.M)
    assert re.search(r"^pipecatapp +run", result.output, re.M)
    token_in(result.output, pc)


def test_what_a_run_was_told_is_remembered(pc: NewPc) -> None:
    settings = pc.tree.path / "etc/pipecatapp/pipecatapp.env"
    house = {name: value for name, value in pc.environment.items() if not name.endswith("_PORT")}
    told = pc.bootstrap("--starter-only", env={**pc.environment, "HTTPS_PROXY": "http://127.0.0.1:9"})

    result = pc.bootstrap("--starter-only", env=house)

    assert (told.code, result.code) == (0, 0)
    assert "Nothing to change (changed=0" in result.output
    lines = settings.read_text().splitlines()
    assert {f"WEB_PORT={pc.port}", f"ENGINE_PORT={pc.engine_port}", "HTTPS_PROXY=http://127.0.0.1:9"} <= set(lines)
    settings.write_text("\n".join(line for line in lines if "_PROXY" not in line) + "\n")
    assert pc.bootstrap("--starter-only").code == 0
    assert "_PROXY" not in settings.read_text()


CMAKE = """#!/bin/sh
# Configures nothing and "builds" a llama-server that is Debian's, moved out of reach before.
if [ "$1" = --build ]; then
  echo "[1/2] Building CXX object"
  sleep 2
  mkdir -p "$2/bin"
  cat >"$2/bin/llama-server" <<'END'
#!/bin/sh
lib=/srv/engine/usr/lib/x86_64-linux-gnu
cd $lib/ggml/backends0 || exit 1
exec $lib/ld-linux-x86-64.so.2 --library-path $lib:$lib/llama /srv/engine/usr/bin/llama-server "$@"
END
  chmod 755 "$2/bin/llama-server"
  echo "[2/2] Linking"
fi
"""


def test_where_no_door_has_the_engine_it_is_built_before_the_agent_is_called_ready(pc: NewPc) -> None:
    tree = pc.tree.path
    pc.bootstrap("--stop")
    (pins,) = (tree / "opt/pipecatapp/venv/lib").glob("python3*/site-packages/pipecatapp/llm/engine_pins.yaml")
    pinned = pins.read_text()
    pins.write_text(pinned.replace("pool: pool/", "pool: gone/").replace("snapshot.debian.org", "snapshot.invalid"))
    (unpacked,) = (tree / "var/lib/pipecatapp/engine").glob("debian-*")
    unpacked.rename(tree / "srv/engine")
    assert pc.tree.run("rm", "-r", "/var/lib/pipecatapp/engine/packages").code == 0
    for name in ("cmake", "ninja"):
        (tree / "usr/local/bin" / name).write_text(CMAKE)
        (tree / "usr/local/bin" / name).chmod(0o755)

    result = pc.bootstrap("--starter-only")

    assert result.code == 0
    assert "So this PC compiles its engine now" in result.output
    assert "404" in result.output, "no door said why"
    assert re.search(r"building an engine for this CPU, step 1 of 2 50%|changed: Build an engine", result.output)
    assert "Agent: " in result.output
    assert result.output.index("Build an engine for this processor") < result.output.index("Agent: ")
    status = pc.tree.run("/usr/local/bin/pipecatapp", "engine", "status")
    assert "engine: native-" in status.output

    # As it was, for the tests that follow.
    pc.bootstrap("--stop")
    for name in ("cmake", "ninja"):
        (tree / "usr/local/bin" / name).unlink()
    assert pc.tree.run("sh", "-c", "rm -r /var/lib/pipecatapp/engine/native-*").code == 0
    (tree / "srv/engine").rename(unpacked)
    pins.write_text(pinned)
    assert pc.bootstrap("--start").code == 0
    wait_for("an agent that can answer", lambda: answers(pc), limit_s=120)


@pytest.mark.parametrize("service", ["pipecatapp", "pipecatapp-engine"])
def test_a_killed_service_comes_back(pc: NewPc, service: str) -> None:
    pid_file = pc.tree.path / f"opt/pipecatapp/services/{service}/supervise/pid"
    killed = pid_file.read_text().strip()

    assert pc.tree.run("sh", "-c", f"kill -9 {killed}").code == 0

    wait_for(f"{service} again", lambda: pid_file.read_text().strip() not in ("", killed))
    wait_for("an agent that can answer", lambda: answers(pc), limit_s=120)


def test_stop_leaves_nothing_running_and_start_brings_it_back(pc: NewPc) -> None:
    assert pc.bootstrap("--stop").code == 0
    assert pc.processes() == []
    status = pc.bootstrap("--status")
    assert status.code == 1
    assert "down" in status.output

    assert pc.bootstrap("--start").code == 0

    wait_for("an agent that can answer", lambda: answers(pc), limit_s=120)


def test_uninstall_asks_first(pc: NewPc) -> None:
    result = pc.bootstrap("--uninstall")

    assert result.code == 1
    assert "Kept." in result.output
    assert answers(pc)


def test_uninstall_leaves_nothing(pc: NewPc) -> None:
    result = pc.bootstrap("--uninstall", "--yes")

    assert result.code == 0
    assert "These Debian packages came with the agent and stay" in result.output
    assert pc.processes() == []
    packaged = set()
    for listing in (pc.tree.path / "var/lib/dpkg/info").glob("*.list"):
        for line in listing.read_text().splitlines():
            packaged |= {line[1:], f"usr{line}"}  # /lib is /usr/lib
    found = pc.files()
    left = [path for path in found if path not in pc.pristine and path not in packaged]
    # A compiler comes with names (c++, cc) that lead to Debian's list of alternatives.
    named = [path for path in left if found[path][2].startswith("/etc/alternatives/")]
    ours = [path for path in left if not DEBIANS_RECORDS.search(path) and path not in named]
    assert not ours, "\n".join(ours)
    assert [path for path in left if "pipecat" in path or "ansible" in path] == []
    for name in ("passwd", "group", "shadow"):
        assert "pipecatapp" not in (pc.tree.path / "etc" / name).read_text()
    assert pc.bootstrap("--status").code == 1
