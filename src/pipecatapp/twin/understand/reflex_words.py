"""What is said where the reflex decides alone: what is missing or unclear, and why something cannot be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipecatapp.intents import Guess

DROPPED = "All right."
TAKEN_BACK = "I took that back."
AMENDING = "I changed nothing. Say undo to take the last change back, and then tell me anew."
_UNKNOWN = "I cannot do that here."

# What is asked for when an argument is missing.
_MISSING: Mapping[str, str] = {
    "timer.set duration": "For how long?",
    "timer.change change": "By how much?",
    "alarm.set when": "For when?",
    "reminder.set what": "What shall I remind you of?",
    "reminder.set when": "When shall I remind you?",
    "reminder.cancel what": "Which reminder?",
    "list.add item": "What shall I put on it?",
    "list.add list": "On which list?",
    "list.read list": "Which list?",
    "list.remove item": "What shall I take off?",
    "list.remove list": "Off which list?",
    "calculator.evaluate expression": "What shall I calculate?",
    "units.convert unit": "Into which unit?",
    "units.convert quantity": "How much of it?",
    "audio.volume change": "Louder or quieter?",
    "memory.remember text": "What shall I remember?",
    "memory.recall query": "What are you looking for?",
    "memory.forget query": "What shall I forget?",
    "ssh.run_command host": "On which machine?",
    "ssh.run_command command": "Which command?",
    "ansible.run_playbook playbook": "Which playbook?",
    "web_browser.goto url": "Which page?",
    "power.set_idle_threshold service": "Which service?",
    "power.set_idle_threshold seconds": "After how long?",
    "code_runner.run_python_code code": "Which code?",
}

# What a tool is called, and what it would do.
_DEEDS: Mapping[str, tuple[str, str]] = {
    "timer.set": ("a timer", "set a timer"), "timer.list": ("the timers", "tell you what the timers say"),
    "timer.cancel": ("the timer", "cancel the timer"), "timer.pause": ("the timer", "pause the timer"),
    "timer.resume": ("the timer", "let the timer go on"), "timer.change": ("the timer", "change the timer"),
    "alarm.set": ("an alarm", "set an alarm"), "alarm.list": ("the alarms", "tell you the alarms"),
    "alarm.cancel": ("the alarm", "cancel the alarm"), "reminder.set": ("a reminder", "make a reminder"),
    "reminder.list": ("the reminders", "tell you the reminders"), "reminder.cancel": ("the reminder",
    "cancel a reminder"),
    "list.add": ("a list", "put that on a list"), "list.read": ("a list", "read a list"),
    "list.remove": ("a list", "take that off a list"), "calculator.evaluate": ("a sum", "calculate that"),
    "units.convert": ("units", "convert that"), "audio.volume": ("the volume", "change my volume"),
    "clock.now": ("the time", "tell you the time"), "calendar.ask": ("the calendar", "look at the calendar"),
    "memory.remember": ("my memory", "remember that"), "memory.recall": ("my memory", "look into my memory"),
    "memory.forget": ("my memory", "forget that"), "mcp.get_status": ("my status",
    "check how I and the machines are running"),
    "mcp.get_memory_summary": ("my memory", "tell you what I know about you"),
    "mcp.clear_short_term_memory": ("this conversation", "forget this conversation"),
    "vision.get_observation": ("the camera", "look through the camera"), "ssh.run_command": ("a command",
    "run a command there"),
    "code_runner.run_python_code": ("Python", "run that as Python"), "ansible.run_playbook": ("a playbook",
    "run a playbook"),
    "web_browser.goto": ("a page", "open a page"), "web_browser.get_page_content": ("the page", "read the page"),
    "web_browser.get_screenshot": ("the page", "take a picture of the page"), "web_browser.click": ("the page",
    "click that"),
    "web_browser.type": ("the page", "type that into the page"), "power.set_idle_threshold": ("a service",
    "change when it sleeps"),
    "summarizer.get_summary": ("a summary", "sum up what we said"), "undo": ("undo", "take the last change back"),
    "say_again": ("my last words", "say that again"), "what_can_you_do": ("my skills", "tell you what I can do"),
}  # fmt: skip

# What there is no hand or sensor for.
_WISHES: Mapping[str, str] = {
    "weather": "I cannot tell the weather: no source for it is connected here.",
    "lights": "I cannot switch lights: none are connected here.",
    "heating": "I cannot change or read the heating: it is not connected here.",
    "devices": "I cannot do that: no such device is connected here.",
    "music": "I cannot play music or radio: no player is connected here.",
    "television": "I cannot control a television: none is connected here.",
    "phone": "I cannot make calls: no phone is connected here.",
    "message": "I cannot send or read messages: no account for them is connected here.",
    "email": "I cannot send or read e-mail: no mailbox is connected here.",
    "shopping": "I cannot order or book anything: no shop is connected here.",
    "banking": "I cannot look at or move money: no bank is connected here.",
    "traffic": "I cannot tell traffic, ways or timetables: no source for them is connected here.",
    "news": "I cannot tell the news or scores: no source for them is connected here.",
    "health": "I cannot measure or look up your health: no sensor for it is connected here.",
    "calendar": "I cannot see your appointments: no calendar of yours is connected here.",
}


def ask_missing(tool: str, missing: Sequence[str]) -> str:
    """The one question for what is missing."""
    return _MISSING.get(f"{tool} {missing[0]}", f"Which {missing[0]}?")


def ask_which(guesses: Sequence[Guess], *, partly: bool = False) -> str:
    """The question for what was meant; ``partly``: more was said than that."""
    if partly:
        return f"I understood one part of that. {ask_which(guesses[:1])}"
    if len(guesses) > 1:
        one, two = (_DEEDS.get(guess.tool, (guess.tool, ""))[0] for guess in guesses[:2])
        if one != two:
            return f"Do you mean {one} or {two}?"
    deed = _DEEDS.get(guesses[0].tool, ("", f"use {guesses[0].tool}"))[1]
    said = " ".join(guesses[0].arguments.values())
    return f"Shall I {deed}: {said}?" if said else f"Shall I {deed}?"


def explain_command(command: str, wants: str, off: Mapping[str, str]) -> str:
    """Why a call of a household's own command cannot be made."""
    reason = off.get(wants, off.get(wants.partition(".")[0]))
    why = f"is off: {reason.rstrip('.')}" if reason is not None else "is not there"
    return f"The command {command!r} wants {wants}, which {why}."


def explain_cannot(wants: str, off: Mapping[str, str]) -> str:
    """Why it cannot be done: by the tool that is off, or the hand or sensor that is not there."""
    if (reason := off.get(wants, off.get(wants.partition(".")[0]))) is not None:
        deed = _DEEDS.get(wants, ("", "do that"))[1]
        return f"I cannot {deed}: {reason.rstrip('.')}."
    if wants in _DEEDS:
        return f"I cannot {_DEEDS[wants][1]} here: there is no such tool on this machine."
    return _WISHES.get(wants, _UNKNOWN)
