"""Ansible module: gives what root left in a folder to the user whom the folder belongs to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

DOCUMENTATION = """
module: adopt
short_description: Gives what root left in a user's folder to that user
description:
  - A program that root ran may have left files that the user cannot read.
  - Only what belongs to root is given away. The user may write the folder while this runs, so nothing is reached
    through a link, nothing beyond the folder's file system, and no file that has a second name elsewhere.
options:
  path:
    description: The folder.
    type: path
    required: true
  owner:
    description: The user, and the group of the same name.
    type: str
    required: true
"""

RETURN = """
adopted:
  description: What was given away, below the folder.
  type: list
  elements: str
"""

# No folder of the agent's is deeper. One that is was made to break whoever looks.
_DEEPEST = 100
# Without following a link in the last place, without waiting for the other end of a pipe.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def adopt(path: str, uid: int, gid: int, *, giver: int = 0, dry: bool = False) -> list[str]:
    """Give every file and folder below ``path`` that belongs to ``giver`` to ``uid`` and ``gid``; their names.

    Owner and kind are read from an open descriptor, and the same descriptor is given away: who swaps the name in
    between swaps nothing that this touches.
    """
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return list(_adopt_below(root, "", os.fstat(root).st_dev, (uid, gid), giver, dry))
    finally:
        os.close(root)


def _adopt_below(folder: int, prefix: str, device: int, owner: tuple[int, int], giver: int, dry: bool) -> Iterator[str]:
    for name in sorted(os.listdir(folder)):
        try:
            if stat.S_IFMT(os.lstat(name, dir_fd=folder).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                continue
            descriptor = os.open(name, _OPEN, dir_fd=folder)
        except OSError:
            continue  # gone, or another thing by now
        try:
            yield from _adopt_one(descriptor, f"{prefix}{name}", device, owner, giver, dry)
        finally:
            os.close(descriptor)


def _adopt_one(descriptor: int, name: str, device: int, owner: tuple[int, int], giver: int, dry: bool) -> Iterator[str]:
    found = os.fstat(descriptor)
    if found.st_dev != device:
        return
    is_folder = stat.S_ISDIR(found.st_mode)
    if found.st_uid == giver and (is_folder or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)):
        if not dry:
            os.fchown(descriptor, *owner)
        yield name
    if is_folder and name.count("/") < _DEEPEST:
        yield from _adopt_below(descriptor, f"{name}/", device, owner, giver, dry)


def main() -> None:
    """Run as a module."""
    import pwd

    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "owner": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    try:
        user = pwd.getpwnam(module.params["owner"])
        adopted = adopt(module.params["path"], user.pw_uid, user.pw_gid, dry=module.check_mode)
    except KeyError:
        # A dry run on a clean machine: there is no user yet, and so nothing of root's in the folder.
        adopted = []
    except OSError as error:
        if not (module.check_mode and isinstance(error, FileNotFoundError)):
            module.fail_json(msg=f"{module.params['path']}: {error.strerror}")
        adopted = []
    module.exit_json(changed=bool(adopted), adopted=adopted)


if __name__ == "__main__":
    main()
