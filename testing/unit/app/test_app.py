"""From the settings to the parts: nothing is ignored, nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipecatapp.app import ROLES, App, Node, check_supported
from pipecatapp.cluster.part import create as create_cluster
from pipecatapp.errors import ConfigurationError, MissingExtraError, StartError
from pipecatapp.experts.part import create as create_experts
from pipecatapp.experts.resilient import ResilientChatModel
from pipecatapp.llm.part import create as create_engine
from pipecatapp.llm.part import expert_model
from pipecatapp.parts import Part
from pipecatapp.paths import models_file, playbooks_folder, prompts_folder
from pipecatapp.settings import Settings, load_settings
from pipecatapp.tools.part import create_mcp_servers
from testing.fakes.agent_harness import RecordingSink

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    monkeypatch.setenv("STATE_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tool_mode": "remote", "tool_server_url": "http://tools"}, "TOOL_MODE=remote"),
        ({"node_role": "core"}, "NODE_ROLE=core"),
    ],
)
def test_what_this_release_cannot_do_is_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        check_supported(load_settings(**settings))


def test_the_defaults_are_supported() -> None:
    check_supported(load_settings())
    check_supported(load_settings(node_role="edge", llm_url="http://core:8080/v1"))


@pytest.fixture
def external(tmp_path: Path) -> Path:
    file = tmp_path / "experts.yaml"
    file.write_text('[{"name": "writing", "url": "https://llm.example/v1", "api_key_env": "WRITING_KEY"}]')
    return file


async def test_without_consul_and_external_experts_there_are_none() -> None:
    node = Node(load_settings())
    assert (node.experts, node.routing, node.cluster) == (None, None, None)


async def test_with_consul_experts_are_found_and_stand_in() -> None:
    node = Node(load_settings(consul_http_addr="127.0.0.1:8500", llm_model="starter"))
    assert node.cluster is not None
    assert isinstance(node.engine.model, ResilientChatModel)
    assert node.engine.supervisor is not None


async def test_an_edge_node_with_consul_needs_no_engine_of_its_own() -> None:
    node = Node(load_settings(node_role="edge", consul_http_addr="127.0.0.1:8500"))
    assert (node.engine.supervisor, node.engine.restarts) == (None, False)
    state = await node.engine.health["engine"].health()
    assert (state.ok, state.reason) == (False, "no expert that could answer is registered or well")


async def test_a_fixed_url_means_no_consul_at_all_but_external_experts_stay(external: Path, tmp_path: Path) -> None:
    url = {"llm_url": "http://core:8080/v1", "consul_http_addr": "127.0.0.1:8500"}
    assert Node(load_settings(**url)).experts is None
    settings = load_settings(**url, external_experts_file=external)
    with pytest.raises(ConfigurationError, match="WRITING_KEY"):
        create_experts(settings, RecordingSink(), expert_model(settings))
    (tmp_path / "none.env").write_text("WRITING_KEY=secret\n")  # the configuration file counts as environment
    node = Node(settings)
    assert node.experts is not None
    assert node.cluster is None
    assert [expert.name for expert in node.experts.directory.experts()] == ["writing"]


async def test_a_wrong_address_of_consul_is_named() -> None:
    with pytest.raises(ConfigurationError, match="CONSUL_HTTP_ADDR"):
        create_cluster(load_settings(consul_http_addr="ftp://consul"), lambda *_: None)


def test_an_engine_at_our_own_port_is_ours(tmp_path: Path) -> None:
    engine = create_engine(load_settings(llm_url="http://127.0.0.1:8081/v1"))
    assert engine is not None
    assert engine.restarts
    assert engine.supervisor is None
    assert (tmp_path / "engine/api.key").stat().st_mode & 0o077 == 0


def test_an_engine_elsewhere_is_not_ours(tmp_path: Path) -> None:
    engine = create_engine(load_settings(llm_url="http://core:8081/v1", llm_api_key="key"))
    assert engine is not None
    assert not engine.restarts
    assert not (tmp_path / "engine").exists()


def test_a_model_in_the_process_needs_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipecatapp.llm.inprocess.find_spec", lambda _: None)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/starter.gguf").write_bytes(b"GGUF")
    with pytest.raises(MissingExtraError, match="pipecatapp extras install llama-cpp"):
        create_engine(load_settings(run_local_llm=True))


def test_the_personas_are_found_or_missed_with_advice(tmp_path: Path) -> None:
    assert (prompts_folder(load_settings()) / "router.txt").is_file()
    with pytest.raises(ConfigurationError, match="PROMPTS_DIR"):
        prompts_folder(load_settings(prompts_dir=tmp_path / "nowhere"))


def test_the_catalogue_is_the_one_of_the_settings(tmp_path: Path) -> None:
    assert models_file(load_settings()).name == "models.yaml"
    assert models_file(load_settings(models_file=tmp_path / "mine.yaml")) == tmp_path / "mine.yaml"


# --- servers of the Model Context Protocol


def test_without_a_file_there_are_no_servers_of_others() -> None:
    assert create_mcp_servers(load_settings()) is None


def test_a_file_of_servers_that_is_named_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    with pytest.raises(ConfigurationError, match=r"mcp\.json cannot be read"):
        create_mcp_servers(load_settings(mcp_servers_file=path))
    path.write_text('{"mcpServers": {}}')
    assert create_mcp_servers(load_settings(mcp_servers_file=path)) is None
    path.write_text('{"mcpServers": {"files": {"command": "x"}}}')
    assert create_mcp_servers(load_settings(mcp_servers_file=path)) is not None


async def test_what_is_wrong_in_a_file_of_servers_is_off_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"mcp": {"command": "x"}}}')
    servers = create_mcp_servers(load_settings(mcp_servers_file=path))
    assert servers is not None
    reason = "in mcp.json: mcp is a group of the agent's own tools; give it another name"
    assert servers.off() == {"mcp": reason}
    health = await servers.health()
    assert (health.ok, health.vital, health.reason) == (False, False, f"mcp: {reason}")


def test_the_playbooks_are_those_of_the_setting_or_of_this_checkout(tmp_path: Path) -> None:
    assert playbooks_folder(Settings(state_dir=tmp_path, playbooks_dir=tmp_path)) == tmp_path
    found = playbooks_folder(Settings(state_dir=tmp_path))
    assert found is not None
    assert (found / "playbook.yaml").is_file()


async def test_tools_that_act_on_machines_are_there_or_off_with_a_reason(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, llm_url="http://127.0.0.1:9/v1", code_sandbox="none")  # type: ignore[arg-type]
    agent = Node(settings).twin.agent
    names = {spec.name for spec in agent.tools}
    assert {"ssh.run_command", "power.set_idle_threshold"} <= names
    assert "code_runner.run_python_code" not in names
    assert agent.off["code_runner.run_python_code"] == "CODE_SANDBOX=none turns it off"
    await agent.aclose()


# --- starting and stopping


class Counting(Part):
    """Writes down what is done with it."""

    def __init__(self, name: str, log: list[str], *, breaks: Exception | None = None) -> None:
        self._name, self._log, self._breaks = name, log, breaks

    async def start(self) -> None:
        self._log.append(f"start {self._name}")
        if self._breaks is not None:
            raise self._breaks

    async def stop(self) -> None:
        self._log.append(f"stop {self._name}")
        if self._name == "grudging":
            raise OSError("no")


class House(Node):
    """A node of parts that the test wrote."""

    def __init__(self, **parts: Part | None) -> None:
        super().__init__(load_settings())
        self.__dict__ |= parts


async def test_parts_start_in_order_and_stop_the_other_way_round_even_where_one_will_not() -> None:
    log: list[str] = []
    node = House(one=Counting("one", log), two=Counting("grudging", log), none=None, three=Counting("three", log))
    app = App(node, ["one", "two", "none", "three"])
    assert log == []
    await app.start()
    await app.stop()
    assert log == ["start one", "start grudging", "start three", "stop three", "stop grudging", "stop one"]
    await app.stop()
    assert len(log) == 6


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ConfigurationError("WEB_PORT is taken"), ConfigurationError, "^WEB_PORT is taken$"),
        (RuntimeError("no such thing"), StartError, "the part 'two' cannot be started: no such thing"),
        (KeyError(), StartError, "the part 'two' cannot be started: KeyError"),
    ],
)
async def test_a_part_that_cannot_start_is_named_and_leaves_no_other_running(
    error: Exception, kind: type[Exception], text: str
) -> None:
    log: list[str] = []
    node = House(one=Counting("one", log), two=Counting("two", log, breaks=error), three=Counting("three", log))
    with pytest.raises(kind, match=text):
        await App(node, ["one", "two", "three"]).start()
    assert log == ["start one", "start two", "stop two", "stop one"]


@pytest.mark.parametrize("role", ROLES)
def test_every_part_of_a_role_can_be_made_and_starts_after_what_it_answers_for(role: str, tmp_path: Path) -> None:
    node = Node(load_settings(node_role=role, llm_url="http://127.0.0.1:9/v1"))
    names = ROLES[role]
    assert all(getattr(node, name) is None or isinstance(getattr(node, name), Part) for name in names)
    # The page is there before anything that takes long; a turn ends before what it uses.
    assert names.index("web") < names.index("engine")
    assert names.index("turns") > max(names.index(name) for name in ("engine", "memory", "tools", "twin", "voice"))
