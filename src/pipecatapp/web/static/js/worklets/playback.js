// @ts-check
/// <reference path="./worklet.d.ts" />
// The speaker's side: a short buffer against jitter, marks that say what has been heard, silence on demand.

import { Resampler } from "./resampler.js";

// Sound that is collected before it begins: less stutters on a busy network, more is felt as delay.
const BUFFER_S = 0.08;

class Playback extends AudioWorkletProcessor {
  /** @param {{processorOptions: {rate: number}}} options */
  constructor(options) {
    super();
    this.rate = options.processorOptions.rate;
    /** @type {Array<{samples?: Float32Array, mark?: number}>} */
    this.queue = [];
    this.offset = 0;
    this.waiting = 0;
    this.playing = false;
    this.idleFor = 0;
    this.power = 0;
    this.measured = 0;
    this.resampler = new Resampler(this.rate, sampleRate);
    this.port.onmessage = (message) => this.told(message.data);
  }

  clear() {
    this.queue = [];
    this.offset = 0;
    this.waiting = 0;
    this.playing = false;
    this.idleFor = 0;
    this.power = 0;
    this.measured = 0;
    this.resampler = new Resampler(this.rate, sampleRate);
  }

  /** @param {{type: string, samples?: ArrayBuffer, id?: number}} message */
  told(message) {
    if (message.type === "flush") {
      this.clear();
      this.port.postMessage({ type: "level", level: 0 });
    } else if (message.type === "mark") {
      this.queue.push({ mark: message.id });
    } else if (message.samples) {
      const pcm = new Int16Array(message.samples);
      const samples = this.resampler.push(Float32Array.from(pcm, (value) => value / 32768));
      this.queue.push({ samples });
      this.waiting += samples.length;
    }
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const out = outputs[0]?.[0];
    if (!out) return true;
    if (!this.playing) this.decideToPlay(out.length);
    if (this.playing) this.play(out);
    return true;
  }

  /** @param {number} quantum */
  decideToPlay(quantum) {
    this.idleFor = this.queue.length ? this.idleFor + quantum : 0;
    this.playing = this.waiting >= BUFFER_S * sampleRate || this.idleFor >= BUFFER_S * sampleRate;
  }

  /** @param {Float32Array} out */
  play(out) {
    let written = 0;
    while (this.queue.length && (written < out.length || this.queue[0].mark !== undefined)) {
      const { samples, mark } = this.queue[0];
      if (!samples) {
        this.port.postMessage({ type: "played", id: mark });
        this.queue.shift();
        continue;
      }
      const count = Math.min(out.length - written, samples.length - this.offset);
      out.set(samples.subarray(this.offset, this.offset + count), written);
      written += count;
      this.offset += count;
      this.waiting -= count;
      if (this.offset < samples.length) break;
      this.queue.shift();
      this.offset = 0;
    }
    this.measure(out);
    if (!this.queue.length) {
      this.playing = false;
      this.idleFor = 0;
    }
  }

  /** @param {Float32Array} out */
  measure(out) {
    for (const value of out) this.power += value * value;
    this.measured += out.length;
    const empty = this.queue.length === 0;
    if (this.measured < sampleRate / 20 && !empty) return;
    const level = empty ? 0 : Math.min(1, Math.sqrt(this.power / this.measured) * 4);
    this.port.postMessage({ type: "level", level });
    this.power = 0;
    this.measured = 0;
  }
}

registerProcessor("playback", Playback);
