// @ts-check
// One voice session: microphone to the server, the server's voice to the speaker.
//
// Up: PCM16 mono 16 kHz in frames of 20 ms. Down: PCM16 mono 24 kHz. As JSON: {"type":"interrupt"} empties the speaker
// at once, {"type":"mark","id":N} is answered by {"type":"played","id":N} when the sound before it has been heard.

import { hangUp } from "./hang-up.js";
import { zone } from "./zone.js";

const UP_HZ = 16000;
const DOWN_HZ = 24000;

/**
 * @typedef {object} VoiceEvents
 * @property {(level: number) => void} heard loudness of the microphone, 0 to 1
 * @property {(level: number) => void} spoke loudness of the answer, 0 to 1
 * @property {(reason: string) => void} ended the session is over; empty: the person ended it
 */

export class VoiceSession {
  #muted = false;
  #over = false;
  #failures = 0;
  /** @type {WebSocket | null} */
  #socket = null;

  /**
   * @param {string} conversation
   * @param {VoiceEvents} events
   * @param {MediaStream} stream
   * @param {AudioContext} up
   * @param {AudioContext} down
   * @param {AudioWorkletNode} microphone
   * @param {AudioWorkletNode} speaker
   */
  constructor(conversation, events, stream, up, down, microphone, speaker) {
    this.conversation = conversation;
    this.events = events;
    this.stream = stream;
    this.up = up;
    this.down = down;
    this.microphone = microphone;
    this.speaker = speaker;
    microphone.port.onmessage = (message) => this.#captured(message.data);
    speaker.port.onmessage = (message) => this.#sounded(message.data);
    for (const track of stream.getAudioTracks()) {
      track.addEventListener("ended", () => this.#end("The microphone was taken away."));
    }
    this.#connect();
  }

  /**
   * Ask for the microphone, then begin.
   * @param {string} conversation
   * @param {VoiceEvents} events
   * @returns {Promise<VoiceSession>}
   */
  static async begin(conversation, events) {
    const down = new AudioContext({ sampleRate: DOWN_HZ, latencyHint: "interactive" });
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
    });
    const { context: up, source } = microphoneContext(stream);
    await Promise.all([
      up.resume(),
      down.resume(),
      up.audioWorklet.addModule("/static/js/worklets/capture.js"),
      down.audioWorklet.addModule("/static/js/worklets/playback.js"),
    ]);
    const microphone = new AudioWorkletNode(up, "capture", { numberOfOutputs: 0, processorOptions: { rate: UP_HZ } });
    source.connect(microphone);
    const speaker = new AudioWorkletNode(down, "playback", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions: { rate: DOWN_HZ },
    });
    speaker.connect(down.destination);
    return new VoiceSession(conversation, events, stream, up, down, microphone, speaker);
  }

  get muted() {
    return this.#muted;
  }

  /** @param {boolean} on */
  mute(on) {
    this.#muted = on;
    for (const track of this.stream.getAudioTracks()) track.enabled = !on;
    this.#send({ type: "mute", on });
    this.events.heard(0);
  }

  /** Silence the speaker at once. */
  hush() {
    this.speaker.port.postMessage({ type: "flush" });
  }

  /** The person hangs up. */
  end() {
    this.#end("");
  }

  #connect() {
    const query = new URLSearchParams({ conversation: this.conversation, zone: zone() });
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/voice?${query}`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#failures = 0;
      if (this.#muted) this.#send({ type: "mute", on: true });
    });
    socket.addEventListener("message", (message) => this.#received(message.data));
    socket.addEventListener("close", () => this.#lost());
  }

  #lost() {
    this.#socket = null;
    if (this.#over) return;
    this.hush();
    this.#failures += 1;
    if (this.#failures > 8) {
      this.#end("The voice connection was lost.");
      return;
    }
    setTimeout(
      () => {
        if (!this.#over) this.#connect();
      },
      Math.min(5000, 250 * 2 ** (this.#failures - 1)),
    );
  }

  /** @param {ArrayBuffer | string} data */
  #received(data) {
    if (data instanceof ArrayBuffer) {
      this.speaker.port.postMessage({ type: "audio", samples: data }, [data]);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "interrupt") this.hush();
    else if (message.type === "mark") this.speaker.port.postMessage({ type: "mark", id: message.id });
  }

  /** @param {{samples: ArrayBuffer, level: number}} frame */
  #captured(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(frame.samples);
    if (!this.#muted) this.events.heard(frame.level);
  }

  /** @param {{type: string, id?: number, level?: number}} news */
  #sounded(news) {
    if (news.type === "level") this.events.spoke(news.level ?? 0);
    if (news.type !== "played") return;
    // What left the worklet is heard a little later, after the sound card's own buffer.
    setTimeout(() => this.#send({ type: "played", id: news.id }), (this.down.outputLatency || 0) * 1000);
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {string} reason */
  #end(reason) {
    if (this.#over) return;
    this.#over = true;
    hangUp(this.#socket);
    for (const track of this.stream.getTracks()) track.stop();
    void this.up.close();
    void this.down.close();
    this.events.ended(reason);
  }
}

/**
 * A context at 16 kHz where the browser lets a microphone into one (Firefox does not): else at the microphone's own
 * rate, and the worklet resamples.
 * @param {MediaStream} stream
 */
function microphoneContext(stream) {
  const wanted = new AudioContext({ sampleRate: UP_HZ, latencyHint: "interactive" });
  try {
    return { context: wanted, source: wanted.createMediaStreamSource(stream) };
  } catch {
    void wanted.close();
    const context = new AudioContext({ latencyHint: "interactive" });
    return { context, source: context.createMediaStreamSource(stream) };
  }
}
