"""Measures a model on this PC: starts the engine that serves here with it, for the time of the benchmark."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

from pipecatapp.errors import EngineError
from pipecatapp.llm.child import EngineChild, Timeouts
from pipecatapp.llm.engines import Engine
from pipecatapp.llm.gguf import read_head, read_part, whole_name
from pipecatapp.llm.launch import plan
from pipecatapp.llm.weights import read_weights
from pipecatapp.machine import Machine, free_mb
from pipecatapp.speed.measurement import LENGTHS, Measurement
from pipecatapp.speed.one_stream import WRITES, Say, measure
from pipecatapp.storage.atomic import create_file

# How a file calls its quantization.
_QUANTIZATIONS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 25: "IQ4_NL", 30: "IQ4_XS",
    32: "BF16", 38: "MXFP4",
}  # fmt: skip
_IN_NAME = re.compile(r"[-_.](I?Q\d(?:_[A-Z0-9]+)*|BF16|F16|F32|MXFP4)$", re.IGNORECASE)
_MB = 1 << 20


async def measure_here(
    engine: Engine, model: Path, name: str, machine: Machine, say: Say, lengths: Sequence[int] = LENGTHS
) -> Measurement:
    """Load the model, measure, end the engine.

    Args:
        engine: a llama-server.
        model: its (first) file.
        name: what the results call it.
        machine: this PC.
        say: told what is left out.
        lengths: of the prompts, in tokens.

    Raises:
        ConfigurationError: the file is no model.
        EngineError: it does not load, or there is not the memory for it.
    """
    head, weights = await asyncio.to_thread(read_head, model), await asyncio.to_thread(read_weights, model)
    context = min(head.context_tokens, -(-(max(lengths) + WRITES) // 256) * 256)
    needed = (weights.size + head.kv_bytes_per_token * context) // _MB
    if needed > (room := free_mb()):
        raise EngineError(
            f"{name} needs {needed} MB and {room} MB are free: stop what uses them, or take a smaller one"
        )
    with tempfile.TemporaryDirectory(prefix="pipecatapp-bench-") as folder:
        key, log, port = secrets.token_hex(16), Path(folder) / "engine.log", _free_port()
        key_file = Path(folder) / "key"
        create_file(key_file, key)
        options = await asyncio.to_thread(engine.options)
        launch = plan(
            model=model, alias=name, head=head, machine=machine, options=options, host="127.0.0.1", port=port,
            key_file=key_file, slots_dir=Path(folder),
        )  # fmt: skip
        # One stream: nobody else is asked meanwhile.
        arguments = (*launch.arguments, "--parallel", "1", "--ctx-size", str(context))
        root, timeouts = f"http://127.0.0.1:{port}", Timeouts()
        began = time.monotonic()
        child = await EngineChild.spawn(engine, arguments, root=root, key=key, log=log, timeouts=timeouts)
        try:
            await child.until_ready(name)
            load_s = time.monotonic() - began
            async with _client(root, key) as http:
                stream = await measure(http, lengths, context, say)
            return Measurement(
                model=name,
                quantization=quantization_of(model),
                engine="plain",
                build=engine.name,
                node=socket.gethostname(),
                cpu=machine.cpu,
                cores=machine.cores,
                ram_mb=machine.ram_mb,
                size=weights.size,
                bytes_per_token=weights.bytes_per_token,
                prompt=stream.prompt,
                generated=stream.generated,
                load_s=round(load_s, 2),
                engine_mb=_peak_mb(child.pid),
                joules_per_token=stream.joules_per_token,
                at=datetime.now(UTC).replace(microsecond=0),
            )
        finally:
            await child.end()


def quantization_of(model: Path) -> str:
    """How the weights of a file are written: by what it says, else by its name; it need not be here."""
    kind = read_part(model).values.get("general.file_type") if model.is_file() else None
    named = _IN_NAME.search(whole_name(model))
    if isinstance(kind, int) and kind in _QUANTIZATIONS:
        return _QUANTIZATIONS[kind]
    return named[1].upper() if named else "unknown"


def _client(root: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=root,
        headers={"Authorization": f"Bearer {key}"},
        timeout=httpx.Timeout(None, connect=5.0),
        limits=httpx.Limits(max_keepalive_connections=0),
        trust_env=False,
    )


def _peak_mb(pid: int) -> int:
    """The memory that a process has had at most; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
