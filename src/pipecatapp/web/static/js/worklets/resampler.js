// @ts-check
// Changes a sample rate in pieces of any length: a windowed sinc, its low-pass at the lower of the two rates.

const PHASES = 256;
const REACH = 16;

export class Resampler {
  /**
   * @param {number} from samples a second that come in
   * @param {number} to samples a second that go out
   */
  constructor(from, to) {
    this.step = from / to;
    this.same = from === to;
    const cutoff = Math.min(1, to / from);
    this.half = Math.ceil(REACH / cutoff);
    this.table = kernel(this.half, cutoff);
    this.kept = new Float32Array(this.half);
    this.position = this.half;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array}
   */
  push(samples) {
    if (this.same) return samples.slice();
    const input = new Float32Array(this.kept.length + samples.length);
    input.set(this.kept);
    input.set(samples, this.kept.length);
    const width = 2 * this.half;
    const last = input.length - this.half;
    const out = new Float32Array(Math.max(0, Math.ceil((last - this.position) / this.step)));
    let written = 0;
    for (; this.position < last && written < out.length; this.position += this.step) {
      const whole = Math.floor(this.position);
      const row = Math.round((this.position - whole) * (PHASES - 1)) * width;
      let sum = 0;
      for (let tap = 0; tap < width; tap++) sum += input[whole - this.half + 1 + tap] * this.table[row + tap];
      out[written++] = sum;
    }
    const keepFrom = Math.max(0, Math.floor(this.position) - this.half);
    this.kept = input.slice(keepFrom);
    this.position -= keepFrom;
    return written === out.length ? out : out.slice(0, written);
  }
}

/**
 * One row of taps for each fraction of a sample.
 * @param {number} half
 * @param {number} cutoff
 */
function kernel(half, cutoff) {
  const width = 2 * half;
  const table = new Float32Array(PHASES * width);
  for (let phase = 0; phase < PHASES; phase++) {
    const fraction = phase / (PHASES - 1);
    let sum = 0;
    for (let tap = 0; tap < width; tap++) {
      const x = tap - half + 1 - fraction;
      const angle = Math.PI * x * cutoff;
      const sinc = x === 0 ? 1 : Math.sin(angle) / angle;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / half);
      const value = Math.abs(x) >= half ? 0 : sinc * window;
      table[phase * width + tap] = value;
      sum += value;
    }
    for (let tap = 0; tap < width; tap++) table[phase * width + tap] /= sum;
  }
  return table;
}
