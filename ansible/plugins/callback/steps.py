"""Shows a playbook as a person wants to see it: the steps, what changed, how long it took, what to do on an error.

Everything that Ansible knows goes to the file named by ``PIPECATAPP_BOOTSTRAP_LOG``. A task says what to do when it
fails in a variable whose name ends in ``_next_step``; one that takes long may name in ``..._progress_file`` a file in
which its program says how far it is (JSON with ``doing`` and ``progress``, 0 to 1).
"""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

import yaml
from ansible.template import Templar

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: steps
type: stdout
short_description: steps, changes and elapsed time
description: One line for each step that changed something or took long; errors with their reason and the next step.
"""

# A task that is quicker than this and changes nothing is not worth a line.
WORTH_A_LINE_S = 3.0
# How often a log without a terminal says that a long task still runs.
HEARTBEAT_S = 20.0
TAIL_LINES = 12


def tail(text: str) -> list[str]:
    """The last lines of a program's output."""
    return [line.rstrip() for line in text.strip().splitlines() if line.strip()][-TAIL_LINES:]


def seconds(value: float) -> str:
    """Elapsed time, short."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def reasons(result: dict[str, Any], *, ours: bool = False) -> list[str]:
    """Why a task failed: its message, then what the program behind it said last.

    Args:
        result: the task's.
        ours: the message is one of this repository, and shown whole.
    """
    lines = str(result.get("msg", "")).splitlines() if ours else tail(str(result.get("msg", "")))
    for stream in ("stderr", "stdout", "module_stderr", "module_stdout"):
        said = tail(str(result.get(stream, "")))
        if said and said != lines:
            return lines + said
    return lines


def open_log(path: Path) -> TextIO:
    """A log to append to: a plain file of ours with no second name. What else lies in its place is replaced.

    Only safe in a folder that nobody else may write; where somebody may, there is no log.
    """
    device = path == Path(os.devnull)
    if not device:
        folder = path.parent.stat()
        if folder.st_uid != os.geteuid() or folder.st_mode & 0o022:
            print(f"warning: others may write {path.parent}, so there is no log of this run", file=sys.stderr)
            return open_log(Path(os.devnull))
        if not _is_own_file(path):
            path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | (0 if device else os.O_CREAT)
    return os.fdopen(os.open(path, flags, 0o640), "a", encoding="utf-8")


def _is_own_file(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1


def how_far(path: str) -> str:
    """What a program says in its file of progress; empty where it says nothing.

    The file belongs to the program's user: it is read as text and no further, and not through a link.
    """
    if not path:
        return ""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="utf-8") as file:
            report = json.loads(file.read(4096))
        doing, progress = str(report["doing"]), report["progress"]
        share = f" {float(progress):.0%}" if progress is not None else ""
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return "".join(character for character in doing[:120] if character.isprintable()) + share


class Ticker:
    """Says that a task runs and for how long: in place on a terminal, now and then in a log."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._lock = threading.Lock()
        self._name = ""
        self._progress = ""
        self._started = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def start(self, name: str) -> None:
        """A task begins."""
        with self._lock:
            self._name, self._progress, self._started = name, "", time.monotonic()

    def follow(self, path: str) -> None:
        """The task says in this file how far it is."""
        with self._lock:
            self._progress = path

    def stop(self) -> float:
        """The task is over; its line may be overwritten. Returns how long it took."""
        with self._lock:
            took = time.monotonic() - self._started
            if self._live and self._name:
                self._out.write("\r\033[K")
            self._name = ""
            return took

    def _run(self) -> None:
        told = 0.0
        while True:
            time.sleep(0.5 if self._live else 1.0)
            with self._lock:
                now = time.monotonic()
                if not self._name or now - self._started < 1:
                    continue
                step = how_far(self._progress) or self._name
                line = f"      ... {step} ({seconds(now - self._started)})"
                if self._live:
                    self._out.write(f"\r\033[K{line[:100]}")
                    self._out.flush()
                elif now - max(told, self._started) >= HEARTBEAT_S:
                    told = now
                    self._out.write(line + "\n")
                    self._out.flush()


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """The stdout callback of ansible.cfg."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "steps"

    def __init__(self) -> None:
        super().__init__()
        self._out = sys.stdout
        self._ticker = Ticker(self._out)
        self._log = self._open_log()
        self._began = time.monotonic()
        self._roles: list[Any] = []
        self._next_role = 0
        self._steps = 0
        self._many_hosts = False
        self._check = False
        self._changes = 0

    @staticmethod
    def _open_log() -> TextIO | None:
        path = os.environ.get("PIPECATAPP_BOOTSTRAP_LOG", "")
        return open_log(Path(path)) if path else None

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()
        self._note(text)

    def _note(self, text: str) -> None:
        if self._log is not None:
            self._log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            self._log.flush()

    # What Ansible calls -------------------------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """A run begins."""
        self._note(f"--- {playbook._file_name}")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins: its roles are the steps."""
        self._play = play
        self._roles = [role for role in play.get_roles() if not role.from_include]
        self._next_role = 0
        self._check = bool(play.check_mode)
        self._many_hosts = len(play.get_variable_manager()._inventory.get_hosts(play.hosts)) > 1
        self._note(f"play: {play.get_name()}")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool = False) -> None:
        """A task begins; with the first one of the next role, a step. What a role includes belongs to its step."""
        role = task._role
        names = [known.get_name() for known in self._roles]
        if role is not None and role.get_name() in names[self._next_role :]:
            self._next_role = names.index(role.get_name()) + 1
            self._steps += 1
            self._say(f"[{self._steps}] {self._about(role)}")
        self._note(f"task: {task.get_name()}")
        self._ticker.start(task.name or task.action)

    v2_playbook_on_handler_task_start = v2_playbook_on_task_start
    v2_playbook_on_cleanup_task_start = v2_playbook_on_task_start

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A host begins a task; the task's own start already told, but for the file in which it says how far it is."""
        for name, text in (task.vars or {}).items():
            if name.endswith("_progress_file"):
                self._ticker.follow(self._rendered(host, task, text))

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task succeeded on a host."""
        took = self._ticker.stop()
        changed = bool(result.result.get("changed", False))
        if changed:
            self._changes += 1
        if changed or took >= WORTH_A_LINE_S:
            verb = ("would change" if self._check else "changed") if changed else "ok"
            self._line(result, verb, took)
        else:
            self._note(f"  ok {took:.1f} s")
        if result.task.action.endswith("debug"):
            for one in result.result.get("results", [result.result]):
                shown = one.get("msg", "")
                for line in shown if isinstance(shown, list) else str(shown).splitlines():
                    self._say(f"      {line}")

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task had nothing to do, or is a command that a dry run leaves out."""
        self._ticker.stop()
        if "would have run" in str(result.result.get("msg", "")):
            self._changes += 1
            self._line(result, "would do", 0.0)
        else:
            self._note("  skipped")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed: the step, the reason, what to do."""
        took = self._ticker.stop()
        if ignore_errors:
            self._note(f"  failed, which does not matter here: {reasons(result.result)}")
            return
        self._line(result, "FAILED", took)
        items = [item for item in result.result.get("results", []) if item.get("failed")] or [result.result]
        ours = result.task.action.rpartition(".")[2] in ("assert", "fail")
        self._explain(result, [line for item in items for line in reasons(item, ours=ours)])

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host does not answer."""
        self._ticker.stop()
        self._line(result, "UNREACHABLE", 0.0)
        self._explain(result, reasons(result.result))

    def v2_runner_retry(self, result: Any) -> None:
        """A task tries again."""
        self._note(f"  again: {reasons(result.result)[-1:]}")

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """One item of a loop; the task's own line tells."""

    v2_runner_item_on_failed = v2_runner_item_on_ok
    v2_runner_item_on_skipped = v2_runner_item_on_ok

    def v2_on_file_diff(self, result: Any) -> None:
        """Differences go to the log, or to the screen with ``--verbose``."""
        differences = [item.get("diff") for item in result.result.get("results", [result.result])]
        for diff in differences:
            if diff and result.result.get("changed"):
                text = self._get_diff(diff)
                self._note(text)
                if self._display.verbosity:
                    self._out.write(text)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The last line."""
        self._ticker.stop()
        if stats.failures or stats.dark:
            self._note("failed")
            return
        took = seconds(time.monotonic() - self._began)
        if self._changes == 0:
            self._say(f"Nothing to change (changed=0, {took}).")
        elif self._check:
            self._say(f"Would change {self._changes} things (changed={self._changes}); nothing was touched.")
        else:
            self._say(f"Done: {self._changes} changes (changed={self._changes}) in {took}.")

    # How it looks -------------------------------------------------------------------------------------------------

    @staticmethod
    def _about(role: Any) -> str:
        meta = Path(role._role_path) / "meta/main.yaml"
        if not meta.is_file():
            return str(role.get_name())
        return str(yaml.safe_load(meta.read_text())["galaxy_info"]["description"])

    def _line(self, result: Any, verb: str, took: float) -> None:
        host = f"{result.host.get_name()}: " if self._many_hosts else ""
        time_taken = f" ({seconds(took)})" if took >= 1 else ""
        self._say(f"      {verb}: {host}{result.task.name or result.task.action}{time_taken}")

    def _explain(self, result: Any, why: list[str]) -> None:
        for line in why:
            self._say(f"      | {line}")
        for name, text in (result.task.vars or {}).items():
            if name.endswith("_next_step"):
                self._say(f"      What to do: {self._rendered(result.host, result.task, text)}")

    def _rendered(self, host: Any, task: Any, text: str) -> str:
        """The text with the task's variables put in."""
        variables = self._play.get_variable_manager().get_vars(play=self._play, host=host, task=task)
        return str(Templar(loader=None, variables=variables).template(text)).strip()
