"""Long-term memory on a Core 2 Duo: the index is built, searched, saved, loaded and shrunk without SSE4.1 or AVX."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.oldcpu.emulator import CPUS, run_python

pytestmark = pytest.mark.oldcpu

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from testing.fakes.embedding import HashEmbedder
from testing.fakes.storage import close_storage, memory_in

async def main(folder):
    embedder = HashEmbedder(384, synonyms={"enjoy": "lik"})
    memory = memory_in(folder, embedder, embedding_model="toy", embed_timeout_s=60.0)
    await memory.open()
    await memory.import_lines(json.dumps({"text": f"Person{n} likes dish{n}"}) for n in range(300))
    await memory.settled()
    (found,) = await memory.recall("person7 enjoys", limit=1)
    await memory.forget([found.id])
    await memory.close()
    close_storage()
    memory = memory_in(folder, embedder, embedding_model="toy", embed_timeout_s=60.0)
    await memory.open()
    (next_best,) = await memory.recall("person8 enjoys", limit=1)
    print(found.text, "|", next_best.text, "|", len(memory))
    await memory.close()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("cpu", CPUS)
def test_facts_are_kept_and_found(cpu: str, tmp_path: Path) -> None:
    result = run_python(cpu, ["-c", PROGRAM, str(tmp_path)], timeout=240)

    assert result.stdout.strip() == "Person7 likes dish7 | Person8 likes dish8 | 299", (
        f"exit {result.returncode}\n{result.stderr[-2000:]}"
    )
