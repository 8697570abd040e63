"""The household's own commands: sentences with slots, what is wrong with an entry, a file that changes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipecatapp.intents import Dialogue, Guess
from pipecatapp.reflex.command_file import CommandFile, read_commands
from pipecatapp.reflex.commands import Command, PatternError, forms, match
from pipecatapp.reflex.judges import Judges
from pipecatapp.reflex.reflex import TrainedReflex
from pipecatapp.tools.choice.vectors import word_vectors

pytestmark = pytest.mark.unit

DISK = Command(
    "check the disk on [the] {machine}",
    (Guess("ssh.run_command", {"host": "{machine}", "command": "df -h /{where}"}),),
    forms("check the disk on [the] {machine}"),
)
FILE = """
- say: good night
  do:
    timer.cancel: {label: all}
    alarm.set: {when: 7:30}
- say: ["check the disk on {machine}", "how full is {machine}"]
  do:
    ssh.run_command: {host: "{machine}", command: "df -h /"}
"""


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("good night", ["good night"]),
        ("Good Night!", ["good night"]),
        ("[please] dim", ["dim", "please dim"]),
        ("(tea|coffee) is on [now]", ["tea is on", "tea is on now", "coffee is on", "coffee is on now"]),
        ("dim [all of] (the voice|it)", ["dim the voice", "dim it", "dim all of the voice", "dim all of it"]),
        ("how full is {machine}", ["how full is {machine}"]),
    ],
)
def test_a_pattern_is_all_the_ways_in_which_it_is_said(pattern: str, said: list[str]) -> None:
    assert [" ".join(form) for form in forms(pattern)] == said


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "says nothing"),
        ("{a}", "one word of its own"),
        ("go {a} {b}", "side by side"),
        ("from {a} to {a}", "twice"),
        ("a [b", "no end"),
        ("a b]", "no beginning"),
        ("a | b", "outside of brackets"),
        ("a {1}", "no slot"),
        ("a }", "no slot"),
        ("(a|b)" * 7, "more than 64"),
    ],
)
def test_what_cannot_be_said_is_no_pattern(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        forms(pattern)


@pytest.mark.parametrize(
    ("words", "host"),
    [
        ("check the disk on attic", "attic"),
        ("Check the disk on Attic.", "Attic"),
        ("please check the disk on the kitchen PC, please", "kitchen PC"),
    ],
)
def test_a_slot_takes_the_words_as_they_were_said(words: str, host: str) -> None:
    found = match(words, [DISK])
    assert found is not None
    assert found.calls[0].arguments["host"] == host


@pytest.mark.parametrize(
    "words",
    ["check the disk", "can you check the disk on attic", "check the disk on", "", "?", "check disk on attic"],
)
def test_other_words_are_no_command(words: str) -> None:
    assert match(words, [DISK]) is None


def test_the_most_words_of_its_own_win() -> None:
    loose = Command("check {x}", (Guess("clock.now"),), forms("check {x}"))
    found = match("check the disk on attic", [loose, DISK])
    assert found is not None
    assert found.command is DISK


def test_a_long_request_is_matched_at_once() -> None:
    greedy = Command("a {x} b {y} c {z} d", (), forms("a {x} b {y} c {z} d"))
    began = time.process_time()
    for count in (10, 35, 100_000):
        match(" ".join(["a", "b c"] * count), [greedy] * 20)
    assert time.process_time() - began < 1


def test_numbers_and_times_in_the_file_are_words(tmp_path: Path) -> None:
    path = tmp_path / "commands.yaml"
    path.write_text(FILE)
    commands, problems = read_commands(path)
    assert problems == []
    assert [command.say for command in commands] == ["good night", "check the disk on {machine}"]
    assert commands[0].calls == [Guess("timer.cancel", {"label": "all"}), Guess("alarm.set", {"when": "7:30"})]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("- hello", "`say:` with a sentence"),
        ("- say: hello", "do: Field required"),
        ("- {say: hello, do: {clock.now: }, also: 1}", "also: Extra inputs"),
        ("- {say: 'note {what}', do: {memory.remember: {text: {what}}}}", "in quotes"),
        ("- {say: 'note {what}', do: {memory.remember: {text: '{other}'}}}", "wants {other}"),
        ("- {say: wake up, do: {alarm.set: {}}}", "alarm.set needs when"),
        ("- {say: good night, do: {clock.now: }}", "command 1 is said the same way"),
        ("- {say: 'a [b', do: {clock.now: }}", "no end"),
    ],
)
def test_a_wrong_entry_is_named_and_harms_no_other(tmp_path: Path, entry: str, reason: str) -> None:
    path = tmp_path / "commands.yaml"
    path.write_text(f"{FILE}{entry}\n- {{say: last one, do: {{clock.now: }}}}\n")
    commands, problems = read_commands(path)
    assert [command.say for command in commands] == ["good night", "check the disk on {machine}", "last one"]
    assert len(problems) == 1
    assert problems[0].startswith("command 3")
    assert reason in problems[0]


def test_a_changed_file_counts_and_a_broken_one_leaves_what_held(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "commands.yaml"
    file = CommandFile(path)
    assert file.match("good night") is None
    path.write_text(FILE)
    assert file.match("good night") is not None
    path.write_text("- say: [please] dim\n  do:")
    assert file.match("good night") is not None
    assert "no YAML" in caplog.text
    path.write_text("- {say: dim, do: {clock.now: }}\n")
    os.utime(path, ns=(1, 1))
    assert file.match("good night") is None
    assert file.match("dim") is not None
    path.unlink()
    assert file.match("dim") is None


def test_a_command_comes_before_what_the_reflex_knows_and_may_be_one_of_two(tmp_path: Path) -> None:
    path = tmp_path / "commands.yaml"
    path.write_text(FILE + "- {say: set a timer for ten minutes, do: {clock.now: }}\n")
    judges = Judges.load(word_vectors().of)
    reflex = TrainedReflex(word_vectors().of, CommandFile(path))
    tools = frozenset({"clock.now", "timer.set", "timer.cancel", "ssh.run_command", "reminder.set"})

    def parts(words: str) -> list[tuple[str, str]]:
        intent = reflex.decide_now(judges, words, Dialogue(tools=tools))
        return [
            (part.intent.kind, part.intent.wants or part.intent.guesses[0].tool) for part in intent.parts
        ]  # fmt: skip

    assert parts("set a timer for ten minutes") == [("tool", "clock.now")]
    assert parts("good night") == [("tool", "timer.cancel"), ("cannot", "alarm.set")]
    words = "check the disk on attic and remind me to clean it tomorrow"
    assert parts(words) == [("tool", "ssh.run_command"), ("tool", "reminder.set")]
    assert parts("check the disk on bread and butter") == [("tool", "ssh.run_command")]


async def test_commands_need_no_trained_file(tmp_path: Path) -> None:
    path = tmp_path / "commands.yaml"
    path.write_text(FILE)
    reflex = TrainedReflex(word_vectors().of, CommandFile(path))
    tools = frozenset({"timer.cancel", "alarm.set"})
    assert (await reflex.decide("good night", Dialogue(tools=tools))).command == "good night"
    assert (await reflex.decide("what time is it", Dialogue(tools=tools))).kind == "mind"
