"""Ansible module: one program of HashiCorp, each version in a folder of its own, and a link to the one in use."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

DOCUMENTATION = """
module: hashicorp_binary
short_description: Installs a program of HashiCorp, or says which version is installed
description:
  - The program lies in C(ROOT/VERSION/PROGRAM) and the link C(ROOT/current) names the version in use. The link changes
    at once or not at all; the version before stays, older ones go.
  - An older version than the one in use is refused, because it cannot read what the newer one wrote.
options:
  program:
    description: Its name.
    type: str
    required: true
  root:
    description: Its folder.
    type: path
    required: true
  file:
    description: Install this file of the machine; its version is what it says itself.
    type: path
  release:
    description: Install C(version) from C(url), checked by C(key) (the armored public key) and C(sha256) (of the zip).
    type: dict
"""

RETURN = """
version: {description: The version in use; empty where there is none., type: str}
previous: {description: The version that was in use before., type: str}
sha256: {description: Of the program in use., type: str}
"""

CHUNK = 1 << 20
TIMEOUT_S = 60


class InstallError(Exception):
    """It cannot be installed; the text says why and what to do."""


class Programs:
    """The folder of one program and its versions."""

    def __init__(self, root: Path, program: str) -> None:
        self._root = root
        self._program = program

    def used(self) -> tuple[str, str]:
        """The version in use and the sum of its program; both empty where there is none."""
        link = self._root / "current"
        if not link.is_symlink() or not (link / self._program).is_file():
            return "", ""
        return str(link.readlink()), sum_of(link / self._program)

    def install(self, file: Path, version: str) -> None:
        """Use this program from now on."""
        before, _ = self.used()
        refuse_downgrade(self._program, before, version)
        fresh = Path(tempfile.mkdtemp(dir=self._root, prefix=".new-"))
        try:
            shutil.copyfile(file, fresh / self._program)
            (fresh / self._program).chmod(0o755)
            fresh.chmod(0o755)
            _sync(fresh / self._program)
            folder = self._root / version
            if folder.exists():
                # The same version with another content, or what a crash left. What runs keeps its file.
                (fresh / self._program).replace(folder / self._program)
            else:
                fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        link = self._root / ".current"
        link.unlink(missing_ok=True)
        link.symlink_to(version)
        link.replace(self._root / "current")
        _sync(self._root)
        for old in self._root.iterdir():
            if old.is_dir() and not old.is_symlink() and old.name not in (version, before):
                shutil.rmtree(old)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sum_of(file: Path) -> str:
    """The sha256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def version_of(program: str, file: Path) -> str:
    """What a program says that it is."""
    try:
        said = subprocess.run([file, "version"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise InstallError(f"{file} does not run here: {error}; get the build for this machine's processor") from error
    found = re.match(rf"{program} v(\d+\.\d+\.\d+[\w.+-]*)", said, re.IGNORECASE)
    if found is None:
        raise InstallError(f"{file} does not say that it is {program}; it says: {said[:80]!r}")
    return found[1]


def refuse_downgrade(program: str, used: str, wanted: str) -> None:
    """Raise where the wanted version is older than the one in use."""
    if used and _order(wanted) < _order(used):
        raise InstallError(
            f"{program} {wanted} is older than {used}, which is in use here, and could not read its data. Keep {used},"
            " or take the machine out of the cluster (its data goes), uninstall, and join it anew"
        )


def _order(version: str) -> tuple[list[int], bool]:
    numbers, _, beta = version.partition("+")[0].partition("-")
    return [int(number) for number in numbers.split(".")], not beta


def fetch_release(program: str, release: dict[str, Any], folder: Path) -> Path:
    """Download a release into the folder and check it twice; the program.

    Raises:
        InstallError: it cannot be had, or is not what was pinned.
    """
    name = f"{program}_{release['version']}"
    archive = f"{name}_linux_amd64.zip"
    place = f"{release['url'].rstrip('/')}/{program}/{release['version']}"
    sums, signature = folder / f"{name}_SHA256SUMS", folder / f"{name}_SHA256SUMS.sig"
    for file in (sums, signature):
        download(f"{place}/{file.name}", file)
    verify(sums, signature, release["key"])
    listed = dict(reversed(line.split(maxsplit=1)) for line in sums.read_text().splitlines() if line.strip())
    signed = listed.get(archive, "none")
    if signed != release["sha256"]:
        raise InstallError(
            f"the signed list says {signed} for {archive}, and {release['sha256']} is pinned (group_vars/all.yaml);"
            " set the version and its sum together"
        )
    download(f"{place}/{archive}", folder / archive)
    if (got := sum_of(folder / archive)) != signed:
        raise InstallError(f"{place}/{archive} came with the sum {got} instead of {signed}; run this again")
    with zipfile.ZipFile(folder / archive) as opened, opened.open(program) as packed:
        target = folder / program
        with target.open("wb") as file:
            shutil.copyfileobj(packed, file, CHUNK)
    target.chmod(0o755)
    return target


def download(url: str, target: Path) -> None:
    """Fetch one file, whole."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, target.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(answer, file, CHUNK)
            expected = answer.headers.get("Content-Length")
    except (OSError, urllib.error.URLError) as error:
        raise InstallError(
            f"{url}: {getattr(error, 'reason', error)}; check the network, or choose another {_OTHER_SOURCE}"
        ) from error
    if expected is not None and target.stat().st_size != int(expected):
        raise InstallError(f"{url} ended after {target.stat().st_size} of {expected} bytes; run this again")


_OTHER_SOURCE = "source (hashicorp_source: folder, peer or installed)"


def verify(sums: Path, signature: Path, armored: str) -> None:
    """Check the list of sums by the pinned key."""
    keyring = sums.with_suffix(".keyring")
    keyring.write_bytes(dearmored(armored))
    checked = subprocess.run(
        ["gpgv", "--keyring", keyring, signature, sums], capture_output=True, text=True, timeout=60, check=False
    )
    if checked.returncode != 0:
        raise InstallError(f"{sums.name} is not signed by HashiCorp's key: {checked.stderr.strip()}; download it again")


def dearmored(armored: str) -> bytes:
    """The key in the form that gpgv reads."""
    body = armored.split("\n\n", 1)[1].split("\n=", 1)[0]
    return base64.b64decode(body)


def main() -> None:
    """Run as a module."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "program": {"type": "str", "required": True},
            "root": {"type": "path", "required": True},
            "file": {"type": "path"},
            "release": {"type": "dict"},
        },
        mutually_exclusive=[["file", "release"]],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**bring(module.params, dry=module.check_mode))
    except InstallError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename or module.params['root']}: {error.strerror}; check the free disk with df"
        )


def bring(params: dict[str, Any], *, dry: bool = False) -> dict[str, Any]:
    """Install what is asked for, if it is not there; what the module returns."""
    program, root = params["program"], Path(params["root"])
    programs = Programs(root, program)
    version, found = programs.used()
    result = {"changed": False, "version": version, "previous": version, "sha256": found}
    if params.get("file"):
        file = Path(params["file"])
        if not file.is_file():
            raise InstallError(f"{file} is not there; install it, or choose another {_OTHER_SOURCE}")
        if sum_of(file) == found:
            return result
        wanted = version_of(program, file)
        refuse_downgrade(program, version, wanted)
        if not dry:
            programs.install(file, wanted)
    elif params.get("release") and params["release"]["version"] != version:
        wanted = params["release"]["version"]
        refuse_downgrade(program, version, wanted)
        if not dry:
            with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as folder:
                fetched = fetch_release(program, params["release"], Path(folder))
                if (said := version_of(program, fetched)) != wanted:
                    raise InstallError(f"the release {wanted} says that it is {said}; nothing was changed")
                programs.install(fetched, wanted)
    else:
        return result
    return {**result, "changed": True, "version": wanted, "sha256": "" if dry else programs.used()[1]}


if __name__ == "__main__":
    main()
