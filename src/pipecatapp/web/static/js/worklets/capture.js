// @ts-check
/// <reference path="./worklet.d.ts" />
// The microphone's side: frames of 20 ms as 16-bit samples, each with its loudness.

import { Resampler } from "./resampler.js";

class Capture extends AudioWorkletProcessor {
  /** @param {{processorOptions: {rate: number}}} options */
  constructor(options) {
    super();
    const rate = options.processorOptions.rate;
    this.resampler = new Resampler(sampleRate, rate);
    this.frame = new Int16Array(rate / 50);
    this.filled = 0;
    this.power = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channel = inputs[0]?.[0];
    if (channel) this.take(this.resampler.push(channel));
    return true;
  }

  /** @param {Float32Array} samples */
  take(samples) {
    for (const sample of samples) {
      const value = Math.max(-1, Math.min(1, sample));
      this.frame[this.filled++] = value < 0 ? value * 32768 : value * 32767;
      this.power += value * value;
      if (this.filled === this.frame.length) this.send();
    }
  }

  send() {
    const level = Math.min(1, Math.sqrt(this.power / this.frame.length) * 4);
    const samples = this.frame.buffer.slice(0);
    this.port.postMessage({ samples, level }, [samples]);
    this.filled = 0;
    this.power = 0;
  }
}

registerProcessor("capture", Capture);
