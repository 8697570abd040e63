"""A yes aloud counts only where each value of the call was said."""

from __future__ import annotations

from typing import Any

import pytest

from pipecatapp.domain import ApprovalRequest, Preview, Risk
from pipecatapp.twin.act.approval_views import by_voice

pytestmark = pytest.mark.unit


def asked(sentence: str, words: str = "", **arguments: Any) -> ApprovalRequest:
    return ApprovalRequest("i", "d", "c", "t", "a.tool", arguments, Risk.ACT, Preview(sentence), words, 0.0, 1.0)


def loose(sentence: str, **arguments: Any) -> ApprovalRequest:
    preview = Preview(sentence, loose=("target", "text"))
    return ApprovalRequest("i", "d", "c", "t", "a.tool", arguments, Risk.ACT, preview, "", 0.0, 1.0)


def looked_at(sentence: str, words: str = "", **arguments: Any) -> ApprovalRequest:
    preview = Preview(sentence, look=True)
    return ApprovalRequest("i", "d", "c", "t", "a.tool", arguments, Risk.DANGER, preview, words, 0.0, 1.0)


@pytest.mark.parametrize(
    "request_",
    [
        asked("Switch the lamp on.", lamp="lamp", to="on"),
        asked("Let coding sleep after 10 minutes without use.", service="coding", seconds=600),
        asked("Let prima-api-coding sleep after 10 minutes without use.", "let coding sleep", service="coding"),
        asked("Open shop.test in the browser.", url="https://shop.test/"),
        asked("Open shop.test in the browser.", "open shop.test/page", url="http://shop.test/page"),
        loose("Click 'Next page' on shop.test.", target="next page"),
        loose("Click 'Next page' on shop.test.", target="5"),
        loose("Type 'hello, it's me' into 'Search' on a.b and press Enter.", text="hello, it's me\n", target="search"),
        loose("Type 'Four' into 'Amount' on a.b.", text="Four", target="amount"),
        asked("Note Buy milk for Anna.", "note: Buy milk for Anna", text="Buy milk for Anna"),  # to the letter
        asked("Restart node4.", host="node4"),
        asked("Delete data/old.", path="data/old"),
        looked_at("Look what site.yaml would change.", playbook="site.yaml"),
        looked_at("Connect to node3, which I do not know yet, and see its key.", host="node3", command="rm -rf /X"),
        looked_at("Connect to node3, port 2222, and see its key.", host="pi@node3:2222"),
        asked("Open re-cord.test in the browser.", "open re-cord.test", url="https://re-cord.test"),  # to the letter
        asked("Set the clock to 10:30.", at="10:30"),
    ],
)
def test_what_is_heard_can_be_agreed_to_aloud(request_: ApprovalRequest) -> None:
    assert by_voice(request_)


@pytest.mark.parametrize(
    "request_",
    [
        asked("Delete backup/*.", path="backup/*"),
        asked("Delete backup/.", path="backup/*"),  # the sentence leaves it out
        asked("Delete b\u0430ckup.", path="b\u0430ckup"),  # Cyrillic
        asked("Delete backup.", path="b\u0430ckup"),
        asked("Delete back\u200bup.", path="back\u200bup"),
        asked("Delete \uff42ackup.", path="backup"),  # of another width
        asked("Run a Python program in the sandbox.", code="import os\n" * 20),
        asked("Run print(6 * 7) in the sandbox.", code="print(6 * 7)"),
        asked("Run rm -rf now.", command="rm -rf"),
        asked("Run a; b.", command="a; b"),
        asked("Use $HOME.", path="$HOME"),
        asked("Open the_gate.", gate="the_gate"),
        asked("Open shop.test in the browser.", url="http://shop.test/delete"),
        asked("Say " + "word " * 40 + "now.", text="word " * 40),
        asked("Use the list.", items=["the list", {"deep": "never said"}]),
        asked("", a="b"),
        asked("Delete Backup.", "delete backup", path="Backup"),  # its capital is not heard
        asked("Delete data/Old.", "delete data/old", path="data/Old"),
        asked("Restart node four.", "restart node 4", host="node four"),
        asked("Restart nodefour.", "restart node4", host="nodefour"),
        asked("Delete report for Anna.", path="report for Anna"),
        asked("Delete to do.", path="to do"),
        asked("Delete Backup.", "Delete Backups", path="Backup"),
        asked("Start cart.", what="art"),  # inside of another word
        asked("Open shop.test in the browser.", url="http://shop.test/Buy"),
        asked("Use switch of house with lamp kitchen.", items={"deep": ["Kitchen"]}),
        looked_at("Look what Site.yaml would change.", "look at site.yaml", playbook="Site.yaml"),
        asked("Open re-cord.test in the browser.", "open record.test", url="https://re-cord.test"),
        asked("Restart a-b.", "restart a b", service="a-b"),
        asked("Delete o'neil.", path="o'neil"),
        looked_at("Connect to node-four, port 2222, and see its key.", host="pi@node-four:2222"),
        looked_at("Connect to Node3, port 2222, and see its key.", host="Node3:2222"),
        looked_at("Look what site.yaml on node four would change.", playbook="site.yaml", limit="node four"),
    ],
)
def test_what_is_not_heard_needs_the_page(request_: ApprovalRequest) -> None:
    assert not by_voice(request_)
