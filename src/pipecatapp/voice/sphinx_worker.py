"""A pocketsphinx decoder in a process of its own. Run by path, needs nothing of this package.

The binding holds Python's lock while it decodes, so inside the app it would stop the sound of every session; and a
decoder that crashes takes only this process with it.

stdin: messages of one letter, four bytes of length (little endian) and a body: ``A`` sound, ``E`` the utterance ends,
``X`` forget it. stdout: a line of JSON each, ``{"ready": true}``, ``{"partial": words}``, ``{"final": words}``,
``{"error": reason}``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO


def _words(decoder: Any) -> str:
    hypothesis = decoder.hyp()
    return str(hypothesis.hypstr).strip() if hypothesis is not None and hypothesis.hypstr else ""


def _tell(out: BinaryIO, **news: object) -> None:
    out.write(json.dumps(news).encode() + b"\n")
    out.flush()


def _read(source: BinaryIO) -> tuple[bytes, bytes] | None:
    head = source.read(5)
    if len(head) < 5:
        return None
    return head[:1], source.read(int.from_bytes(head[1:], "little"))


def serve(source: BinaryIO, out: BinaryIO) -> None:
    """Decode until the input ends."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16000, loglevel="FATAL")
    _tell(out, ready=True)
    started, partial = False, ""
    while (message := _read(source)) is not None:
        kind, body = message
        try:
            if kind == b"A":
                if not started:
                    decoder.start_utt()
                    started, partial = True, ""
                decoder.process_raw(body)
                words = _words(decoder)
                if words and words != partial:
                    partial = words
                    _tell(out, partial=words)
            elif started:
                decoder.end_utt()
                started = False
                if kind == b"E":
                    _tell(out, final=_words(decoder))
            elif kind == b"E":
                _tell(out, final="")
        except RuntimeError as error:
            started = False
            _tell(out, error=str(error))


if __name__ == "__main__":
    # The decoder prints to stdout now and then: the answers keep the real one to themselves.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)
