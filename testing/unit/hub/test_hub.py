"""The hub: order, replay after a refresh and after a restart, and a page that reads slowly."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.events import (
    ApprovalRequested,
    AssistantDelta,
    AssistantMessage,
    ConversationCleared,
    Event,
    HealthChanged,
    LogLine,
    PartialTranscript,
    StateChanged,
    ToolFinished,
    UserMessage,
)
from pipecatapp.hub import EventHub, Subscription
from pipecatapp.storage.event_log import EventLog

pytestmark = pytest.mark.unit

ONE = "c-one"
TWO = "c-two"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "events"


@pytest.fixture
def hub(folder: Path) -> Iterator[EventHub]:
    hub = EventHub(EventLog(folder), queue_limit=8, keep=50, compact_at=60, clock=lambda: 1000.0)
    yield hub
    hub.close()


def asked(text: str, conversation: str = ONE, turn: str = "t1") -> UserMessage:
    return UserMessage(conversation=conversation, turn=turn, text=text, source="typed")


def answered(text: str, conversation: str = ONE, turn: str = "t1") -> AssistantMessage:
    return AssistantMessage(conversation=conversation, turn=turn, text=text)


def delta(text: str, turn: str = "t1") -> AssistantDelta:
    return AssistantDelta(conversation=ONE, turn=turn, text=text)


async def read(page: Subscription, until: str = "replayed") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["type"] != until:
        async with asyncio.timeout(60):
            messages.append(json.loads(await anext(page)))
    return messages


def texts(messages: list[dict[str, Any]], kind: str) -> list[str]:
    return [message["text"] for message in messages if message["type"] == kind]


async def test_events_are_numbered_within_each_conversation(hub: EventHub) -> None:
    with hub.subscribe(ONE) as one, hub.subscribe(TWO) as two:
        await read(one)
        await read(two)
        hub.emit(asked("a"))
        hub.emit(asked("b", TWO))
        hub.emit(asked("c"))

        first, second = [json.loads(await anext(one)) for _ in range(2)]
        other = json.loads(await anext(two))

    assert [first["seq"], second["seq"], other["seq"]] == [1, 2, 1]
    assert first == {
        "type": "user",
        "conversation": ONE,
        "turn": "t1",
        "text": "a",
        "source": "typed",
        "seq": 1,
        "at": 1000.0,
    }


async def test_a_refresh_replays_what_matters_and_nothing_that_passed(hub: EventHub) -> None:
    for event in (
        PartialTranscript(conversation=ONE, text="hel"),
        asked("hello"),
        delta("Good "),
        delta("day."),
        answered("Good day."),
        StateChanged(conversation=ONE, state="idle"),
    ):
        hub.emit(event)

    with hub.subscribe(ONE) as page:
        messages = await read(page)

    assert [m["type"] for m in messages] == ["hello", "user", "assistant", "state", "live", "replayed"]
    assert messages[0]["replay"] == "full"


async def test_a_page_that_reconnects_gets_only_what_it_missed(hub: EventHub) -> None:
    hub.emit(asked("one"))
    hub.emit(answered("first"))
    with hub.subscribe(ONE, after=2, boot=hub.boot) as page:
        assert texts(await read(page), "user") == []
    hub.emit(asked("two", turn="t2"))

    with hub.subscribe(ONE, after=2, boot=hub.boot) as page:
        messages = await read(page)

    assert messages[0]["replay"] == "rest"
    assert texts(messages, "user") == ["two"]


async def test_a_refresh_in_the_middle_of_an_answer_shows_it_so_far(hub: EventHub) -> None:
    hub.emit(asked("go"))
    hub.emit(delta("Once upon "))
    hub.emit(delta("a time"))

    with hub.subscribe(ONE) as page:
        messages = await read(page)

    assert texts(messages, "live") == ["Once upon a time"]


async def test_a_restart_keeps_the_conversation_and_replays_it_from_the_start(folder: Path) -> None:
    before = EventHub(EventLog(folder))
    before.emit(asked("do you remember"))
    before.emit(answered("yes"))
    before.close()

    after = EventHub(EventLog(folder))
    with after.subscribe(ONE, after=2, boot=before.boot) as page:
        messages = await read(page)
    after.emit(asked("more", turn="t2"))
    after.close()

    assert messages[0]["replay"] == "full"
    assert texts(messages, "user") + texts(messages, "assistant") == ["do you remember", "yes"]
    assert json.loads((folder / f"{ONE}.jsonl").read_text().splitlines()[-1])["seq"] == 3


@pytest.mark.parametrize("torn", [1, 20, 60])
async def test_a_line_torn_by_a_kill_is_cut_off_and_the_next_one_is_whole(folder: Path, torn: int) -> None:
    before = EventHub(EventLog(folder))
    before.emit(asked("whole"))
    before.emit(answered("torn"))
    before.close()
    path = folder / f"{ONE}.jsonl"
    path.write_bytes(path.read_bytes()[:-torn])

    hub = EventHub(EventLog(folder))
    hub.emit(asked("next", turn="t2"))
    hub.close()

    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["text"] for record in records] == ["whole", "next"]
    assert [record["seq"] for record in records] == [1, 2]


async def test_a_slow_page_never_grows_its_queue_and_catches_up_when_it_reads(hub: EventHub) -> None:
    with hub.subscribe(ONE) as page:
        await read(page)
        hub.emit(asked("count"))
        for number in range(1000):
            hub.emit(delta(f"{number} "))
            assert page.waiting <= 8

        messages = await read(page)
        hub.emit(delta("end"))
        last = json.loads(await anext(page))

    assert texts(messages, "user") == ["count"]
    assert texts(messages, "live") == ["".join(f"{number} " for number in range(1000))]
    assert last["text"] == "end"


async def test_a_slow_page_sees_every_kept_event_once(hub: EventHub) -> None:
    with hub.subscribe(ONE) as page:
        await read(page)
        hub.emit(asked("first"))
        assert json.loads(await anext(page))["text"] == "first"
        for number in range(20):
            hub.emit(asked(str(number), turn=f"t{number}"))

        messages = await read(page)

    assert texts(messages, "user") == [str(number) for number in range(20)]


async def test_a_full_queue_drops_log_lines_and_keeps_the_answer(hub: EventHub) -> None:
    with hub.subscribe(ONE) as page:
        await read(page)
        hub.emit(asked("hi"))
        for number in range(50):
            hub.emit(LogLine(level="info", logger="x", message=str(number)))

        first = json.loads(await anext(page))

        assert first["text"] == "hi"
        assert page.waiting == 7


async def test_health_and_log_reach_every_conversation_and_every_new_page(hub: EventHub) -> None:
    with hub.subscribe(ONE) as page:
        await read(page)
        hub.emit(HealthChanged(component="engine", ok=False, reason="loading", progress=0.1))
        hub.emit(HealthChanged(component="engine", ok=True, reason="", progress=None))
        hub.emit(LogLine(level="info", logger="x", message="up"))
        seen = [json.loads(await anext(page))["type"] for _ in range(3)]

    with hub.subscribe(TWO) as late:
        messages = await read(late)

    assert seen == ["health", "health", "log"]
    assert [m["ok"] for m in messages if m["type"] == "health"] == [True]
    assert [m["message"] for m in messages if m["type"] == "log"] == ["up"]


async def test_clearing_forgets_the_history_on_disk_too(hub: EventHub, folder: Path) -> None:
    hub.emit(asked("secret"))
    hub.emit(ConversationCleared(conversation=ONE))
    hub.emit(asked("after", turn="t2"))

    with hub.subscribe(ONE) as page:
        messages = await read(page)
    hub.close()

    assert texts(messages, "user") == ["after"]
    assert "secret" not in (folder / f"{ONE}.jsonl").read_text()


async def test_a_long_conversation_keeps_its_newest_events_and_a_small_file(hub: EventHub, folder: Path) -> None:
    for number in range(200):
        hub.emit(asked(str(number), turn=f"t{number}"))

    with hub.subscribe(ONE) as page:
        messages = await read(page)
    hub.close()

    assert texts(messages, "user") == [str(number) for number in range(150, 200)]
    assert len((folder / f"{ONE}.jsonl").read_text().splitlines()) <= 60


async def test_a_page_whose_place_was_cut_off_starts_over(hub: EventHub) -> None:
    for number in range(200):
        hub.emit(asked(str(number), turn=f"t{number}"))

    with hub.subscribe(ONE, after=10, boot=hub.boot) as page:
        messages = await read(page)

    assert messages[0]["replay"] == "full"
    assert len(texts(messages, "user")) == 50


async def test_events_from_another_thread_arrive_in_order(hub: EventHub) -> None:
    hub.bind(asyncio.get_running_loop())
    with hub.subscribe(ONE) as page:
        await read(page)

        def work() -> None:
            for number in range(5):
                hub.emit(asked(str(number)))

        thread = threading.Thread(target=work)
        thread.start()
        await asyncio.to_thread(thread.join)
        seen = [json.loads(await anext(page))["text"] for _ in range(5)]

    assert seen == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "x" * 65, "ä"])
def test_an_id_that_could_be_a_path_is_refused_without_harming_the_turn(hub: EventHub, folder: Path, name: str) -> None:
    hub.emit(asked("x", name))

    with pytest.raises(ValueError, match="conversation id"), hub.subscribe(name):
        pass
    assert list(folder.parent.rglob("*.jsonl")) == []


def test_a_listener_that_fails_does_not_stop_the_turn(hub: EventHub, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("a bug in the metrics")

    hub.add_listener(broken)

    hub.emit(asked("hi"))

    assert "could not be handed on" in caplog.text


async def test_closing_the_hub_ends_every_page(hub: EventHub) -> None:
    with hub.subscribe(ONE) as page:
        await read(page)
        hub.close()
        with pytest.raises(StopAsyncIteration):
            await anext(page)


def test_recent_conversations_are_named_by_their_first_request(folder: Path) -> None:
    event_log = EventLog(folder)
    hub = EventHub(event_log)
    hub.emit(asked("what can\nyou do", ONE))
    hub.emit(asked("later", ONE, turn="t2"))
    hub.emit(asked("another", TWO))

    found = event_log.recent()
    hub.close()

    assert {summary.id: summary.title for summary in found} == {ONE: "what can you do", TWO: "another"}


def test_only_so_many_conversations_stay_on_disk(folder: Path) -> None:
    hub = EventHub(EventLog(folder))
    for number in range(6):
        hub.emit(asked("x", f"c-{number}"))
    hub.close()

    EventLog(folder, keep_conversations=4).close()

    assert len(list(folder.glob("*.jsonl"))) == 4


async def test_a_page_that_has_much_to_catch_up_with_is_greeted_first(hub: EventHub) -> None:
    for number in range(20):  # more than the queue holds
        hub.emit(asked(f"question {number}"))
    with hub.subscribe(ONE) as page:
        hub.emit(answered("new"))
        first = json.loads(await anext(page))
        seen = [json.loads(await anext(page)) for _ in range(page.waiting)]
    assert first["type"] == "hello"
    assert [event["text"] for event in seen if event["type"] == "user"] == [f"question {n}" for n in range(20)]
    assert seen[-1]["text"] == "new"


async def test_half_a_character_is_sent_and_kept(hub: EventHub, folder: Path) -> None:
    hub.emit(answered("a \ud83d b"))
    hub.emit(asked("after it"))
    with hub.subscribe(ONE) as page:
        texts = [(await anext(page)).encode() for _ in range(page.waiting)]
    assert any(b"a ? b" in text for text in texts)
    hub.close()
    assert [event["text"] for event in EventLog(folder).load(ONE)] == ["a ? b", "after it"]


@pytest.mark.parametrize("before", [0, 55])  # 55: the file is written anew behind it
async def test_a_call_lies_on_the_disk_without_its_secrets(hub: EventHub, folder: Path, before: int) -> None:
    command = "curl -u admin:hunter2 router"
    for number in range(before):
        hub.emit(asked(str(number)))
    hub.emit(
        ApprovalRequested(
            conversation=ONE, turn="t1", id="a1", tool="ssh.run_command", arguments={"command": command},
            risk="danger", sentence=f"Run {command} on node3.", detail=f"{command}\n\non pi@node3", scope="pi@node3",
            by_voice=False, digest="0" * 64, expires_at=1120.0,
        )
    )  # fmt: skip
    hub.emit(
        ToolFinished(
            conversation=ONE, turn="t1", call_id="a1", tool="ssh.run_command", ok=True, text=f"{command} ended with 0.",
            detail=f"pi@node3$ {command}\nuptime: 3 days", seconds=1.0,
        )
    )  # fmt: skip
    for number in range(10):
        hub.emit(asked(str(number)))
    with hub.subscribe(ONE) as page:  # the person who is asked sees exactly the call
        assert "hunter2" in "".join([await anext(page) for _ in range(page.waiting)])
    hub.close()
    kept = "".join(path.read_text() for path in folder.iterdir())
    assert "ssh.run_command" in kept
    assert "hunter2" not in kept
