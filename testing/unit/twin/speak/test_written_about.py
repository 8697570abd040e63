"""Who writes about calls, thoughts and markers makes none: what is quoted stays words, to the letter."""

from __future__ import annotations

import pytest

from testing.fakes.parsing import NOW, OSLO, Parsed, parse

pytestmark = pytest.mark.unit

CALL = f"<tool_call>{NOW}</tool_call>"


@pytest.mark.parametrize(
    "text",
    [
        f"You could write {CALL}",
        f"You could write {CALL} and it would run.",
        f"You could write: {CALL} and so on.",
        f'"You could write: {CALL}',
        f'He typed "{CALL}" there.',
        f'"{CALL}"',
        f'He said "Look. {CALL}" to me.',
        f"(for example. {CALL})",
        f"e.g. {CALL}",
        f"1. {CALL}\n2. Wait.",
        f"- {CALL}\n- Wait.",
        f"> {CALL}",
        f"`x {CALL}` is inline code",
        f"The form is `{CALL}`.",
        f"You write {NOW} in it.",
        "So [clock.now(timezone='Oslo')] is a call.",
        'An object like {"name": "clock.now", "arguments": {}} is one',
        f"You could write this:\n<tool_call>\n{NOW}\n</tool_call>\nThen the program runs it.",
        f"You could write\n{NOW}\nand then it runs.",
        f"In JSON it looks like this:\n```json\n{NOW}\n```\nThe name comes first.",
        f"It has a form.\n```json\n{NOW}\n```\nThe name comes first.",
        f"Two of them:\n{CALL}\n{CALL}\nare two calls.",
        f"```\nWrite this:\n{CALL}\n```",
        f"```\nWrite this:\n{NOW}\n```\n",
        "In words <|tool_call_start|>[clock.now(timezone='Oslo')]<|tool_call_end|> it is.",
        f"Mistral writes [TOOL_CALLS] [{NOW}] for it.",
        "Write <function=clock.now>{}</function> for it.",
        "The <tool_call> tag begins it, [TOOL_CALLS] too.",
        "The <think> tag opens a thought, </think> closes it, and so on.",
        "It is <think>hm</think> in Qwen.",
        "Granite has <thinking> too, and so has <reflection>.",
        "A thought ends with </think>, they say.",
        'The sign "</think>" ends it.\nSo it is.',
        "ChatML begins with <|im_start|>user and ends with <|im_end|>, always.",
        "They end with <|im_end|> or <|eot_id|> here.",
        "The <tool_response> tag holds the result.",
        "Gemma has <start_of_turn>model and <end_of_turn> for it.",
        "The token <|channel|> begins a header.",
        "```\n<|im_start|>user\nhello<|im_end|>\n```\nIs ChatML.",
        "```\n<think>\nhm\n</think>\n```\nThat was it.",
        "<think about it> and <thinkpad>",
        "Here is my plan: we go.",
        "analysis is what we do, final answers too.",
        "finally, it is done",
    ],
)
def test_what_is_quoted_is_words_to_the_letter(text: str) -> None:
    assert parse(text) == Parsed(text, [], "")
    assert parse(*text) == Parsed(text, [], "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"Let me look that up:\n{CALL}", "Let me look that up:\n"),
        (f"Let me look that up:\n```json\n{NOW}\n```", "Let me look that up:\n"),
        (f"Let me look that up\n{CALL}\n", "Let me look that up\n"),
        (f"Let me see. {CALL}", "Let me see. "),
        (f"Let me see: {CALL}", "Let me see: "),
        (f"Let me see!\n\n{CALL}\nIt is ten in Oslo.", "Let me see!\n\n"),
        (f"{CALL}\nIt is ten in Oslo.", ""),
        (f"Look:\n{CALL}\n<tool_response>ten</tool_response> It is ten.", "Look:\n"),
        ("<|tool_call_start|>[clock.now(timezone='Oslo')]<|tool_call_end|>Checking the time now.", ""),
        (f"I look it up[TOOL_CALLS][{NOW}]", "I look it up"),
        (f"I look it up.[TOOL_CALLS][{NOW}]", "I look it up."),
        (f"<think>You could write {CALL}</think>\n{CALL}", "\n"),
    ],
)
def test_what_stands_where_a_model_puts_it_is_a_call(text: str, words: str) -> None:
    assert parse(text) == Parsed(words, OSLO, "")
    assert parse(*text) == Parsed(words, OSLO, "")


@pytest.mark.parametrize(
    "text",
    [
        "Here is my thought process:\n\nHm, hm.\n\nHere is my response:\n\nYes.",
        "Here's my thought process: Hm. Here's my response: Yes.",
        '<think type="deep">hm</think>Yes.',
        "<thinking mode='x' n=3>hm</thinking>\nYes.",
        "<Think type=x>hm</Think>Yes.",
        "analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        "analysis<|message|>hm<|end|>assistantfinal<|message|>Yes.",
        "final<|message|>Yes.<|return|>",
        "<|channel|>analysis<|message|>hm<|end|>final<|message|>Yes.",
        "\nhm\n</think> Yes.",
        "hm</think>Yes.",
    ],
)
def test_thoughts_without_a_usual_marker_are_not_words(text: str) -> None:
    assert parse(text).words.strip() == "Yes."
    assert parse(*text).words.strip() == "Yes."


def test_a_channel_without_its_tokens_may_call() -> None:
    assert parse('commentary to=functions.clock.now <|constrain|>json<|message|>{"timezone": "Oslo"}').calls == OSLO


def test_a_heading_without_an_answer_was_no_thought() -> None:
    text = "Here is my thought process: I look first, then I leap."
    assert parse(text).words == text


@pytest.mark.parametrize(
    "text",
    [
        f"For instance, this works.\n{CALL}\nYou can try it.",
        f"For instance, this works.\n{NOW}\nYou can try it.",
        f"It is easy. {CALL} That is how it looks.",
        f"{NOW} is what a model would write.",
        "[clock.now(timezone='Oslo')] is a list of one call.",
        "It ends with </think>",
        "It ends with </think>\nand then comes the answer.",
        "A thought ends with\t</think>\n\nSo it is.",
    ],
)
def test_an_example_stays_words_whatever_sentence_stands_before_it(text: str) -> None:
    assert parse(text) == Parsed(text, [], "")
    assert parse(*text) == Parsed(text, [], "")


@pytest.mark.parametrize(
    "text",
    [
        f"I will look it up.\n{CALL}\nIt is ten in Oslo.",
        f"Sure! {CALL} It is ten.",
        f"One moment, please.\n\n{CALL}\nIt is ten in Oslo.",
        f"I'm checking the clock. {CALL}\nDone.",
        f"{NOW}\nIt is ten in Oslo.",
    ],
)
def test_who_announces_a_call_makes_it_whatever_follows(text: str) -> None:
    assert parse(text).calls == OSLO
    assert parse(*text).calls == OSLO


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Yes.<|endoftext|>Human: no", "Yes."),
        ("Yes.<|end_of_text|>\nUser: no", "Yes."),
        ("Yes.<|im_end|>\nno", "Yes."),
        ("Yes.<|eot_id|>no", "Yes."),
        ("Yes.<end_of_turn>\nno", "Yes."),
        ("Yes.</s> [INST] no [/INST]", "Yes."),
        ("Yes.</s>", "Yes."),
        ("<|begin_of_thought|>hm<|end_of_thought|><|begin_of_solution|>Yes.<|end_of_solution|>", "Yes."),
        ("<|think|>hm<|/think|>Yes.", "Yes."),
        ("He is old.</s>", "He is old."),
        ("<s>old</s> is struck out in HTML.", "<s>old</s> is struck out in HTML."),
        ("The sign </s> ends it.", "The sign </s> ends it."),
    ],
)
def test_behind_the_end_of_a_message_nothing_is_said(text: str, words: str) -> None:
    assert parse(text).words.strip() == words
    assert parse(*text).words.strip() == words


def test_a_closing_marker_with_nothing_behind_it_leaves_the_answer() -> None:
    assert parse("Yes.</think>") == parse(*"Yes.</think>") == Parsed("Yes.", [], "")
    assert parse(*"Yes.</think>\n").words == "Yes.\n"
    assert parse("hm</think>Yes.").words == "Yes."
    assert parse("hm\n</think>\n").words.strip() == ""
