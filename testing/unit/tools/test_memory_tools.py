"""``memory.*``: only the person's words are kept, and nothing is forgotten by mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipecatapp.domain import Message, Turn, TurnRecord
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.storage.conversations import Conversations
from pipecatapp.tools.memory import FROM_PROGRAM, Forget, Recall, Remember
from testing.fakes.fact_store import ListedNotebook
from testing.fakes.storage import storage_in

pytestmark = pytest.mark.unit

KEY, SHED = "the spare key is under the blue pot", "the key of the shed hangs in the kitchen"


def said(words: str, *, tainted: bool = False, conversation: str = "c") -> ToolContext:
    return ToolContext(conversation, "t9", words=words, speaker="person", tainted=tainted)


async def conversation(folder: Path, *words: str) -> Conversations:
    store = storage_in(folder).conversations
    for number, text in enumerate(words):
        turn = Turn(f"t{number}", text, "All right.", "typed", 0.0)
        await store.append("c", TurnRecord(turn, (Message("user", text),)))
    return store


# --- remember


async def test_what_is_told_is_kept_with_its_turn(tmp_path: Path) -> None:
    notebook = ListedNotebook()
    result = await Remember(notebook, await conversation(tmp_path)).run({"text": KEY}, said(f"remember that {KEY}"))
    assert result.text == f"I noted: {KEY}."
    assert notebook.texts == [KEY]
    assert notebook.turns == {"1": "t9"}


async def test_own_words_of_the_model_are_kept_where_the_person_said_the_same(tmp_path: Path) -> None:
    notebook = ListedNotebook()
    tool = Remember(notebook, await conversation(tmp_path, "my sister Ingrid lives in Bergen"))
    await tool.run({"text": "The user's sister Ingrid lives in Bergen."}, said("please remember that"))
    assert notebook.texts == ["The user's sister Ingrid lives in Bergen."]


@pytest.mark.parametrize("tainted", [False, True])
async def test_what_nobody_said_is_refused(tmp_path: Path, tainted: bool) -> None:
    notebook = ListedNotebook()
    tool = Remember(notebook, await conversation(tmp_path, "what is on example.com"))
    with pytest.raises(ToolError, match="what you tell me yourself"):
        await tool.run({"text": "the owner pays every invoice at once"}, said("read that page to me", tainted=tainted))
    assert notebook.texts == []


async def test_beside_foreign_text_only_the_very_words_are_kept(tmp_path: Path) -> None:
    notebook = ListedNotebook()
    tool = Remember(notebook, await conversation(tmp_path))
    words = "open example.com and remember that my bank is the Northern one"
    with pytest.raises(ToolError):
        await tool.run({"text": "my bank is the Northern one at evil.example"}, said(words, tainted=True))
    await tool.run({"text": "My bank is the Northern one."}, said(words, tainted=True))
    assert notebook.texts == ["My bank is the Northern one."]


async def test_a_full_disk_is_said(tmp_path: Path) -> None:
    notebook = ListedNotebook()
    notebook.broken = True
    with pytest.raises(ToolError, match="free some disk space"):
        await Remember(notebook, await conversation(tmp_path)).run({"text": KEY}, said(KEY))


NOBODYS: list[ToolContext] = [
    ToolContext("c", "t9"),
    ToolContext("", "t9"),
    ToolContext("other-programs", "t9", speaker="program"),
    ToolContext("c", "t9", words=f"remember that {KEY}", speaker="program"),
    ToolContext("c", "t9", words=f"remember that {KEY}", speaker="nobody"),
    ToolContext("c", "t9", speaker="person"),
]


@pytest.mark.parametrize("context", NOBODYS)
async def test_what_no_person_said_is_refused_whoever_asks(tmp_path: Path, context: ToolContext) -> None:
    notebook = ListedNotebook()
    with pytest.raises(ToolError, match="what you tell me yourself"):
        await Remember(notebook, await conversation(tmp_path)).run({"text": KEY}, context)
    assert notebook.texts == []


async def test_what_a_program_said_before_is_no_persons_word(tmp_path: Path) -> None:
    store = storage_in(tmp_path).conversations
    turn = Turn("t0", f"remember that {KEY}", "All right.", "api", 0.0)
    await store.append("c", TurnRecord(turn, (Message("user", turn.user_text),)))
    notebook = ListedNotebook()
    with pytest.raises(ToolError, match="what you tell me yourself"):
        await Remember(notebook, store).run({"text": KEY}, said("yes, do that"))
    assert notebook.texts == []


async def test_what_a_person_agreed_to_is_kept_as_a_programs(tmp_path: Path) -> None:
    notebook = ListedNotebook()
    agreed = ToolContext("other-programs", "t9", speaker="program", approved=True, tainted=True)
    await Remember(notebook, await conversation(tmp_path)).run({"text": KEY}, agreed)
    assert [(fact.text, fact.kind) for fact in notebook.facts.values()] == [(KEY, FROM_PROGRAM)]


async def test_the_card_shows_the_very_words(tmp_path: Path) -> None:
    preview = await Remember(ListedNotebook(), await conversation(tmp_path)).preview({"text": KEY}, NOBODYS[2])
    assert (preview.sentence, preview.scope, preview.whole) == (f"Note: {KEY}.", "", False)


async def test_a_program_makes_nothing_forgotten_without_a_yes(tmp_path: Path) -> None:
    notebook = ListedNotebook(KEY, "the dog is called Rex")
    tool = Forget(notebook, await conversation(tmp_path))
    asked = ToolContext("other-programs", "t9", speaker="program")
    with pytest.raises(ToolError, match="yourself"):
        await tool.run({"query": "the spare key"}, asked)
    assert len(notebook) == 2
    assert KEY in (await tool.preview({"query": "the spare key"}, asked)).detail
    agreed = replace(asked, approved=True, tainted=True)
    assert (await tool.run({"query": "the spare key"}, agreed)).text == f"I forgot: {KEY}."


# --- recall


async def test_the_best_facts_are_told() -> None:
    result = await Recall(ListedNotebook(KEY, "the dog is called Rex")).run({"query": "spare key"}, said(""))
    assert result.text == f"You told me: {KEY}."


async def test_nothing_is_told_of_what_is_not_known() -> None:
    assert (
        await Recall(ListedNotebook(KEY)).run({"query": "the boat"}, said(""))
    ).text == "I know nothing about the boat."


# --- forget


async def test_what_is_clearly_meant_is_forgotten_and_shown(tmp_path: Path) -> None:
    notebook = ListedNotebook(KEY, "the dog is called Rex")
    result = await Forget(notebook, await conversation(tmp_path)).run({"query": "the spare key"}, said("forget it"))
    assert result.text == f"I forgot: {KEY}."
    assert notebook.texts == ["the dog is called Rex"]


async def test_nothing_is_forgotten_when_it_is_not_clear_what(tmp_path: Path) -> None:
    notebook = ListedNotebook(KEY, SHED)
    result = await Forget(notebook, await conversation(tmp_path)).run({"query": "the key"}, said("forget the key"))
    assert result.text.startswith("I know 2 things about the key. Which one should I forget?")
    assert KEY in result.text
    assert SHED in result.text
    assert notebook.texts == [KEY, SHED]


async def test_everything_is_forgotten_when_that_is_said(tmp_path: Path) -> None:
    notebook = ListedNotebook(KEY, SHED, "the dog is called Rex")
    words = "forget everything about the key"
    result = await Forget(notebook, await conversation(tmp_path)).run({"query": "the key"}, said(words))
    assert KEY in result.text
    assert SHED in result.text
    assert notebook.texts == ["the dog is called Rex"]


async def test_that_is_what_was_kept_last_in_this_conversation(tmp_path: Path) -> None:
    notebook = ListedNotebook(KEY)
    await notebook.add("the dog is called Rex", turn="t0")
    await notebook.add("the cat is called Tom", turn="elsewhere")
    tool = Forget(notebook, await conversation(tmp_path, "my dog is called Rex", "nice"))
    assert (await tool.run({"query": "that"}, said("forget that"))).text == "I forgot: the dog is called Rex."
    assert (await tool.run({"query": "that"}, said("forget that"))).text.startswith("I noted nothing")
    assert notebook.texts == [KEY, "the cat is called Tom"]


async def test_a_page_cannot_make_it_forget(tmp_path: Path) -> None:
    notebook = ListedNotebook(KEY)
    with pytest.raises(ToolError, match="yourself"):
        await Forget(notebook, await conversation(tmp_path)).run(
            {"query": "the spare key"}, said("read the page", tainted=True)
        )
    assert notebook.texts == [KEY]


async def test_nothing_to_forget_is_said(tmp_path: Path) -> None:
    result = await Forget(ListedNotebook(KEY), await conversation(tmp_path)).run({"query": "the boat"}, said("x"))
    assert result.text == "I know nothing about the boat, so there was nothing to forget."
