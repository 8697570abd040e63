"""Root writes nothing where the service user may: a planted link stays a link, a race wins nothing."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
# The service user of these tests.
USER = 54321


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away; run scripts/test as root")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def adopt() -> Callable[..., list[str]]:
    function: Callable[..., list[str]] = load("ansible/plugins/modules/adopt.py").adopt
    return function


@pytest.fixture
def state(place: Path, root: None) -> Path:
    """A folder of the service user, with something that root left in it."""
    folder = place / "state"
    (folder / "conversations").mkdir(parents=True)
    os.chown(folder, USER, USER)
    (folder / "conversations/one.jsonl").write_text("{}")
    (folder / "token").write_text("secret")
    return folder


@pytest.fixture
def secret(place: Path) -> Path:
    """A file that only root may read."""
    path = place / "shadow"
    path.write_text("root:secret")
    path.chmod(0o600)
    return path


# What root left in the state folder ---------------------------------------------------------------------------------


def test_what_root_left_becomes_the_agents(state: Path, adopt: Callable[..., list[str]]) -> None:
    assert adopt(str(state), USER, USER) == ["conversations", "conversations/one.jsonl", "token"]
    assert {path.stat().st_uid for path in state.rglob("*")} == {USER}
    assert adopt(str(state), USER, USER) == []


def test_a_dry_run_only_tells(state: Path, adopt: Callable[..., list[str]]) -> None:
    assert "token" in adopt(str(state), USER, USER, dry=True)
    assert (state / "token").stat().st_uid == 0


def test_what_belongs_to_others_stays_theirs(state: Path, adopt: Callable[..., list[str]]) -> None:
    os.chown(state / "token", 4242, 4242)
    assert "token" not in adopt(str(state), USER, USER)
    assert (state / "token").stat().st_uid == 4242


def test_nothing_is_given_away_through_a_link(state: Path, secret: Path, adopt: Callable[..., list[str]]) -> None:
    (state / "file").symlink_to(secret)
    (state / "folder").symlink_to(secret.parent)
    os.link(secret, state / "second-name")
    assert not {"file", "folder", "folder/shadow", "second-name"} & set(adopt(str(state), USER, USER))
    assert secret.stat().st_uid == 0


def test_a_pipe_does_not_hold_it_up(state: Path, adopt: Callable[..., list[str]]) -> None:
    os.mkfifo(state / "pipe")
    assert "pipe" not in adopt(str(state), USER, USER)


SWAP = """
import pathlib, sys
name, link, plain, secret = map(pathlib.Path, sys.argv[1:])
while True:
    plain.write_text("root left this")
    plain.replace(name)
    link.symlink_to(secret)
    link.replace(name)
"""


@pytest.fixture
def swapped(state: Path, secret: Path) -> Iterator[Path]:
    """A name that is a file of root's and a link to the secret in turn, as quickly as it goes."""
    name = state / "aaa"
    places = [name, state.parent / "link", state.parent / "plain", secret]
    with subprocess.Popen([sys.executable, "-c", SWAP, *places]) as swapper:
        yield name
        swapper.kill()


def test_a_race_wins_nothing(state: Path, secret: Path, swapped: Path, adopt: Callable[..., list[str]]) -> None:
    given = tried = 0
    while given < 100 or tried < 2000:
        given += swapped.name in adopt(str(state), USER, USER)
        tried += 1
        assert secret.stat().st_uid == 0, f"given away after {tried} tries"


# The log of the installation ------------------------------------------------------------------------------------------


def opened_log(path: Path) -> subprocess.CompletedProcess[str]:
    """The callback of the playbook opens its log and writes a line."""
    program = "import pathlib, sys, steps; steps.open_log(pathlib.Path(sys.argv[1])).write('chosen words\\n')"
    return subprocess.run(
        [ROOT / ".cache/provision/bin/python", "-c", program, path],
        env={**os.environ, "PYTHONPATH": str(ROOT / "ansible/plugins/callback")},
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_link_in_the_place_of_the_log_is_not_followed(tmp_path: Path, secret: Path) -> None:
    log = tmp_path / "log/bootstrap.log"
    log.parent.mkdir(mode=0o755)
    log.symlink_to(secret)
    opened_log(log)
    assert secret.read_text() == "root:secret"
    assert log.read_text() == "chosen words\n"
    assert not log.is_symlink()


def test_a_second_name_in_the_place_of_the_log_is_not_written_to(place: Path, secret: Path) -> None:
    log = place / "log/bootstrap.log"
    log.parent.mkdir(mode=0o755)
    os.link(secret, log)
    opened_log(log)
    assert secret.read_text() == "root:secret"


def test_a_log_of_ours_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log/bootstrap.log"
    log.parent.mkdir(mode=0o755)
    opened_log(log)
    opened_log(log)
    assert log.read_text() == "chosen words\n" * 2
    assert stat.S_IMODE(log.stat().st_mode) == 0o640


def test_there_is_no_log_where_somebody_else_may_write(tmp_path: Path, root: None) -> None:
    log = tmp_path / "log/bootstrap.log"
    log.parent.mkdir(mode=0o755)
    os.chown(log.parent, USER, USER)
    done = opened_log(log)
    assert "others may write" in done.stderr
    assert not log.exists()


def test_what_a_program_says_of_its_progress_is_words_and_no_more(place: Path, secret: Path) -> None:
    program = "import sys, steps; print(repr(steps.how_far(sys.argv[1])))"

    def how_far(path: Path) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "ansible/plugins/callback")}
        python = ROOT / ".cache/provision/bin/python"
        done = subprocess.run(
            [python, "-c", program, path], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    said = place / "prepare.json"
    said.write_text('{"doing": "building\\u001b[2J, step 3 of 10", "progress": 0.3, "pid": 1}')
    assert how_far(said) == "'building[2J, step 3 of 10 30%'"
    said.write_text('{"doing"')
    assert how_far(said) == "''"
    said.unlink()
    said.symlink_to(secret)
    assert how_far(said) == "''"


# The command line -----------------------------------------------------------------------------------------------------


# Root's own Python may lie where nobody else can read it: everything is loaded by a first run in a folder of root's.
PROGRAM = """
import os, sys, tempfile
from pipecatapp.cli.main import main
agents = os.environ["STATE_DIR"]
with tempfile.TemporaryDirectory() as os.environ["STATE_DIR"]:
    main(sys.argv[1:])
os.environ["STATE_DIR"] = agents
sys.exit(main(sys.argv[1:]))
"""


def as_root(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STATE_DIR": str(state), "PIPECATAPP_CONFIG": "/nonexistent"}
    command = [sys.executable, "-c", PROGRAM, *words]
    return subprocess.run(
        command, env=environment | {"PYTHONPATH": f"{ROOT}/src"}, cwd="/", capture_output=True, text=True, check=False
    )


@pytest.fixture
def agents_folder(state: Path) -> Path:
    """The state folder of a user that exists; nothing of root's is in it."""
    import pwd

    user = pwd.getpwnam("daemon")
    for path in (state, *state.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    return state


def test_what_root_asks_for_is_done_as_the_agent(agents_folder: Path) -> None:
    done = as_root(agents_folder, "ssh", "key")
    assert done.returncode == 0, done.stderr
    owner = agents_folder.stat().st_uid
    assert {path.stat().st_uid for path in agents_folder.rglob("*")} == {owner}


def test_root_follows_no_link_out_of_the_state_folder(agents_folder: Path, place: Path) -> None:
    outside = place / "outside"
    outside.mkdir(mode=0o755)
    (agents_folder / "ssh").symlink_to(outside)
    done = as_root(agents_folder, "ssh", "key")
    assert "Permission denied" in done.stderr
    assert list(outside.iterdir()) == []


def test_a_folder_of_root_is_roots_own_business(tmp_path: Path, root: None) -> None:
    done = as_root(tmp_path, "ssh", "key")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ssh").stat().st_uid == 0


def test_root_does_not_run_the_pip_of_the_folder_it_stands_in(tmp_path: Path) -> None:
    trap = tmp_path / "pip"
    trap.mkdir()
    (trap / "__init__.py").write_text("")
    (trap / "__main__.py").write_text("import pathlib; pathlib.Path('sprung').write_text('')")
    program = "from pipecatapp.extras import install; install('whisper')"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}/src",
        "PYTHONSAFEPATH": "1",
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
    }
    del environment["PYTHONSAFEPATH"]
    subprocess.run(
        [ROOT / ".cache/extras/bin/python", "-c", f"import sys; sys.path.pop(0); {program}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert not (tmp_path / "sprung").exists()
