// What a screen shows instead of its content: that it loads, that there is nothing, that it failed.

import { ApiError } from "../api/connect.js";
import { fill, h } from "../core/dom.js";
import { icon } from "./icon.js";
import { said } from "./said.js";

/**
 * @param {string} title
 * @param {...import("../core/dom.js").Child} detail
 */
export function empty(title, ...detail) {
  const parts = detail.flatMap((part) => (typeof part === "string" ? said(part) : [part]));
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), h("p", { class: "quiet" }, ...parts));
}

/** Lines where content will be. They appear only after a while, so that what is fast does not flicker. */
export function loading(lines = 6) {
  const bars = Array.from({ length: lines }, () => h("div", { class: "skeleton" }));
  return h("div", { class: "loading", role: "status", "aria-label": "Loading" }, ...bars);
}

/**
 * @param {unknown} error
 * @returns {string}
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * A failure, with its reason and what can be done.
 *
 * @param {unknown} error
 * @param {(() => void) | null} [retry]
 */
export function failureBox(error, retry) {
  const reason = error instanceof ApiError ? error.reason : "";
  return h(
    "div",
    { class: "failure-box", role: "alert" },
    icon("failed"),
    h(
      "div",
      { class: "grow" },
      h("p", null, ...said(messageOf(error))),
      reason && h("p", { class: "quiet mono small" }, reason),
    ),
    retry && h("button", { class: "button", onclick: retry }, "Try again"),
  );
}

/**
 * A place for a message that comes and goes, such as the failure of a button.
 *
 * @returns {HTMLElement & {show: (error: unknown) => void, clear: () => void}}
 */
export function messagePlace() {
  const place = h("div", { class: "message-place" });
  return Object.assign(place, {
    show: (/** @type {unknown} */ error) => void fill(place, failureBox(error)),
    clear: () => place.replaceChildren(),
  });
}

const TOAST_MS = 4000;
const TOASTS_MAX = 3;

/**
 * Says for a few seconds that something is done.
 *
 * @param {string} text
 * @param {...import("../core/dom.js").Child} more
 */
export function toast(text, ...more) {
  let area = document.querySelector(".toasts");
  if (!area) {
    area = h("div", { class: "toasts", role: "status" });
    document.body.append(area);
  }
  const message = h("div", { class: "toast" }, text, ...more);
  area.append(message);
  while (area.childElementCount > TOASTS_MAX) area.firstElementChild?.remove();
  setTimeout(() => message.remove(), TOAST_MS);
}
