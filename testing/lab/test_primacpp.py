"""prima.cpp on real machines: one builds, its like takes it, and a ring of both makes tokens.

``PRIMACPP_SOURCE`` names a clone of prima.cpp, whose newest commit is built; without one these are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from pipecatapp.paths import CHECKOUT
from testing.lab.lab import Lab
from testing.lab.node import wait_until

SOURCE = os.environ.get("PRIMACPP_SOURCE", "")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(not SOURCE, reason="no prima.cpp here: PRIMACPP_SOURCE names no clone of it"),
]

NODES = {"controller_nodes": ["n1"], "worker_nodes": ["n2"]}
CURRENT = "/opt/primacpp/current"


def wanted() -> dict[str, object]:
    """The role's variables."""
    commit = subprocess.run(["git", "-C", SOURCE, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return {"primacpp_enabled": True, "primacpp_source": SOURCE, "primacpp_commit": commit.stdout.strip()}


def run(lab: Lab, *options: str, **variables: object) -> tuple[int, str]:
    """The role on both; how much changed, and what was said."""
    extra = json.dumps({**wanted(), **variables})
    play = lab.play("playbook.yaml", NODES, "--tags", "primacpp", "-e", extra, *options, limit_s=2400).succeeded()
    return play.changed, play.output


def built(lab: Lab, node: str) -> str:
    return lab.run(node, "readlink", CURRENT).output.strip()


def test_a_dry_run_on_clean_machines_changes_nothing(lab: Lab) -> None:
    lab.add("n1", "n2")

    run(lab, "--check")

    for node in ("n1", "n2"):
        assert lab.run(node, "test", "-e", "/opt/primacpp").code == 1


def test_one_machine_builds_and_its_like_takes_it(lab: Lab) -> None:
    _, output = run(lab)

    assert built(lab, "n1") == built(lab, "n2") != ""
    sums = {lab.run(node, "sha256sum", f"{CURRENT}/llama-server").output for node in ("n1", "n2")}
    assert len(sums) == 1
    assert lab.run("n2", "sh", "-c", "command -v g++").code != 0, "the second needs no compiler"
    for node in ("n1", "n2"):
        assert lab.run(node, "ls", "/opt/primacpp").output.split() == sorted([built(lab, node), "current"])
    print(output)


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    changed, output = run(lab)
    assert changed == 0, output


def test_a_ring_of_both_makes_tokens(lab: Lab) -> None:
    model = "/var/tmp/starter.gguf"  # on a lab's node
    first, second = (lab[node].address for node in ("n1", "n2"))
    content = (CHECKOUT / "models/starter.gguf").read_bytes()
    for node in ("n1", "n2"):
        (lab[node].root / model.lstrip("/")).write_bytes(content)
    ring = ["-m", model, "-c", "1024", "-t", "1", "--world", "2", "--data-port", "19000", "--signal-port", "19100"]
    ring += ["--master", first, "-lw", "3,2", "--prefetch"]
    head = [f"{CURRENT}/llama-server", *ring, "--rank", "0", "--next", second, "--host", "127.0.0.1", "--port", "8090"]
    rank = [f"{CURRENT}/llama-cli", *ring, "--rank", "1", "--next", first]
    lab.run("n2", "systemd-run", "--unit=ring", *rank)
    lab.run("n1", "systemd-run", "--unit=ring", *head)
    ask = ["curl", "-sS", "--max-time", "20", "http://127.0.0.1:8090/completion", "-d"]
    ask.append(json.dumps({"prompt": "what time is it", "n_predict": 4, "temperature": 0}))

    def tokens() -> bool:
        answer = lab.run("n1", *ask)
        return answer.code == 0 and json.loads(answer.output).get("tokens_predicted", 0) > 0

    try:
        wait_until("tokens", tokens, limit_s=180)
    finally:
        for node in ("n1", "n2"):
            print(lab.run(node, "journalctl", "-u", "ring", "-n", "20", "--no-pager").output)
            lab.run(node, "systemctl", "kill", "-s", "KILL", "ring")


def test_where_the_build_fails_those_that_wait_for_it_say_so(lab: Lab) -> None:
    extra = json.dumps({**wanted(), "primacpp_flags": "-march=no-such-cpu"})

    play = lab.play("playbook.yaml", NODES, "--tags", "primacpp", "-e", extra)

    assert play.code != 0
    assert "n1, which builds prima.cpp for machines like this one, failed" in play.output
    for node in ("n1", "n2"):  # what was there before is used further
        assert lab.run(node, "test", "-x", f"{CURRENT}/llama-server").code == 0


def test_other_flags_have_it_built_again_and_the_old_one_goes(lab: Lab) -> None:
    before = built(lab, "n1")

    changed, output = run(lab, primacpp_flags="-march=core2 -mtune=generic")

    assert changed > 0, output
    assert built(lab, "n1") == built(lab, "n2") != before
    assert lab.run("n1", "ls", "/opt/primacpp").output.split() == sorted([built(lab, "n1"), "current"])


def test_a_commit_that_is_not_named_in_full_is_refused(lab: Lab) -> None:
    extra = json.dumps({**wanted(), "primacpp_commit": "bdf9d8e"})
    play = lab.play("playbook.yaml", NODES, "--tags", "primacpp", "-e", extra)
    assert play.code != 0
    assert "primacpp_commit is bdf9d8e, which can mean several commits" in play.output
