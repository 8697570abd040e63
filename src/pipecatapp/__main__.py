"""The command ``pipecatapp``. Every subcommand imports what it needs when it runs: ``--help`` is quick on an old PC."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipecatapp import __version__
from pipecatapp.errors import ConfigurationError, PipecatAppError

if TYPE_CHECKING:
    from pipecatapp.cli.memory import MemoryClient
    from pipecatapp.tools.ssh_folder import SshFolder

OK, FAILED, USAGE = 0, 1, 2

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code: 0 done, 1 failed, 2 wrong usage or configuration."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = build_parser(arguments).parse_args(arguments)
    command: Command = options.command
    try:
        if command not in (_extras_list, _extras_install):  # the extras belong to root
            _leave_root()
        code = command(options)
        sys.stdout.flush()  # here a reader that is gone can still be told from a failure
        return code
    except ConfigurationError as error:
        print(f"pipecatapp: {error}", file=sys.stderr)
        return USAGE
    except PipecatAppError as error:
        print(f"pipecatapp: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, grep -q) has seen enough. Python flushes once more at its end: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _leave_root() -> None:
    from pipecatapp.cli.privileges import become_owner
    from pipecatapp.settings import load_settings

    if os.geteuid() == 0:
        become_owner(load_settings().state_dir)


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser. ``arguments`` decide which commands it knows in detail (docs/reference/cli.md is made from it)."""
    parser = argparse.ArgumentParser(
        prog="pipecatapp",
        description="A private voice assistant on this PC. Without a command: serve.",
        epilog="example: pipecatapp ask 'What can you do?'",
    )
    parser.add_argument("--version", action="version", version=f"pipecatapp {__version__}")
    parser.set_defaults(command=_serve)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _command(commands, "serve", _serve, "run the agent and Mission Control", "WEB_PORT=8080 pipecatapp serve")
    ask = _command(
        commands, "ask", _ask, "ask the running agent, print its answer", "pipecatapp ask 'What time is it?'"
    )
    ask.add_argument("text", help="the request")
    ask.add_argument("--conversation", default="", help="go on with this conversation (default: a new one)")
    ask.add_argument("--url", default="", help="another node's Mission Control (default: the one on this PC)")
    ask.add_argument("--timeout", type=float, default=120.0, help="seconds to wait for the answer (default: 120)")
    link = _command(commands, "link", _link, "print the links that open Mission Control", "pipecatapp link")
    link.add_argument("--mcp", action="store_true", help="what another program needs to use the agent's tools")
    status = _command(commands, "status", _status, "say which components work", "pipecatapp status")
    status.add_argument("--json", action="store_true", help="as JSON")
    _approvals(commands)
    _models_and_engine(commands, arguments)
    _memory(commands)
    _extras(commands)
    _ssh(commands)
    settings = _command(commands, "settings", _settings, "print the settings that hold", "pipecatapp settings")
    settings.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Command, text: str, example: str
) -> argparse.ArgumentParser:
    """Add a command whose help ends with an example."""
    parser = commands.add_parser(
        name, help=text, description=f"{text[:1].upper()}{text[1:]}.", epilog=f"example: {example}"
    )
    parser.set_defaults(command=run)
    return parser


def _group(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, example: str
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """Add a command that has commands of its own."""
    parser = commands.add_parser(
        name, help=text, description=f"{text[:1].upper()}{text[1:]}.", epilog=f"example: {example}"
    )
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _models_and_engine(commands: argparse._SubParsersAction[argparse.ArgumentParser], arguments: Sequence[str]) -> None:
    """Their parsers come with what they do: they are only loaded for them."""
    if arguments[:1] in (["models"], ["engine"]):
        from pipecatapp.cli.llm import add_subcommands

        add_subcommands(commands)
        for parser in commands.choices.values():
            if parser.get_default("command") is None:
                parser.set_defaults(command=_model_command)
        return
    commands.add_parser("models", help="list, pull and verify models")
    commands.add_parser("engine", help="run, fetch or build the engine")


def _approvals(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = _group(
        commands, "approvals", "actions that wait for a yes: list and answer them", "pipecatapp approvals list"
    )
    waiting = _command(group, "list", _approvals_list, "print the actions that wait", "pipecatapp approvals list")
    waiting.add_argument("--json", action="store_true", help="as JSON")
    for name, text in (("approve", "let an action be done, once"), ("refuse", "let an action not be done")):
        answer = _command(group, name, _approvals_answer, text, f"pipecatapp approvals {name} 3f0c")
        answer.add_argument("id", help="its id in `pipecatapp approvals list`, or how it begins")
        answer.add_argument("--yes", action="store_true", help="do not ask again")
        answer.set_defaults(decision=name)
    for parser in group.choices.values():
        parser.add_argument("--url", default="", help="another node's Mission Control (default: the one on this PC)")


def _memory(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = _group(
        commands, "memory", "what the running agent remembers of people", "pipecatapp memory search 'spare key'"
    )
    example = "pipecatapp memory list --kind told"
    shown = [_command(group, "list", _memory_show, "list the newest facts", example)]
    example = "pipecatapp memory search 'spare key'"
    shown.append(_command(group, "search", _memory_show, "find facts, the best first", example))
    shown[0].set_defaults(query="")
    shown[1].add_argument("query", help="what they are about")
    for parser in shown:
        parser.add_argument("--kind", default="", help="only those of this kind (default: all)")
        parser.add_argument("--limit", type=int, default=50, help="how many at most (default: 50)")
    example = "pipecatapp memory export facts.jsonl"
    export = _command(group, "export", _memory_export, "write all facts to a file, as JSON Lines", example)
    export.add_argument("file", help="where to; `-`: print them")
    example = "pipecatapp memory import facts.jsonl"
    importing = _command(group, "import", _memory_import, "add the facts of an export", example)
    importing.add_argument("file", help="which; `-`: standard input")
    forget = _command(group, "forget", _memory_forget, "forget a fact for good", "pipecatapp memory forget 17")
    forget.add_argument("id", help="its number in `pipecatapp memory list`")
    for parser in (*shown, export, importing, forget):
        parser.add_argument("--url", default="", help="another node's Mission Control (default: the one on this PC)")


def _extras(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = _group(commands, "extras", "optional parts: list and install them", "pipecatapp extras install whisper")
    _command(group, "list", _extras_list, "list the extras and whether they are installed", "pipecatapp extras list")
    install = _command(
        group,
        "install",
        _extras_install,
        "install an extra with its locked versions",
        "pipecatapp extras install piper",
    )
    install.add_argument("name", help="its name in `pipecatapp extras list`")


def _ssh(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = _group(commands, "ssh", "what ssh.run_command logs in with", "pipecatapp ssh key")
    _command(group, "key", _ssh_key, "print the public key to install on other machines", "pipecatapp ssh key")
    password = _command(
        group, "password", _ssh_password, "store a password, asked for or read", "pipecatapp ssh password pi@kitchen"
    )
    password.add_argument("host", help="user@host, an alias, or user@host:port")
    forget = _command(group, "forget", _ssh_forget, "forget the key of a host", "pipecatapp ssh forget node3")
    forget.add_argument("host", help="the host, or host:port")


def _serve(_: argparse.Namespace) -> int:
    from pipecatapp.cli.serve import run
    from pipecatapp.settings import load_settings

    return run(load_settings())


def _ask(options: argparse.Namespace) -> int:
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    return Client.of(load_settings(), options.url).ask(options.text, options.conversation, options.timeout)


def _link(options: argparse.Namespace) -> int:
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    client = Client.of(load_settings())
    return client.program_link() if options.mcp else client.link()


def _status(options: argparse.Namespace) -> int:
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    return Client.of(load_settings()).status(as_json=options.json)


def _approvals_list(options: argparse.Namespace) -> int:
    from pipecatapp.cli.approvals import ApprovalClient
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    return ApprovalClient(Client.of(load_settings(), options.url)).show(as_json=options.json)


def _approvals_answer(options: argparse.Namespace) -> int:
    from pipecatapp.cli.approvals import ApprovalClient
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    commands = ApprovalClient(Client.of(load_settings(), options.url))
    return commands.answer(options.id, options.decision, sure=options.yes)


def _memory_show(options: argparse.Namespace) -> int:
    return _memory_client(options).show(options.query, options.kind, max(1, options.limit))


def _memory_export(options: argparse.Namespace) -> int:
    return _memory_client(options).export(options.file)


def _memory_import(options: argparse.Namespace) -> int:
    return _memory_client(options).import_file(options.file)


def _memory_forget(options: argparse.Namespace) -> int:
    return _memory_client(options).forget(options.id)


def _memory_client(options: argparse.Namespace) -> MemoryClient:
    from pipecatapp.cli.client import Client
    from pipecatapp.cli.memory import MemoryClient
    from pipecatapp.settings import load_settings

    return MemoryClient(Client.of(load_settings(), options.url))


def _model_command(options: argparse.Namespace) -> int:
    from pipecatapp.cli.llm import Places
    from pipecatapp.paths import models_file
    from pipecatapp.settings import load_settings

    settings = load_settings()
    places = Places(
        engines=settings.engines,
        models=settings.models,
        catalogue=models_file(settings),
        llm_model=settings.llm_model,
        host=settings.engine_host,
        port=settings.engine_port,
        build=settings.builds_engine,
    )
    run: Callable[[argparse.Namespace, Places], int] = options.run
    return run(options, places)


def _settings(options: argparse.Namespace) -> int:
    from pipecatapp.settings import load_settings, printable

    print(printable(load_settings(), as_json=options.json))
    return OK


def _extras_list(_: argparse.Namespace) -> int:
    from pipecatapp.extras import describe

    print(describe())
    return OK


def _extras_install(options: argparse.Namespace) -> int:
    from pipecatapp.extras import install

    return install(options.name)


def _ssh_key(_: argparse.Namespace) -> int:
    from pipecatapp.cli.ssh import print_key

    return print_key(_ssh_folder())


def _ssh_password(options: argparse.Namespace) -> int:
    from pipecatapp.cli.ssh import store_password

    return store_password(_ssh_folder(), options.host)


def _ssh_forget(options: argparse.Namespace) -> int:
    from pipecatapp.cli.ssh import forget_host

    return forget_host(_ssh_folder(), options.host)


def _ssh_folder() -> SshFolder:
    from pipecatapp.settings import load_settings
    from pipecatapp.tools.ssh_folder import SshFolder

    return SshFolder(load_settings().ssh)


if __name__ == "__main__":
    sys.exit(main())
