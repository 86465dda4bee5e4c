// The frame of a screen: its heading with its actions, and what is below.

import { h } from "../core/dom.js";
import { href, isOriginBefore, origin } from "../core/router.js";
import { visible } from "../core/text.js";
import { icon } from "./icon.js";

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
  document.title = visible(`${title} · Cidery`);
  const heading = h("h1", { tabindex: "-1", id: "title" }, title);
  return h(
    "header",
    { class: "screen-head" },
    h("div", { class: "screen-title" }, before, heading, ...after),
    h("div", { class: "screen-actions" }, ...actions),
  );
}

/**
 * The arrow before the title of one thing: to where it was opened, with its filter, or to all of its kind.
 *
 * @param {string} list the screen that has all of them
 * @param {string} label
 */
export function backLink(list, label) {
  const from = origin();
  const onclick = (/** @type {MouseEvent} */ event) => {
    if (!isOriginBefore() || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.back();
  };
  return h(
    "a",
    { class: "icon-button", href: from ?? href([list]), "aria-label": from ? "Back" : label, onclick },
    icon("back"),
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
