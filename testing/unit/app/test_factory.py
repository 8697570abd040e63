"""From the settings to the parts: nothing is ignored, nothing is guessed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.agent_factory import (
    check_supported,
    create_agent,
    create_cluster,
    create_engine,
    create_mcp_servers,
    models_file,
    playbooks_folder,
    prompts_folder,
)
from pipecatapp.app import LateVoice, welcome
from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ConfigurationError, MissingExtraError
from pipecatapp.experts.resilient import ResilientChatModel
from pipecatapp.settings import Settings, load_settings
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
        ({"nomad_addr": "http://127.0.0.1:4646"}, "NOMAD_ADDR"),
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


async def test_without_consul_and_external_experts_there_is_no_cluster() -> None:
    assert create_cluster(load_settings(), RecordingSink()) is None


async def test_with_consul_experts_are_found_and_stand_in() -> None:
    settings = load_settings(consul_http_addr="127.0.0.1:8500", llm_model="starter")
    cluster = create_cluster(settings, RecordingSink())
    assert cluster is not None
    assert cluster.discovery is not None
    assert isinstance(create_engine(settings, cluster).model, ResilientChatModel)
    await cluster.stop()


async def test_an_edge_node_with_consul_needs_no_engine_of_its_own() -> None:
    settings = load_settings(node_role="edge", consul_http_addr="127.0.0.1:8500")
    check_supported(settings)
    cluster = create_cluster(settings, RecordingSink())
    assert cluster is not None
    engine = create_engine(settings, cluster)
    assert (engine.supervisor, engine.restarts) == (None, False)
    state = await engine.health.health()
    assert (state.ok, state.reason) == (False, "no expert that could answer is registered or well")
    await cluster.stop()


async def test_a_fixed_url_means_no_consul_at_all_but_external_experts_stay(external: Path, tmp_path: Path) -> None:
    url = {"llm_url": "http://core:8080/v1", "consul_http_addr": "127.0.0.1:8500"}
    assert create_cluster(load_settings(**url), RecordingSink()) is None
    settings = load_settings(**url, external_experts_file=external)
    with pytest.raises(ConfigurationError, match="WRITING_KEY"):
        create_cluster(settings, RecordingSink())
    (tmp_path / "none.env").write_text("WRITING_KEY=secret\n")  # the configuration file counts as environment
    cluster = create_cluster(settings, RecordingSink())
    assert cluster is not None
    assert cluster.discovery is None
    assert [expert.name for expert in cluster.experts.experts()] == ["writing"]
    await cluster.stop()


async def test_a_wrong_address_of_consul_is_named() -> None:
    with pytest.raises(ConfigurationError, match="CONSUL_HTTP_ADDR"):
        create_cluster(load_settings(consul_http_addr="ftp://consul"), RecordingSink())


def test_an_engine_at_our_own_port_is_ours(tmp_path: Path) -> None:
    engine = create_engine(load_settings(llm_url="http://127.0.0.1:8081/v1"))
    assert engine.restarts
    assert engine.supervisor is None
    assert (tmp_path / "engine/api.key").stat().st_mode & 0o077 == 0


def test_an_engine_elsewhere_is_not_ours(tmp_path: Path) -> None:
    engine = create_engine(load_settings(llm_url="http://core:8081/v1", llm_api_key="key"))
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


# --- the voice that comes later


class Sessions:
    """The outside of ``VoiceSessions``."""

    def __init__(self, gate: asyncio.Event) -> None:
        self.gate = gate
        self.served: list[str] = []
        self.closed = False

    @property
    def health_sources(self) -> list[Any]:
        class Fine:
            async def health(self) -> ComponentHealth:
                return ComponentHealth("stt", ok=True, reason="pocketsphinx")

        return [Fine()]

    async def warm_up(self) -> None:
        await self.gate.wait()

    async def serve(self, websocket: Any, conversation: str) -> None:
        self.served.append(conversation)

    async def aclose(self) -> None:
        self.closed = True


class Socket:
    def __init__(self) -> None:
        self.closed = 0

    async def close(self, code: int, reason: str) -> None:
        self.closed = code


async def test_a_session_waits_for_the_voice_to_be_loaded() -> None:
    gate = asyncio.Event()
    sessions = Sessions(gate)
    voice = LateVoice(lambda: sessions)  # type: ignore[arg-type,return-value]
    assert (await voice.stt.health()).reason == "it is still loading"
    loading = asyncio.create_task(voice.load())
    serving = asyncio.create_task(voice.serve(Socket(), "c"))  # type: ignore[arg-type]
    while not (await voice.stt.health()).ok:
        await asyncio.sleep(0)
    assert sessions.served == []
    gate.set()
    await asyncio.gather(loading, serving)
    assert sessions.served == ["c"]
    await voice.aclose()
    assert sessions.closed


@pytest.mark.parametrize("kind", [ConfigurationError, RuntimeError])
async def test_a_voice_that_cannot_be_loaded_is_told_and_closes_sessions(kind: type[Exception]) -> None:
    def broken() -> Any:
        raise kind("nothing can speak here")

    voice = LateVoice(broken)
    await voice.load()
    state = await voice.tts.health()
    assert (state.component, state.ok, state.reason) == ("tts", False, "nothing can speak here")
    socket = Socket()
    await voice.serve(socket, "c")  # type: ignore[arg-type]
    assert socket.closed == 1011
    await voice.aclose()


def test_the_token_is_shown_to_a_person_and_not_to_a_log() -> None:
    links = ["https://pc:8443/?token=secret", "http://localhost:8000/?token=secret"]
    assert welcome(links, to_person=True) == f"Open {links[0]}\n  or {links[1]}"
    logged = welcome(links, to_person=False)
    assert "secret" not in logged
    assert "https://pc:8443/" in logged
    assert "pipecatapp link" in logged


# --- servers of the Model Context Protocol


def test_without_a_file_there_are_no_servers_of_others() -> None:
    assert create_mcp_servers(load_settings()) is None


def test_a_file_of_servers_that_is_named_must_be_right(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    with pytest.raises(ConfigurationError, match=r"mcp\.json cannot be read"):
        create_mcp_servers(load_settings(mcp_servers_file=path))
    path.write_text('{"mcpServers": {"mcp": {"command": "x"}}}')
    with pytest.raises(ConfigurationError, match=r"mcpServers\.mcp: this name belongs to the agent's own tools"):
        create_mcp_servers(load_settings(mcp_servers_file=path))
    path.write_text('{"mcpServers": {}}')
    assert create_mcp_servers(load_settings(mcp_servers_file=path)) is None
    path.write_text('{"mcpServers": {"files": {"command": "x"}}}')
    assert create_mcp_servers(load_settings(mcp_servers_file=path)) is not None


def test_the_playbooks_are_those_of_the_setting_or_of_this_checkout(tmp_path: Path) -> None:
    assert playbooks_folder(Settings(state_dir=tmp_path, playbooks_dir=tmp_path)) == tmp_path
    found = playbooks_folder(Settings(state_dir=tmp_path))
    assert found is not None
    assert (found / "playbook.yaml").is_file()


async def test_tools_that_act_on_machines_are_there_or_off_with_a_reason(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, llm_url="http://127.0.0.1:9/v1", code_sandbox="none")  # type: ignore[arg-type]

    async def health() -> Sequence[ComponentHealth]:
        return []

    agent = create_agent(settings, create_engine(settings), RecordingSink(), health)
    names = {spec.name for spec in agent.tools}
    assert {"ssh.run_command", "power.set_idle_threshold"} <= names
    assert "code_runner.run_python_code" not in names
    assert agent.off["code_runner.run_python_code"] == "CODE_SANDBOX=none turns it off"
    await agent.aclose()
