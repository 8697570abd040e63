"""The vault of a cluster: made once, private, never half written, and anew only where somebody asks."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from testing.ansible_plugins import load

pytestmark = pytest.mark.unit

vault = load("modules/cluster_vault")
authority = __import__("ansible.module_utils.cluster_authority", fromlist=["Authority"])

MEMBERS: dict[str, dict[str, Any]] = {
    "n1": {"address": "10.77.0.11", "network": "10.77.0.0/24", "server": True},
    "n2": {"address": "fd00::12", "network": "fd00::/64", "server": False},
}


PAIRS = [f"{program}.{kind}" for program in ("consul", "nomad", "nats", "agent") for kind in ("pem", "key")]


def open_vault(path: Path, *, dry: bool = False, **changes: Any) -> dict[str, Any]:
    params = {
        "datacenter": "dc1", "region": "global", "members": MEMBERS, "may_found": True, "rotate": [],
        "settle": False, "keep": {}, "adopt": {}, "forget": [],
    } | changes  # fmt: skip
    result: dict[str, Any] = vault.keep_vault(path, params, dry=dry)
    return result


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def found(path: Path) -> None:
    os.umask(0)
    open_vault(path)


def test_the_first_run_makes_everything_for_the_owner_alone(tmp_path: Path) -> None:
    os.umask(0o022)

    result = open_vault(tmp_path / "vault")

    assert result["founded"] is True
    assert set(result["secrets"]["consul"]["agent_tokens"]) == {"n1", "n2"}
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "vault", *(tmp_path / "vault").rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert set(contents(tmp_path / "vault")) == {
        "secrets.yaml", "members.yaml", "ca.pem", "ca-key.pem",
        *(f"nodes/{node}/{file}" for node in MEMBERS for file in PAIRS),
    }  # fmt: skip


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first = open_vault(tmp_path)
    before = contents(tmp_path)

    second = open_vault(tmp_path)

    assert (second["changed"], second["made"], second["founded"]) == (False, [], False)
    assert second["secrets"] == first["secrets"]
    assert contents(tmp_path) == before


def test_a_new_machine_gets_its_own_and_the_others_keep_theirs(tmp_path: Path) -> None:
    first = open_vault(tmp_path)
    before = contents(tmp_path)
    fresh = {"address": "10.77.0.13", "network": "10.77.0.0/24", "server": True}

    second = open_vault(tmp_path, members={"n3": fresh})

    assert set(second["members"]) == {"n1", "n2", "n3"}, "a machine that this run did not see is kept"
    assert second["secrets"]["consul"]["agent_tokens"]["n1"] == first["secrets"]["consul"]["agent_tokens"]["n1"]
    after = contents(tmp_path)
    changed = {name for name, content in before.items() if after[name] != content}
    assert changed == {"secrets.yaml", "members.yaml"}


def test_a_worker_gets_no_servers_name(tmp_path: Path) -> None:
    result = open_vault(tmp_path)

    names = {}
    for node in MEMBERS:
        pem = x509.load_pem_x509_certificate(result["certificates"][node]["nomad"]["certificate"].encode())
        listed = pem.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names[node] = (
            listed.get_values_for_type(x509.DNSName),
            list(map(str, listed.get_values_for_type(x509.IPAddress))),
        )
    assert names == {
        "n1": (["server.global.nomad", "n1", "localhost"], ["127.0.0.1", "::1", "10.77.0.11"]),
        "n2": (["client.global.nomad", "n2", "localhost"], ["127.0.0.1", "::1", "fd00::12"]),
    }


def test_the_agents_certificate_makes_no_server_of_it(tmp_path: Path) -> None:
    result = open_vault(tmp_path)

    uses = {}
    for program in ("agent", "nats"):
        pem = x509.load_pem_x509_certificate(result["certificates"]["n1"][program]["certificate"].encode())
        names = pem.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        extended = pem.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        uses[program] = (names.get_values_for_type(x509.DNSName)[0], ExtendedKeyUsageOID.SERVER_AUTH in extended)
        assert ExtendedKeyUsageOID.CLIENT_AUTH in extended
    assert uses == {"agent": ("client.dc1.agent", False), "nats": ("server.dc1.nats", True)}


def test_a_certificate_is_the_authoritys_and_fits_its_key(tmp_path: Path) -> None:
    result = open_vault(tmp_path)

    pair = result["certificates"]["n1"]["consul"]
    certificate = x509.load_pem_x509_certificate(pair["certificate"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(result["authority"].encode()))
    assert certificate.public_key() == load_pem_private_key(pair["key"].encode(), None).public_key()
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 825
    assert certificate.not_valid_before_utc < datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=23)


@pytest.mark.parametrize("days_left", [59, 61])
def test_what_expires_within_sixty_days_is_renewed(tmp_path: Path, days_left: int) -> None:
    folder = vault.PrivateFolder(tmp_path)
    names = authority.certificate_names("server", "consul", "dc1", "n1", "10.77.0.11")
    # It is valid since a day, so one for that many days has one day less left.
    old = authority.Authority(folder, days_left + 1).keep_pair("nodes/n1/consul", names)

    new = authority.Authority(folder).keep_pair("nodes/n1/consul", names)

    assert (new != old) == (days_left < 60)


def test_a_new_address_gets_a_new_certificate(tmp_path: Path) -> None:
    open_vault(tmp_path)

    moved = open_vault(tmp_path, members={"n1": {**MEMBERS["n1"], "address": "10.77.0.99"}})

    assert sorted(moved["made"]) == sorted(
        [
            "members.yaml",
            *(f"nodes/n1/{name}.{kind}" for name in ("consul", "nomad", "nats", "agent") for kind in ("pem", "key")),
        ]
    )


def test_a_pair_that_a_crash_tore_apart_is_made_anew(tmp_path: Path) -> None:
    open_vault(tmp_path)
    key = tmp_path / "nodes/n1/consul.key"
    key.write_bytes((tmp_path / "nodes/n1/nomad.key").read_bytes())

    assert open_vault(tmp_path)["made"] == ["nodes/n1/consul.key", "nodes/n1/consul.pem"]


def test_a_rotation_keeps_what_was_before_until_it_is_settled(tmp_path: Path) -> None:
    first = open_vault(tmp_path)["secrets"]

    turned = open_vault(tmp_path, rotate=["gossip", "tokens"])["secrets"]
    again = open_vault(tmp_path, rotate=["gossip", "tokens"])["secrets"]
    settled = open_vault(tmp_path, settle=True)["secrets"]

    for program, names in (
        ("consul", ("gossip_key", "management_token", "agent_tokens", "app_token")),
        ("nomad", ("gossip_key",)),
    ):
        for name in names:
            assert turned[program][name] != first[program][name]
            assert turned["previous"][program][name] == first[program][name]
    assert again == turned, "an interrupted rotation goes on, it does not begin again"
    assert settled == {name: value for name, value in turned.items() if name != "previous"}


def test_only_what_is_named_is_rotated(tmp_path: Path) -> None:
    first = open_vault(tmp_path)
    before = contents(tmp_path)

    second = open_vault(tmp_path, rotate=["certificates"])

    assert second["secrets"] == first["secrets"]
    changed = {name for name, content in contents(tmp_path).items() if before[name] != content}
    assert changed == {name for name in before if name.startswith("nodes/")}


def test_what_a_program_made_itself_is_kept_beside_the_rest(tmp_path: Path) -> None:
    open_vault(tmp_path, keep={"nomad": {"app_token": "made by the server"}})

    assert open_vault(tmp_path)["secrets"]["nomad"]["app_token"] == "made by the server"


def test_a_machine_that_left_takes_its_token_and_keys_along(tmp_path: Path) -> None:
    open_vault(tmp_path)

    result = open_vault(tmp_path, members={"n1": MEMBERS["n1"]}, forget=["n2"])

    assert set(result["members"]) == set(result["secrets"]["consul"]["agent_tokens"]) == {"n1"}
    assert not [path for path in tmp_path.rglob("*") if "n2" in path.name]


def test_what_the_page_let_join_keeps_its_token_and_what_is_known_counts_more(tmp_path: Path) -> None:
    first = open_vault(tmp_path)["secrets"]["consul"]["agent_tokens"]
    fresh = {"address": "10.77.0.13", "network": "10.77.0.0/24", "server": False}
    joined = {"members": {"n3": fresh, "n1": fresh}, "agent_tokens": {"n3": "given by the page", "n1": "another"}}

    result = open_vault(tmp_path, adopt=joined)

    assert result["members"] == {**MEMBERS, "n3": fresh}
    assert result["secrets"]["consul"]["agent_tokens"] == {**first, "n3": "given by the page"}
    assert open_vault(tmp_path, adopt=joined)["changed"] is False
    with pytest.raises(vault.VaultError, match="no name for a machine"):
        open_vault(tmp_path, adopt={"members": {"../n4": fresh}})


def test_a_dry_run_writes_nothing_and_says_all(tmp_path: Path) -> None:
    result = open_vault(tmp_path / "vault", dry=True)

    assert result["changed"] is True
    assert set(result["certificates"]) == set(MEMBERS)
    assert list(tmp_path.iterdir()) == []


def test_without_a_vault_a_living_cluster_gets_no_second_one(tmp_path: Path) -> None:
    with pytest.raises(vault.VaultError, match=r"already are a cluster\. Restore the vault"):
        open_vault(tmp_path / "vault", may_found=False)

    assert not (tmp_path / "vault").exists()


@pytest.mark.parametrize(
    ("name", "mode"), [(".", 0o750), ("secrets.yaml", 0o640), ("ca-key.pem", 0o604), ("nodes/n1/consul.key", 0o644)]
)
def test_what_others_can_read_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    open_vault(tmp_path / "vault")
    (tmp_path / "vault" / name).chmod(mode)

    with pytest.raises(vault.VaultError, match="others can read"):
        open_vault(tmp_path / "vault")


def test_a_link_in_a_secrets_place_is_refused(tmp_path: Path) -> None:
    open_vault(tmp_path / "vault")
    (tmp_path / "vault/secrets.yaml").rename(tmp_path / "elsewhere")
    (tmp_path / "vault/secrets.yaml").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(vault.VaultError, match="is not what belongs there"):
        open_vault(tmp_path / "vault")


def test_a_lost_key_of_the_authority_is_refused(tmp_path: Path) -> None:
    open_vault(tmp_path)
    (tmp_path / "ca-key.pem").unlink()

    with pytest.raises(vault.VaultError, match=r"ca-key\.pem is missing"):
        open_vault(tmp_path)


@pytest.mark.parametrize("name", ["../n1", "n1/..", ".", "", "a b", "-n", "n\n"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(vault.VaultError, match="no name for a machine"):
        open_vault(tmp_path, members={name: MEMBERS["n1"]})


@pytest.mark.parametrize("text", ["{", "- a list", "version: 2\n"])
def test_a_file_that_cannot_be_understood_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    open_vault(tmp_path)
    (tmp_path / "secrets.yaml").write_text(text)

    with pytest.raises(vault.VaultError):
        open_vault(tmp_path)

    assert (tmp_path / "secrets.yaml").read_text() == text


def test_two_runs_at_once_found_one_vault(tmp_path: Path) -> None:
    runs = [multiprocessing.get_context("fork").Process(target=found, args=(tmp_path / "vault",)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(timeout=60)

    assert [run.exitcode for run in runs] == [0] * 4
    secrets = yaml.safe_load((tmp_path / "vault/secrets.yaml").read_text())
    assert open_vault(tmp_path / "vault")["secrets"] == secrets


def test_a_crash_at_any_write_leaves_a_vault_that_opens(tmp_path: Path) -> None:
    """Killed before the first, second, ... rename: the next run finishes, and no secret that was written changes."""
    for crash_at in range(1, 17):
        folder = tmp_path / str(crash_at)
        child = os.fork()
        if child == 0:
            renames = 0
            replace = Path.replace

            def dying(self: Path, target: Path, at: int = crash_at, replace: Any = replace) -> Any:
                nonlocal renames
                renames += 1
                if renames == at:
                    os._exit(9)
                return replace(self, target)

            Path.replace = dying  # type: ignore[assignment, method-assign]
            open_vault(folder)
            os._exit(0)
        os.waitpid(child, 0)
        written = contents(folder)

        result = open_vault(folder)

        after = contents(folder)
        assert not [name for name in after if ".unfinished" in name]
        assert open_vault(folder)["changed"] is False
        if "secrets.yaml" in written:
            assert after["secrets.yaml"] == written["secrets.yaml"]
        assert result["secrets"]["consul"]["gossip_key"]
