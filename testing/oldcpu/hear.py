"""Run on the emulated processor: is there speech in this recording, and which words?

python hear.py question.wav      ->  {"speech_s": 1.2, "words": "what can you do"}
"""

from __future__ import annotations

import asyncio
import json
import sys
import wave

from pipecat.audio.vad.vad_analyzer import VADState

from pipecatapp.voice.stt_pocketsphinx import PocketsphinxRecognizer
from pipecatapp.voice.vad import SharedSilero

FRAME_S = 0.02


async def hear(path: str) -> dict[str, object]:
    """Both, over the whole recording."""
    with wave.open(path) as recording:
        rate, sound = recording.getframerate(), recording.readframes(recording.getnframes())
    vad = SharedSilero()
    vad.set_sample_rate(rate)
    recognizer = PocketsphinxRecognizer()
    await recognizer.load()
    utterance = recognizer.open(lambda words: None)
    speaking = 0
    step = int(rate * FRAME_S) * 2
    for start in range(0, len(sound) - step + 1, step):
        piece = sound[start : start + step]
        speaking += await vad.analyze_audio(piece) is VADState.SPEAKING
        utterance.feed(piece)
    words = await utterance.finish()
    await recognizer.aclose()
    return {"speech_s": round(speaking * FRAME_S, 2), "words": words}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(hear(sys.argv[1]))))
