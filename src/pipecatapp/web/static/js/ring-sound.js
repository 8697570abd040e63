// @ts-check
// The sound of a ring on a page without a voice session: sine waves of our own, as voice/ringing.py makes them.

const NOTES = [880, 1108.7, 1318.5];
const LEVEL = 0.5;
const EVERY_MS = 3000;

/** @type {AudioContext | null} */
let context = null;
/** @type {number | undefined} */
let timer;

function chime() {
  context ??= new AudioContext();
  // Without a click on this page a browser keeps it silent; the banner is there all the same.
  if (context.state === "suspended") context.resume().catch(() => {});
  for (const [at, pitch] of [...NOTES, ...NOTES].entries()) {
    const begins = context.currentTime + at * 0.18 + (at >= NOTES.length ? 0.36 : 0);
    const loudness = context.createGain();
    loudness.gain.setValueAtTime(0, begins);
    loudness.gain.linearRampToValueAtTime(LEVEL / 2, begins + 0.005);
    loudness.gain.exponentialRampToValueAtTime(0.001, begins + 1);
    const tone = context.createOscillator();
    tone.frequency.value = pitch;
    tone.connect(loudness).connect(context.destination);
    tone.start(begins);
    tone.stop(begins + 1);
  }
}

/** @param {boolean} on */
export function ring(on) {
  if (on && timer === undefined) {
    chime();
    timer = window.setInterval(chime, EVERY_MS);
  } else if (!on && timer !== undefined) {
    window.clearInterval(timer);
    timer = undefined;
  }
}
