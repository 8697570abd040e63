// @ts-check
// The one WebSocket that carries events: it reconnects, asks for what it missed, and says when it is down.

import { publish, tell } from "./bus.js";
import { hangUp } from "./hang-up.js";

const LONGEST_WAIT_MS = 8000;

export class Link {
  #conversation = "";
  #boot = "";
  #after = 0;
  #failures = 0;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {number | undefined} */
  #timer;

  constructor() {
    window.addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#retryNow();
    });
  }

  /**
   * Show this conversation from its beginning.
   * @param {string} conversation
   */
  open(conversation) {
    this.#conversation = conversation;
    this.#boot = "";
    this.#after = 0;
    this.#connect();
  }

  #connect() {
    clearTimeout(this.#timer);
    hangUp(this.#socket);
    const query = new URLSearchParams({
      conversation: this.#conversation,
      after: String(this.#after),
      boot: this.#boot,
    });
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws?${query}`);
    this.#socket = socket;
    socket.addEventListener("message", (message) => {
      if (socket === this.#socket) this.#receive(JSON.parse(message.data));
    });
    socket.addEventListener("close", () => {
      if (socket === this.#socket) this.#lost();
    });
  }

  /** @param {import("./types.js").WireEvent} event */
  #receive(event) {
    if (event.type === "hello") {
      this.#failures = 0;
      this.#boot = event.boot ?? "";
      if (event.replay === "full") {
        this.#after = 0;
        tell("page:reset");
      }
      tell("page:connected");
    } else if (event.conversation && event.seq) {
      this.#after = Math.max(this.#after, event.seq);
    }
    publish(event);
  }

  async #lost() {
    this.#socket = null;
    this.#failures += 1;
    tell("page:disconnected");
    const wait = Math.min(LONGEST_WAIT_MS, 300 * 2 ** (this.#failures - 1)) * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#connect(), wait);
    await this.#askToSignIn();
  }

  /** A refused socket does not say why: a request does. */
  async #askToSignIn() {
    try {
      const answer = await fetch("/api/status", { headers: { accept: "application/json" } });
      if (answer.status === 401) location.assign("/login");
    } catch {
      // The server is away: the timer keeps trying.
    }
  }

  #retryNow() {
    if (this.#socket === null && this.#conversation) this.#connect();
  }
}
