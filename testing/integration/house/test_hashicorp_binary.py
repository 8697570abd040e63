"""A program of HashiCorp: from a signed release on a server, or a file; checked, swapped at once, never older."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from testing.ansible_plugins import load

pytestmark = pytest.mark.integration

binary = load("modules/hashicorp_binary")


class Handler(SimpleHTTPRequestHandler):
    """Ends a zip in the middle where its server is told to."""

    def log_message(self, *_: Any) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        cut = self.path.endswith(".zip") and getattr(self.server, "cut", False)
        outputfile.write(content[: len(content) // 2] if cut else content)


class Releases:
    """A server laid out like HashiCorp's, with a signing key of its own."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "served"
        self._files.mkdir()
        self._keys = folder / "keys"
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(self._files)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.key = self.new_key("releases")

    def new_key(self, name: str) -> str:
        self._keys.mkdir(mode=0o700, exist_ok=True)
        self._gpg("--passphrase", "", "--quick-generate-key", f"{name}@example.test", "ed25519", "sign", "never")
        return self._gpg("--armor", "--export", f"{name}@example.test")

    def publish(self, version: str, says: str = "", signer: str = "releases") -> dict[str, str]:
        """A release; what the module is told about it."""
        place = self._files / "consul" / version
        place.mkdir(parents=True)
        name = f"consul_{version}_linux_amd64.zip"
        with zipfile.ZipFile(place / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("LICENSE.txt", "words " * 1000)
            archive.writestr("consul", program(says or version))
        digest = hashlib.sha256((place / name).read_bytes()).hexdigest()
        sums = place / f"consul_{version}_SHA256SUMS"
        sums.write_text(f"{'0' * 64}  consul_{version}_darwin_arm64.zip\n{digest}  {name}\n")
        self._gpg("--local-user", f"{signer}@example.test", "--output", f"{sums}.sig", "--detach-sign", str(sums))
        return {"version": version, "url": self.url, "sha256": digest, "key": self.key}

    def file(self, name: str) -> Path:
        return next(self._files.rglob(name))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        subprocess.run(["gpgconf", "--homedir", str(self._keys), "--kill", "all"], check=True)

    def _gpg(self, *options: str) -> str:
        command = ["gpg", "--homedir", str(self._keys), "--batch", "--quiet", "--pinentry-mode", "loopback", *options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def program(version: str) -> str:
    return f'#!/bin/sh\necho "Consul v{version}"\necho "Revision 1234"\n'


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Releases]:
    if shutil.which("gpg") is None or shutil.which("gpgv") is None:
        pytest.skip("signing needs gpg and gpgv; run scripts/setup")
    served = Releases(tmp_path)
    yield served
    served.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "hashicorp"
    folder.mkdir()
    return folder


def bring(root: Path, dry: bool = False, **source: Any) -> dict[str, Any]:
    result: dict[str, Any] = binary.bring({"program": "consul", "root": str(root), **source}, dry=dry)
    return result


def runs(root: Path) -> str:
    return subprocess.run([root / "current/consul", "version"], check=True, capture_output=True, text=True).stdout


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_a_signed_release_is_installed_once(releases: Releases, root: Path) -> None:
    release = releases.publish("1.9.0")

    first = bring(root, release=release)
    second = bring(root, release=release)

    assert (first["changed"], first["version"], second["changed"]) == (True, "1.9.0", False)
    assert runs(root).startswith("Consul v1.9.0")
    assert names(root) == ["1.9.0", "current"]
    assert (root / "1.9.0").stat().st_mode & 0o777 == (root / "1.9.0/consul").stat().st_mode & 0o777 == 0o755


def test_an_upgrade_keeps_the_version_before_and_no_other(releases: Releases, root: Path) -> None:
    for version in ("1.9.0", "1.10.0", "1.10.1"):
        result = bring(root, release=releases.publish(version))

    assert result["previous"] == "1.10.0"
    assert runs(root).startswith("Consul v1.10.1")
    assert names(root) == ["1.10.0", "1.10.1", "current"]


def test_a_downgrade_is_refused_with_the_reason(releases: Releases, root: Path, tmp_path: Path) -> None:
    older = releases.publish("1.9.9")
    bring(root, release=releases.publish("1.10.0"))
    (tmp_path / "old").write_text(program("1.9.9"))
    (tmp_path / "old").chmod(0o755)

    for source in ({"release": older}, {"file": str(tmp_path / "old")}):
        with pytest.raises(binary.InstallError, match=r"1\.9\.9 is older than 1\.10\.0, which is in use here"):
            bring(root, **source)

    assert runs(root).startswith("Consul v1.10.0")


def test_a_sum_that_is_not_the_pinned_one_is_refused(releases: Releases, root: Path) -> None:
    release = releases.publish("1.9.0") | {"sha256": "f" * 64}

    with pytest.raises(binary.InstallError, match="is pinned"):
        bring(root, release=release)

    assert names(root) == []


def test_a_zip_that_is_not_the_listed_one_is_refused(releases: Releases, root: Path) -> None:
    release = releases.publish("1.9.0")
    releases.file("*.zip").write_bytes(releases.file("*.zip").read_bytes() + b"more")

    with pytest.raises(binary.InstallError, match="came with the sum"):
        bring(root, release=release)

    assert names(root) == []


def test_a_list_by_another_key_is_refused(releases: Releases, root: Path) -> None:
    releases.new_key("stranger")
    release = releases.publish("1.9.0", signer="stranger")

    with pytest.raises(binary.InstallError, match="is not signed by HashiCorp's key"):
        bring(root, release=release)

    assert names(root) == []


def test_a_list_that_was_changed_after_signing_is_refused(releases: Releases, root: Path) -> None:
    release = releases.publish("1.9.0")
    sums = releases.file("*_SHA256SUMS")
    sums.write_text(sums.read_text().replace(release["sha256"], "e" * 64))

    with pytest.raises(binary.InstallError, match="is not signed by HashiCorp's key"):
        bring(root, release=release | {"sha256": "e" * 64})


def test_an_interrupted_download_leaves_nothing_and_the_next_one_works(releases: Releases, root: Path) -> None:
    release = releases.publish("1.9.0")
    releases.server.cut = True  # type: ignore[attr-defined]

    with pytest.raises(binary.InstallError, match=r"ended after \d+ of \d+ bytes; run this again|IncompleteRead"):
        bring(root, release=release)

    assert names(root) == []
    releases.server.cut = False  # type: ignore[attr-defined]
    assert bring(root, release=release)["version"] == "1.9.0"


def test_a_server_that_has_it_not_is_named(releases: Releases, root: Path) -> None:
    release = releases.publish("1.9.0") | {"version": "1.9.1"}

    with pytest.raises(binary.InstallError, match=r"consul_1\.9\.1_SHA256SUMS: .*choose another source"):
        bring(root, release=release)


def test_a_release_that_says_another_version_is_refused(releases: Releases, root: Path) -> None:
    release = releases.publish("1.9.0", says="1.8.0")

    with pytest.raises(binary.InstallError, match=r"says that it is 1\.8\.0"):
        bring(root, release=release)

    assert names(root) == []


def test_a_file_is_installed_under_the_version_that_it_says(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "consul"
    file.write_text(program("1.8.7"))
    file.chmod(0o755)

    assert bring(root, file=str(file))["version"] == "1.8.7"
    assert bring(root, file=str(file))["changed"] is False
    file.write_text(program("1.8.7") + "# built again\n")
    again = bring(root, file=str(file))

    assert (again["changed"], again["sha256"]) == (True, hashlib.sha256(file.read_bytes()).hexdigest())
    assert names(root) == ["1.8.7", "current"]


def test_what_is_not_the_program_is_refused(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "consul"
    file.write_text("#!/bin/sh\necho 'Nomad v1.0.0'\n")
    file.chmod(0o755)

    with pytest.raises(binary.InstallError, match="does not say that it is consul"):
        bring(root, file=str(file))
    with pytest.raises(binary.InstallError, match="is not there"):
        bring(root, file=str(tmp_path / "none"))


def test_a_dry_run_installs_nothing(releases: Releases, root: Path) -> None:
    result = bring(root, dry=True, release=releases.publish("1.9.0"))

    assert (result["changed"], result["version"]) == (True, "1.9.0")
    assert names(root) == []


def test_the_pinned_key_is_hashicorps() -> None:
    key = Path(__file__).parents[3] / "ansible/roles/hashicorp/files/hashicorp.asc"
    content = binary.dearmored(key.read_text())
    # RFC 4880, 12.2: the first packet is the primary key, of three octets of header here.
    length = int.from_bytes(content[1:3], "big")
    fingerprint = hashlib.sha1(b"\x99" + content[1 : 3 + length]).hexdigest().upper()

    assert fingerprint == "C874011F0AB405110D02105534365D9472D7468F"
