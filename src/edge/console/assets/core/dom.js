// Builds elements. Everything that comes from outside becomes text here: no module of the console writes HTML, and what
// is read, as a text or as a hint, has its control characters as escapes. Values of inputs are kept as they are.

import { visible } from "./text.js";

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, unknown> & {class?: string | null}} Attributes */

/** Attributes that are read as a text is. */
const READ = new Set(["title", "aria-label", "placeholder", "alt", "label"]);

/**
 * An element with attributes and children.
 *
 * Texts are shown by `visible`: what is to be kept raw is a property, such as `value`, or a text node of the caller.
 * `onclick` and the like are listeners, `dataset` is an object, a boolean sets or removes an attribute, and `value`,
 * `checked` and `disabled` are properties. Children that are null, undefined or false are left out.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  append(element, children);
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {unknown} value
 */
function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) {
    element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
  } else if (name === "dataset") {
    Object.assign(element.dataset, value);
  } else if (name === "value" || name === "checked" || name === "disabled") {
    Object.assign(element, { [name]: value });
  } else {
    const text = value === true ? "" : String(value);
    element.setAttribute(name, READ.has(name) ? visible(text) : text);
  }
}

/**
 * @param {Node} parent
 * @param {(Child | Child[])[]} children
 */
export function append(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(visible(String(child))));
  }
}

/**
 * Replaces the children of an element.
 *
 * @template {Element} E
 * @param {E} parent
 * @param {...(Child | Child[])} children
 * @returns {E}
 */
export function fill(parent, ...children) {
  const fragment = document.createDocumentFragment();
  append(fragment, children);
  parent.replaceChildren(fragment);
  return parent;
}

/**
 * Sets a hint that is shown under the pointer.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setTitle(element, text) {
  element.title = visible(text);
}

/**
 * Changes a text only where it differs, so that nothing is selected or announced twice.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  const shown = visible(text);
  if (element.textContent !== shown) element.textContent = shown;
}

let lastId = 0;

/**
 * An id that no other element has, for labels and descriptions.
 *
 * @param {string} prefix
 */
export function uniqueId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}
