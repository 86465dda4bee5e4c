// The log-in: an API key, or a token, for a session.

import { logIn } from "../api/session.js";
import { h } from "../core/dom.js";
import { messagePlace } from "../parts/notice.js";

/**
 * @param {() => Promise<void>} entered
 * @returns {HTMLElement}
 */
export default function login(entered) {
  document.title = "Log in · Cidery";
  const key = h("input", {
    type: "password",
    id: "key",
    autocomplete: "current-password",
    required: true,
    autofocus: true,
    spellcheck: "false",
  });
  const button = h("button", { class: "button primary", type: "submit" }, "Log in");
  const message = messagePlace();
  const form = h(
    "form",
    { class: "login" },
    h("img", { src: "/console/icon.svg", alt: "", width: "32", height: "32" }),
    h("h1", null, "Log in to this node"),
    h(
      "div",
      { class: "field" },
      h("label", { for: "key" }, "API key"),
      key,
      h(
        "p",
        { class: "field-help" },
        "It is exchanged for a session, and not kept in the browser. ",
        h("code", null, "cidery key new NAME"),
        " makes one.",
      ),
    ),
    message,
    button,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    message.clear();
    button.disabled = true;
    try {
      await logIn(key.value.trim());
      await entered();
      if (form.isConnected) throw new Error("The browser did not keep the session: allow cookies for this node");
    } catch (error) {
      message.show(error);
      button.disabled = false;
      key.select();
    }
  });
  return h("main", { class: "lone" }, form);
}
