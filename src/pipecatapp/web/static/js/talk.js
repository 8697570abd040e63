// @ts-check
// The big button and its neighbours: talk, mute, pause, interrupt.

import { post } from "./api.js";
import { on, tell } from "./bus.js";
import { conversation } from "./current.js";
import { $, button, setIcon } from "./dom.js";
import { microphoneAllowed } from "./secure.js";
import * as state from "./state.js";
import { VoiceSession } from "./voice.js";

/** @type {VoiceSession | null} */
let session = null;
let beginning = false;

/** @param {number} level */
function ring(level) {
  $("#talk").style.setProperty("--level", level.toFixed(2));
}

function show() {
  const talking = session !== null;
  const muted = session?.muted ?? false;
  state.update({ talking, muted });
  const talk = button("#talk");
  talk.setAttribute("aria-pressed", String(talking));
  setIcon(talk, talking ? (muted ? "mute" : "end") : "mic");
  const mute = button("#mute");
  mute.disabled = !talking;
  mute.setAttribute("aria-pressed", String(muted));
  if (!talking) ring(0);
}

/** @param {unknown} error */
function whyNoMicrophone(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError")
    return "The browser did not allow the microphone. Allow it for this page (the sign beside the address), then press the button again.";
  if (name === "NotFoundError") return "This device has no microphone. You can type instead.";
  if (name === "NotReadableError") return "Another program uses the microphone.";
  return `The microphone could not be opened: ${error instanceof Error ? error.message : error}`;
}

async function begin() {
  if (!microphoneAllowed()) {
    tell("page:insecure");
    return;
  }
  beginning = true;
  try {
    session = await VoiceSession.begin(conversation(), {
      heard: (level) => {
        if (state.current() !== "speaking") ring(level);
      },
      spoke: (level) => {
        if (state.current() === "speaking") ring(level);
      },
      ended: (reason) => {
        session = null;
        show();
        if (reason) tell("page:notice", reason);
      },
    });
    tell("page:notice-done");
  } catch (error) {
    tell("page:notice", whyNoMicrophone(error));
  } finally {
    beginning = false;
    show();
  }
}

/** Begin to talk, or hang up. */
export function toggleTalk() {
  if (beginning) return;
  if (session) session.end();
  else void begin();
}

/** Hang up, where one talks. */
export function endTalk() {
  session?.end();
}

export function toggleMute() {
  if (!session) return;
  session.mute(!session.muted);
  show();
}

/** Stop the answer now: first here, then at the server. */
export async function interrupt() {
  session?.hush();
  await attempt(() => post("/api/interrupt", { conversation: conversation() }));
}

async function togglePause() {
  if (!state.paused()) session?.hush();
  await attempt(() => post("/api/pause", { conversation: conversation(), paused: !state.paused() }));
}

/** @param {() => Promise<unknown>} action */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    tell("page:notice", error instanceof Error ? error.message : String(error));
  }
}

export function start() {
  button("#talk").addEventListener("click", toggleTalk);
  button("#mute").addEventListener("click", toggleMute);
  button("#pause").addEventListener("click", () => void togglePause());
  button("#interrupt").addEventListener("click", () => void interrupt());
  on("page:state", (event) => {
    const busy = event.text === "thinking" || event.text === "speaking";
    button("#interrupt").disabled = !busy;
    const pause = button("#pause");
    pause.setAttribute("aria-pressed", String(state.paused()));
    setIcon(pause, state.paused() ? "play" : "pause");
    if (event.text !== "speaking" && event.text !== "listening") ring(0);
  });
  show();
}
