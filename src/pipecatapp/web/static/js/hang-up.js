// @ts-check
// Ending a WebSocket without a complaint of the browser: one that is not open yet is closed as soon as it is.

/** @param {WebSocket | null} socket */
export function hangUp(socket) {
  if (socket?.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => socket.close());
  else socket?.close();
}
