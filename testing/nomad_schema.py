"""Which arguments and blocks Nomad's files have, as far as this repository's templates use or may come to use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NONE: Mapping[str, Block] = MappingProxyType({})


@dataclass(frozen=True)
class Block:
    """One kind of block.

    Args:
        arguments: their names, separated by spaces; those with `!` must be there.
        blocks: the blocks in it by name.
        labelled: whether blocks of this kind have a label.
        anything: whether it takes any argument and block.
    """

    arguments: str = ""
    blocks: Mapping[str, Block] = field(default_factory=lambda: _NONE)
    labelled: bool = False
    anything: bool = False

    @property
    def required(self) -> set[str]:
        """The arguments that must be there."""
        return {name.rstrip("!") for name in self.arguments.split() if name.endswith("!")}

    def has_argument(self, name: str) -> bool:
        """Whether it may have this argument."""
        return self.anything or name in self.arguments.replace("!", "").split()

    def labels(self, name: str) -> int:
        """How many labels a block of this name has in here."""
        inner = self.blocks.get(name)
        return 1 if inner is not None and inner.labelled else 0


ANYTHING = Block(anything=True)

_JOIN = Block("retry_join! retry_interval retry_max")
_CLIENT = Block(
    "enabled! network_interface min_dynamic_port max_dynamic_port node_class node_pool options state_dir alloc_dir "
    "servers max_kill_timeout cpu_total_compute memory_total_mb gc_interval gc_disk_usage_threshold gc_max_allocs "
    "cgroup_parent",
    {
        "options": ANYTHING,
        "server_join": _JOIN,
        "reserved": Block("cpu cores memory disk reserved_ports"),
        "meta": ANYTHING,
        "host_volume": Block("path! read_only", labelled=True),
        "host_network": Block("cidr interface reserved_ports", labelled=True),
        "drain_on_shutdown": Block("deadline force ignore_system_jobs"),
        "template": ANYTHING,
        "artifact": ANYTHING,
    },
)
_SERVER = Block(
    "enabled bootstrap_expect encrypt raft_multiplier min_heartbeat_ttl max_heartbeats_per_second heartbeat_grace "
    "failover_heartbeat_ttl node_gc_threshold job_gc_threshold eval_gc_threshold root_key_gc_threshold "
    "root_key_rotation_threshold num_schedulers raft_protocol data_dir",
    {
        "server_join": _JOIN,
        "client_introduction": Block("enforcement! default_identity_ttl max_identity_ttl"),
        "default_scheduler_config": Block(
            "scheduler_algorithm memory_oversubscription_enabled reject_job_registration pause_eval_broker",
            {"preemption_config": ANYTHING},
        ),
    },
)
# Of an agent, from its documentation (Nomad 2.0).
CONFIGURATION = Block(
    "name region datacenter data_dir bind_addr plugin_dir log_level log_json log_file enable_debug enable_syslog "
    "leave_on_interrupt leave_on_terminate disable_update_check disable_anonymous_signature",
    {
        "addresses": Block("http rpc serf"),
        "advertise": Block("http rpc serf"),
        "ports": Block("http rpc serf"),
        "acl": Block("enabled! token_ttl policy_ttl role_ttl"),
        "tls": Block(
            "http rpc ca_file! cert_file! key_file! verify_server_hostname verify_https_client rpc_upgrade_mode "
            "tls_min_version"
        ),
        "consul": Block(
            "address! token auto_advertise server_auto_join client_auto_join checks_use_advertise tags ssl ca_file "
            "cert_file key_file client_service_name server_service_name"
        ),
        "server": _SERVER,
        "client": _CLIENT,
        "plugin": Block("args", {"config": ANYTHING}, labelled=True),
        "telemetry": ANYTHING,
        "ui": Block("enabled show_cli_hints"),
        "limits": ANYTHING,
    },
)

_CONSTRAINT = Block("attribute operator value")
_AFFINITY = Block("attribute operator value weight")
_CHECK = Block(
    "name type! path port method interval! timeout! protocol address_mode expose body success_before_passing "
    "failures_before_critical failures_before_warning initial_status command args task on_update tls_skip_verify "
    "tls_server_name notes",
    {"header": ANYTHING, "check_restart": Block("limit grace ignore_warnings")},
)
_SERVICE = Block(
    "name! port provider tags canary_tags address address_mode task on_update enable_tag_override kind",
    {"check": _CHECK, "check_restart": Block("limit grace ignore_warnings"), "meta": ANYTHING},
)
_RESTART = Block("attempts interval delay mode render_templates")
_RESCHEDULE = Block("attempts interval delay delay_function max_delay unlimited")
_UPDATE = Block(
    "max_parallel health_check min_healthy_time healthy_deadline progress_deadline auto_revert auto_promote canary "
    "stagger"
)
_TASK = Block(
    "driver! user kill_timeout kill_signal leader shutdown_delay",
    {
        "config": ANYTHING,
        "env": ANYTHING,
        "meta": ANYTHING,
        "resources": Block("cpu cores memory memory_max", {"network": ANYTHING, "device": ANYTHING}),
        "template": Block(
            "data source destination! change_mode change_signal perms uid gid env left_delimiter right_delimiter splay "
            "error_on_missing_key once vault_grace",
            {"wait": Block("min max"), "change_script": ANYTHING},
        ),
        "artifact": ANYTHING,
        "service": _SERVICE,
        "restart": _RESTART,
        "constraint": _CONSTRAINT,
        "affinity": _AFFINITY,
        "volume_mount": Block("volume! destination! read_only propagation_mode"),
        "lifecycle": Block("hook! sidecar"),
        "logs": Block("max_files max_file_size disabled"),
        "identity": ANYTHING,
    },
    labelled=True,
)
_NETWORK = Block(
    "mode hostname",
    {"port": Block("static to host_network ignore_collision", labelled=True), "dns": Block("servers searches options")},
)
_GROUP = Block(
    "count shutdown_delay",
    {
        "task": _TASK,
        "network": _NETWORK,
        "service": _SERVICE,
        "restart": _RESTART,
        "reschedule": _RESCHEDULE,
        "disconnect": Block("lost_after replace reconcile stop_on_client_after"),
        "update": _UPDATE,
        "migrate": Block("max_parallel health_check min_healthy_time healthy_deadline"),
        "constraint": _CONSTRAINT,
        "affinity": _AFFINITY,
        "spread": Block("attribute weight", {"target": Block("percent", labelled=True)}),
        "volume": Block("type! source! read_only access_mode attachment_mode per_alloc sticky", labelled=True),
        "ephemeral_disk": Block("migrate size sticky"),
        "scaling": Block("enabled min max", {"policy": ANYTHING}, labelled=False),
        "meta": ANYTHING,
    },
    labelled=True,
)
# Of a job, from its documentation (Nomad 2.0).
JOB = Block(
    "",
    {
        "job": Block(
            "datacenters type priority region namespace node_pool all_at_once",
            {
                "group": _GROUP,
                "constraint": _CONSTRAINT,
                "affinity": _AFFINITY,
                "spread": Block("attribute weight", {"target": Block("percent", labelled=True)}),
                "update": _UPDATE,
                "migrate": ANYTHING,
                "reschedule": _RESCHEDULE,
                "periodic": Block("cron crons prohibit_overlap time_zone enabled"),
                "parameterized": Block("payload meta_required meta_optional"),
                "meta": ANYTHING,
            },
            labelled=True,
        ),
        "variable": Block("default description type", labelled=True),
        "locals": ANYTHING,
    },
)
