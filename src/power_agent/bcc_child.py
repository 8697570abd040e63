"""``python3 bcc_child.py SOURCE DESCRIPTOR``: compiles the traffic monitor, hands over its descriptors, ends."""

from __future__ import annotations

import array
import socket
import sys


def main(source: str, descriptor: int) -> int:
    """Compile and hand over."""
    try:
        from bcc import BPF  # type: ignore[import-not-found]
    except ImportError:
        sys.stderr.write("no BCC here; install python3-bpfcc\n")
        return 1
    try:
        compiled = BPF(src_file=source)
        program = compiled.load_func("measure", BPF.SOCKET_FILTER).fd
        ports = compiled["ports"].map_fd
    except Exception as error:  # noqa: BLE001 - it raises plain Exception
        sys.stderr.write(f"BCC does not compile {source}: {error}\n")
        return 1
    with socket.socket(fileno=descriptor) as connection:
        handed = array.array("i", [program, ports])
        connection.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
