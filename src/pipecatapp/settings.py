"""Every setting, from the environment or ``/etc/pipecatapp/pipecatapp.env``; validated together, then frozen.

docs/reference/settings.md is generated from this file. Besides ``app`` and ``cli`` only the ``part.py`` of each package
reads it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import Field, HttpUrl, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipecatapp.errors import ConfigurationError

CONFIG_FILE = Path("/etc/pipecatapp/pipecatapp.env")
# Beside it, written by the role that joins this PC to a cluster.
CLUSTER_FILE = "cluster.env"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Settings(BaseSettings):
    """The configuration of one process. Names are those of the environment, in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    node_role: Literal["standalone", "edge", "core"] = Field(
        "standalone", description="`standalone`: everything here. `edge`: the LLM is elsewhere. `core`: serves others."
    )
    llm_url: HttpUrl | None = Field(
        None,
        description="OpenAI-compatible base URL, e.g. `http://core:8080/v1`. Another than this PC's: no discovery.",
    )
    llm_model: str = Field("auto", description="Name in `group_vars/models.yaml`, a path to a GGUF, or `auto`.")
    llm_api_key: str = Field("", description="Bearer token for `LLM_URL`, if it wants one.")
    llm_prompt_style: Literal["auto", "full", "compact"] = Field(
        "auto", description="`compact` is the prompt that the starter model was trained on; `auto` asks the engine."
    )
    run_local_llm: bool = Field(
        False, description="Run the model inside this process with llama-cpp-python instead of a llama-server."
    )
    engine_host: str = Field("127.0.0.1", description="Where our own llama-server listens.")
    engine_port: int = Field(8081, ge=1, le=65535, description="Port of our own llama-server.")
    engine_build: Literal["auto", "always", "never"] = Field(
        "auto", description="Compile an engine for this CPU in the background; `auto`: where the CPU has no AVX2."
    )
    engine_packages: str = Field(
        "",
        description="Folders and URLs, comma separated, with the engine's Debian packages; asked before the mirrors.",
    )
    engine_dir: Path | None = Field(None, description="Where engines are unpacked and built, or `STATE_DIR/engine`.")
    models_dir: Path | None = Field(None, description="Where models lie; default `STATE_DIR/models`.")
    models_file: Path | None = Field(None, description="The catalogue; default the installed `models.yaml`.")
    tool_mode: Literal["local", "remote"] = Field("local", description="Heavy tools here or on the tool server.")
    tool_server_url: HttpUrl | None = Field(None, description="Base URL of the tool server for `TOOL_MODE=remote`.")
    stt_service: str = Field("auto", description="Speech recognition by name, or the best that is installed.")
    tts_service: str = Field("auto", description="Speech synthesis by name, or the best that is installed.")
    tts_voice: str = Field("", description="Voice of the TTS service; empty: its default.")
    whispercpp_url: HttpUrl | None = Field(
        None, description="Base URL of a whisper.cpp server; empty: `whisper-server` on the PATH is run."
    )
    piper_url: HttpUrl | None = Field(None, description="Base URL of Piper's own server for `TTS_SERVICE=piper-http`.")
    melotts_url: HttpUrl | None = Field(None, description="Base URL of a MeloTTS server for `TTS_SERVICE=melotts`.")
    vision_service: str = Field("none", description="Object detection by name, or `none`.")
    camera: str = Field("0", description="What the camera is: a device number, a video file or picture, or a URL.")
    moondream_url: HttpUrl | None = Field(
        None, description="A llama-server with Moondream2 and its projector, which describes what the camera sees."
    )
    embedding_service: str = Field(
        "auto", description="What finds memories by meaning, by name; `auto`: MiniLM where its model lies; or `none`."
    )
    code_sandbox: Literal["auto", "docker", "bubblewrap", "none"] = Field(
        "auto", description="Where `code_runner` runs programs; `auto`: Docker where it answers, else bubblewrap."
    )
    code_sandbox_image: str = Field("python:3.13-slim", description="The image for `CODE_SANDBOX=docker`.")
    playbooks_dir: Path | None = Field(
        None, description="The playbooks that `ansible.run_playbook` may run; default: those of this program."
    )
    node_admin_socket: Path = Field(
        Path("/run/pipecatapp-node-admin.sock"), description="Where the unit listens that joins and wakes machines."
    )
    ssh_dir: Path | None = Field(None, description="Keys, passwords and known hosts; default `STATE_DIR/ssh`.")
    browser_executable: str = Field("", description="The Chromium of `web_browser`; empty: the one on the PATH.")
    browser_allow_hosts: str = Field(
        "", description="Private hosts that `web_browser` may open, comma separated; others in the house are refused."
    )
    power_policy_file: Path | None = Field(
        None, description="What the power agent reads; default `STATE_DIR/power_policy.json`."
    )
    power_socket: Path = Field(
        Path("/run/pipecatapp-power/control.sock"), description="Where the power agent of this machine listens."
    )
    mcp_servers_file: Path | None = Field(
        None, description="Servers of the Model Context Protocol; default `/etc/pipecatapp/mcp.json`, if it is there."
    )
    commands_file: Path | None = Field(
        None,
        description="Your own words for what the agent shall do; default `/etc/pipecatapp/commands.yaml`, if there.",
    )
    audio_transport: Literal["browser", "local"] = Field(
        "browser", description="`local` uses the microphone and speaker of this node."
    )
    turn_detection: Literal["auto", "smart", "timeout"] = Field(
        "auto", description="End of turn by Smart Turn or by a pause; `auto`: Smart Turn where the CPU is quick enough."
    )
    prompts_dir: Path | None = Field(None, description="Personas (`router.txt`, `<expert>_expert.txt`).")
    state_dir: Path = Field(
        Path("/var/lib/pipecatapp"), description="Everything that must survive: conversations, memory, token, CA."
    )
    ring_minutes: int = Field(
        10, ge=1, le=120, description="How long a timer, an alarm or a reminder rings before it counts as missed."
    )
    conversation_days: int = Field(
        365, ge=0, le=36_500, description="Days after which what was said is erased from the disk; 0: never."
    )
    web_host: str = Field("::", description="Address that Mission Control listens on; `::`: all, IPv4 and IPv6.")
    web_port: int = Field(8000, ge=0, le=65535, description="Plain HTTP port.")
    web_tls_port: int = Field(8443, ge=0, le=65535, description="HTTPS port; 0 turns TLS off.")
    web_proxied_port: int = Field(
        0, ge=0, le=65535, description="Plain HTTP port where the house's proxy has `WEB_PORT`; 0: no such proxy."
    )
    web_proxied_tls_port: int = Field(
        0, ge=0, le=65535, description="HTTPS port where the house's proxy has `WEB_TLS_PORT`."
    )
    web_allowed_hosts: str = Field(
        "",
        description="Further names of the page, comma separated: `pc.example`, or where a proxy serves it, with its "
        "scheme: `https://assistant.example`.",
    )
    house_names: str = Field(
        "",
        description="Names and addresses of the house's page, beside `WEB_ALLOWED_HOSTS`; the playbook's.",
    )
    house_proxies: str = Field(
        "", description="Addresses of the house's own proxies, beside `WEB_TRUSTED_PROXIES`; the playbook's."
    )
    web_cors_origins: str = Field(
        "", description="Origins whose pages may use the OpenAI API from a browser, comma separated; empty: none."
    )
    web_trusted_proxies: str = Field(
        "",
        description="Addresses or networks of proxies, comma separated, that say where a request came from "
        "(`X-Forwarded-For`, `X-Forwarded-Proto`, or the PROXY protocol's line); nobody else is believed.",
    )
    consul_http_addr: str = Field(
        "", description="Consul agent that knows the experts, `host:port` or `https://host:port`; empty: no discovery."
    )
    consul_http_token: str = Field("", description="ACL token for Consul, if it wants one.")
    nats_servers: str = Field(
        "",
        description="Servers of NATS that have the journal, too, comma separated (`tls://node1:4222`): what is said is "
        "saved once more than half of them have it, and another PC can go on. Empty: this PC alone.",
    )
    nats_user: str = Field("app", description="The agent's account there.")
    nats_password: str = Field("", description="Its password.")
    nats_ca: Path | None = Field(None, description="The authority of the servers' certificates, a file; empty: no TLS.")
    nats_certificate: Path | None = Field(None, description="This PC's certificate of that authority, a file.")
    nats_key: Path | None = Field(None, description="The key of this certificate, a file.")
    journal_home: bool = Field(
        True,
        description="Whether this PC's memory is the one that begins the journal of a house where several bring one; "
        "the others wait a moment for it.",
    )
    external_experts_file: Path | None = Field(
        None,
        description="Further experts on any OpenAI-compatible server: name, url, model, api_key_env, description.",
    )
    expert_api_key: str = Field(
        "", description="Bearer token for those experts found in Consul that have no key of their own."
    )
    expert_keys_dir: Path | None = Field(
        None, description="Keys of experts, `<expert>.key`; default `/etc/pipecatapp/experts`."
    )
    expert_queue: int = Field(4, ge=0, le=1000, description="Requests that may wait for each expert.")
    expert_first_token_s: float = Field(
        120.0, gt=0, description="Seconds an expert may take to its first word without a sign that it is at work."
    )
    expert_token_s: float = Field(20.0, gt=0, description="Seconds an expert may be silent in the middle of an answer.")
    nomad_addr: str = Field("", description="Nomad's API, e.g. `https://127.0.0.1:4646`; empty: no cluster.")
    nomad_cacert: Path | None = Field(None, description="The authority of Nomad's certificates, a file.")
    nomad_token: str = Field("", description="ACL token for Nomad: it may read and scale jobs.")
    http_proxy: str = Field("", description="Proxy for downloads and servers outside of the house, over http.")
    https_proxy: str = Field("", description="The same over https, e.g. `http://proxy:3128`.")
    no_proxy: str = Field(
        "", description="Further hosts that are reached without a proxy; those in the house always are."
    )
    pip_index_url: str = Field("", description="Index of Python packages for later downloads; empty: pip's own.")
    pip_trusted_host: str = Field("", description="Hosts of an index that pip takes without a certificate it knows.")
    pip_cert: str = Field("", description="File with the certificates that such an index is checked with.")
    benchmark_mode: bool = Field(False, description="Print the latency block after each turn.")
    reflex: bool = Field(
        True, description="Let the small trained reflex decide clear requests in milliseconds, before a model is asked."
    )
    approval_mode: Literal["ask", "deny"] = Field(
        "ask", description="What happens to tools that act: ask the person, or refuse them all."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Verbosity of the log.")

    @field_validator("web_tls_port")
    @classmethod
    def _ports_differ(cls, value: int, info: object) -> int:
        data = getattr(info, "data", {})
        if value and value == data.get("web_port"):
            raise ValueError("must differ from WEB_PORT")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.tool_mode == "remote" and self.tool_server_url is None:
            raise ValueError("TOOL_MODE=remote needs TOOL_SERVER_URL")
        if self.node_role == "edge" and self.llm_url is None and not self.consul_http_addr:
            raise ValueError("NODE_ROLE=edge needs LLM_URL or CONSUL_HTTP_ADDR: an edge node has no engine of its own")
        if self.nats_servers and any(url.startswith("tls://") for url in self.journal_servers) and self.nats_ca is None:
            raise ValueError("NATS_SERVERS with tls:// need NATS_CA, the authority of their certificates")
        if self.run_local_llm and self.llm_url is not None:
            raise ValueError("RUN_LOCAL_LLM=true and LLM_URL exclude each other")
        return self

    @property
    def consul(self) -> str:
        """The Consul agent to find experts with; empty: none, also where ``LLM_URL`` names the only server."""
        return self.consul_http_addr if self.llm_url is None or self.own_engine else ""

    @property
    def allowed_hosts(self) -> str:
        """``WEB_ALLOWED_HOSTS`` and ``HOUSE_NAMES``."""
        return f"{self.web_allowed_hosts},{self.house_names}"

    @property
    def trusted_proxies(self) -> str:
        """``WEB_TRUSTED_PROXIES`` and ``HOUSE_PROXIES``."""
        return f"{self.web_trusted_proxies},{self.house_proxies}"

    @property
    def journal_servers(self) -> tuple[str, ...]:
        """``NATS_SERVERS`` as a list."""
        return tuple(url.strip() for url in self.nats_servers.split(",") if url.strip())

    @property
    def own_engine(self) -> bool:
        """Whether ``LLM_URL`` names this PC's own engine, which runs as a service beside the agent."""
        url = self.llm_url
        return url is not None and url.host in LOOPBACK and url.port == self.engine_port

    @property
    def builds_engine(self) -> bool | None:
        """Whether to compile an engine for this CPU; None: where it pays."""
        return {"always": True, "never": False}.get(self.engine_build)

    @property
    def engine_package_places(self) -> tuple[str, ...]:
        """``ENGINE_PACKAGES`` as a list."""
        return tuple(place.strip() for place in self.engine_packages.split(",") if place.strip())

    @property
    def engines(self) -> Path:
        """The folder of engines."""
        return self.engine_dir or self.state_dir / "engine"

    @property
    def pictures(self) -> Path:
        """The folder of pictures that tools took for the page."""
        return self.state_dir / "pictures"

    @property
    def models(self) -> Path:
        """The folder of models."""
        return self.models_dir or self.state_dir / "models"

    @property
    def ssh(self) -> Path:
        """The folder of keys, passwords and known hosts."""
        return self.ssh_dir or self.state_dir / "ssh"

    @property
    def serving_file(self) -> Path:
        """Where the running agent writes down on which ports it listens."""
        return self.state_dir / "serving.json"


def load_settings(**overrides: object) -> Settings:
    """Read the configuration file (``PIPECATAPP_CONFIG`` names another) under the environment, validate, freeze.

    Under both lies ``cluster.env`` of the same folder, where this PC belongs to a cluster.

    Raises:
        ConfigurationError: a value is wrong; the text names each field, what was given and what is allowed.
    """
    path = Path(os.environ.get("PIPECATAPP_CONFIG", CONFIG_FILE))
    try:
        files = [file for file in (path.with_name(CLUSTER_FILE), path) if file.is_file() and os.access(file, os.R_OK)]
        values: dict[str, Any] = {"_env_file": files or None, **overrides}
        return Settings(**values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]).upper()
            given = f" (got {problem['input']!r})" if problem["loc"] else ""
            lines.append(f"  {name or 'settings'}: {problem['msg'].removeprefix('Value error, ')}{given}")
        raise ConfigurationError("the configuration does not hold together:\n" + "\n".join(lines)) from error


def environment() -> dict[str, str]:
    """The environment over the configuration file, for names that are no settings: the keys of external experts."""
    path = Path(os.environ.get("PIPECATAPP_CONFIG", CONFIG_FILE))
    values = dotenv_values(path) if path.is_file() and os.access(path, os.R_OK) else {}
    return {name: value for name, value in {**values, **os.environ}.items() if value is not None}


_SECRETS = frozenset({"llm_api_key", "consul_http_token", "expert_api_key", "nomad_token"})
_USER = re.compile(r"://[^/\s]*@")


def printable(settings: Settings, *, as_json: bool = False) -> str:
    """All settings with their values, in the form of the configuration file or as JSON; secrets are masked."""
    values = {
        name.upper(): "(set)" if name in _SECRETS and value else _without_password(value)
        for name, value in settings.model_dump(mode="json").items()
    }
    if as_json:
        return json.dumps(values, indent=2)
    return "\n".join(f"{name}={_plain(value)}" for name, value in values.items())


def _without_password(value: object) -> object:
    """A URL (of a camera, of a server) without the user and password in it."""
    return _USER.sub("://(set)@", value) if isinstance(value, str) else value


def _plain(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
