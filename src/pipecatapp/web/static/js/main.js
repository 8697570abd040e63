// @ts-check
// Puts the page together: every panel starts to listen, then the link opens.

import { get } from "./api.js";
import * as appearance from "./appearance.js";
import * as approvals from "./approvals.js";
import * as audit from "./audit.js";
import * as banners from "./banners.js";
import { on, tell } from "./bus.js";
import * as camera from "./camera.js";
import * as components from "./components.js";
import * as composer from "./composer.js";
import * as confirm from "./confirm.js";
import * as conversationPanel from "./conversation.js";
import * as costs from "./costs.js";
import { change, conversation, newConversation } from "./current.js";
import { $, button } from "./dom.js";
import * as drawer from "./drawer.js";
import * as experts from "./experts.js";
import * as house from "./house.js";
import * as keys from "./keys.js";
import { Link } from "./link.js";
import * as lists from "./lists.js";
import * as log from "./log.js";
import * as memory from "./memory.js";
import * as memoryStates from "./memory_states.js";
import * as power from "./power.js";
import * as recent from "./recent.js";
import * as ringing from "./ringing.js";
import * as schedule from "./schedule.js";
import * as speed from "./speed.js";
import * as state from "./state.js";
import * as tabs from "./tabs.js";
import * as talk from "./talk.js";
import * as toolList from "./tool_list.js";
import * as tools from "./tools.js";

for (const part of [
  state,
  banners,
  components,
  conversationPanel,
  approvals,
  costs,
  tools,
  toolList,
  lists,
  schedule,
  ringing,
  memory,
  memoryStates,
  audit,
  camera,
  experts,
  house,
  power,
  speed,
  log,
  recent,
  composer,
  talk,
  confirm,
  drawer,
  tabs,
  keys,
  appearance,
]) {
  part.start();
}

const link = new Link();

/** @param {string} id */
function open(id) {
  talk.endTalk();
  drawer.closeDrawer();
  tell("page:reset");
  link.open(id);
}

on("page:open", (event) => open(change(event.text ?? "")));
on("hello", (event) => {
  $("#version").textContent = event.version ? `pipecatapp ${event.version}` : "";
});
button("#new").addEventListener("click", () => {
  open(newConversation());
  $("#words").focus();
});

link.open(conversation());
get("/api/status").then(
  (status) => {
    $("#host").textContent = status.host;
  },
  (error) => tell("page:notice", String(error.message)),
);
