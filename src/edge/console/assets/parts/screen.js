// The frame of a screen: its heading with its actions, and what is below.

import { h } from "../core/dom.js";

/** @typedef {import("../core/dom.js").Child} Child */
/**
 * @typedef {object} Context what a screen is given
 * @property {string[]} path after its own segment
 * @property {URLSearchParams} query
 * @property {AbortSignal} scope ends when another screen is opened
 */

/**
 * @param {string} title
 * @param {{actions?: Child[], before?: Child, after?: Child[]}} [parts]
 */
export function screenHead(title, { actions = [], before = null, after = [] } = {}) {
  document.title = `${title} · Cidery`;
  const heading = h("h1", { tabindex: "-1", id: "title" }, title);
  return h(
    "header",
    { class: "screen-head" },
    h("div", { class: "screen-title" }, before, heading, ...after),
    h("div", { class: "screen-actions" }, ...actions),
  );
}

/**
 * @param {HTMLElement} head
 * @param {...import("../core/dom.js").Child} content
 */
export function screen(head, ...content) {
  return h(
    "section",
    { class: "screen", "aria-labelledby": "title" },
    head,
    h("div", { class: "screen-body" }, ...content),
  );
}

/**
 * A part of a screen with a heading of its own.
 *
 * @param {string} title
 * @param {...import("../core/dom.js").Child} content
 */
export function panel(title, ...content) {
  return h("section", { class: "panel" }, h("h2", null, title), ...content);
}
