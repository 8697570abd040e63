"""The tokenizer: everything comes back, and a value is cut the same way wherever it stands."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starter_model.corpus import Conversations, render
from starter_model.tokenizer import Kind, Tokenizer, train
from starter_model.turns import TOOLS

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train((render(conversation) for conversation in islice(Conversations(seed=1), 300)), 200, 150)


def test_conversations_come_back(tokenizer: Tokenizer) -> None:
    for conversation in islice(Conversations(seed=2), 50):
        text = render(conversation)
        assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\u2581", exclude_categories=["Cs"])))
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_a_tool_is_one_token(tokenizer: Tokenizer, tool: str) -> None:
    assert len(tokenizer.encode(tool)) == 1
    assert len(tokenizer.encode(f" {tool}")) == 1


@pytest.mark.parametrize("marker", ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<|im_end|>"])
def test_a_marker_is_one_token(tokenizer: Tokenizer, marker: str) -> None:
    assert len(tokenizer.encode(marker)) == 1


@pytest.mark.parametrize("value", ["zyxel-47", "q7x.lan", "/opt/quux", "192.168.3.77"])
def test_a_value_is_cut_the_same_way_in_request_and_call(tokenizer: Tokenizer, value: str) -> None:
    in_call = tokenizer.encode(f'"arguments": {{"host": "{value}"}}')
    in_request = tokenizer.encode(f"look at {value} now")
    wanted = tokenizer.encode(value)

    def holds(ids: list[int]) -> bool:
        return any(ids[at : at + len(wanted)] == wanted for at in range(len(ids)))

    assert holds(in_call)
    assert holds(in_request)


def test_markers_of_the_protocol_are_told_from_control_tokens(tokenizer: Tokenizer) -> None:
    kinds = {token.text: token.kind for token in tokenizer.tokens}
    assert kinds["<tool_call>"] is Kind.USER_DEFINED  # a control token would never be printed
    assert kinds["<|im_end|>"] is Kind.CONTROL


def test_the_vocabulary_can_be_saved(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "vocabulary.json")
    assert Tokenizer.load(tmp_path / "vocabulary.json").tokens == tokenizer.tokens


def test_rows_of_the_matrix_fill_blocks(tokenizer: Tokenizer) -> None:
    assert len(tokenizer) % 32 == 0
    assert len({token.text for token in tokenizer.tokens}) == len(tokenizer)
