// Small controls: buttons that copy, menus, tabs, dialogs.

import { fill, h, uniqueId } from "../core/dom.js";
import { icon } from "./icon.js";
import { toast } from "./notice.js";

/** @typedef {import("../core/dom.js").Child} Child */
/** @typedef {import("./icon.js").IconName} IconName */

/**
 * @param {string} text
 * @param {string} what it is, for the message
 */
export async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied ${what}`);
  } catch {
    // Without TLS, browsers have no clipboard but on loopback.
    const area = h("textarea", { class: "off-screen", "aria-hidden": "true", value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    toast(done ? `Copied ${what}` : "The browser does not allow to copy");
  }
}

/**
 * @param {() => string} text
 * @param {string} what
 */
export function copyButton(text, what) {
  const button = h(
    "button",
    { class: "icon-button", title: `Copy ${what}`, "aria-label": `Copy ${what}` },
    icon("copy"),
  );
  button.addEventListener("click", () => copyText(text(), what));
  return button;
}

/**
 * A button. One that is not allowed says why: it can be focused, so that the reason is read.
 *
 * @param {string} label
 * @param {{run: () => void, icon?: IconName, kind?: string, denied?: string | null, key?: string}} options
 */
export function action(label, { run, icon: name, kind = "", denied = null, key }) {
  const button = h(
    "button",
    {
      class: `button ${kind}`,
      title: denied ?? (key ? `${label} (${key})` : null),
      "aria-disabled": denied ? "true" : null,
    },
    name && icon(name),
    h("span", null, label),
  );
  if (denied) {
    const reason = h("span", { class: "visually-hidden", id: uniqueId("denied") }, denied);
    button.setAttribute("aria-describedby", reason.id);
    button.append(reason);
  }
  button.addEventListener("click", () => (denied ? toast(denied) : run()));
  return button;
}

/**
 * A button that opens a menu.
 *
 * @param {string} label
 * @param {{label: string, hint?: string, icon?: IconName, denied?: string | null, run: () => void}[]} items
 * @param {string} [kind]
 */
export function menu(label, items, kind = "") {
  // In the top layer nothing cuts it off, and its place is that of the page, also within a container.
  const list = h("div", { class: "menu-list", role: "menu", popover: "manual" });
  const button = h(
    "button",
    { class: `button ${kind}`, "aria-haspopup": "menu", "aria-expanded": "false" },
    h("span", null, label),
    icon("down"),
  );
  const show = (/** @type {boolean} */ isOpen) => {
    button.setAttribute("aria-expanded", String(isOpen));
    list.togglePopover(isOpen);
    if (isOpen) putBelow(list, button);
  };
  for (const item of items) {
    const entry = h(
      "button",
      { class: "menu-item", role: "menuitem", title: item.denied, "aria-disabled": item.denied ? "true" : null },
      item.icon && icon(item.icon),
      h("span", { class: "grow" }, item.label),
      item.hint && h("span", { class: "quiet small" }, item.hint),
    );
    entry.addEventListener("click", () => {
      show(false);
      button.focus();
      if (item.denied) toast(item.denied);
      else item.run();
    });
    list.append(entry);
  }
  const root = h("div", { class: "menu" }, button, list);
  button.addEventListener("click", () => {
    show(!isShown(list));
    if (isShown(list)) /** @type {HTMLElement} */ (list.firstElementChild)?.focus();
  });
  root.addEventListener("focusout", (event) => {
    if (!root.contains(/** @type {Node | null} */ (event.relatedTarget))) show(false);
  });
  root.addEventListener("keydown", (event) =>
    moveInMenu(event, list, () => {
      show(false);
      button.focus();
    }),
  );
  return root;
}

/** @param {HTMLElement} list */
function isShown(list) {
  return list.matches(":popover-open");
}

/**
 * Puts a list below its button, or above where there is no room: over everything, so that no scrolled area cuts it off.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement} button
 */
function putBelow(list, button) {
  const at = button.getBoundingClientRect();
  const room = window.innerHeight - at.bottom;
  const isAbove = room < list.offsetHeight + 8 && at.top > room;
  list.style.top = `${isAbove ? at.top - list.offsetHeight - 4 : at.bottom + 4}px`;
  list.style.left = `${Math.max(8, Math.min(at.right - list.offsetWidth, window.innerWidth - list.offsetWidth - 8))}px`;
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} list
 * @param {() => void} close
 */
function moveInMenu(event, list, close) {
  if (!isShown(list)) return;
  const items = /** @type {HTMLElement[]} */ ([...list.children]);
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") close();
  else if (step) items[(at + step + items.length) % items.length]?.focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/**
 * Tabs with their panels. A panel is made when it is first shown.
 *
 * @param {string} label
 * @param {{id: string, label: string, panel: () => Node}[]} tabs
 * @param {{selected?: string, onSelect?: (id: string) => void}} [options]
 * @returns {{bar: HTMLElement, panel: HTMLElement, select: (id: string) => void}}
 */
export function tabs(label, tabs, { selected, onSelect } = {}) {
  const panel = h("div", { class: "tab-panel", role: "tabpanel", id: uniqueId("panel") });
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": label });
  /** @type {Map<string, Node>} */
  const made = new Map();
  const buttons = tabs.map((tab) =>
    h(
      "button",
      { class: "tab", role: "tab", id: uniqueId("tab"), "aria-controls": panel.id, onclick: () => choose(tab.id) },
      tab.label,
    ),
  );
  fill(bar, buttons);

  /** @param {string} id */
  function select(id) {
    const at = Math.max(
      0,
      tabs.findIndex((tab) => tab.id === id),
    );
    const tab = tabs[at];
    if (!tab) return;
    buttons.forEach((button, index) => {
      button.setAttribute("aria-selected", String(index === at));
      button.tabIndex = index === at ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", buttons[at]?.id ?? "");
    const content = made.get(tab.id) ?? tab.panel();
    made.set(tab.id, content);
    panel.replaceChildren(content);
  }
  /** @param {string} id */
  function choose(id) {
    select(id);
    onSelect?.(id);
  }
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const next = (at + step + buttons.length) % buttons.length;
    buttons[next]?.focus();
    choose(tabs[next]?.id ?? "");
  });
  select(selected ?? tabs[0]?.id ?? "");
  return { bar, panel, select };
}

/**
 * A dialog over the page. It is removed when it is closed; the browser keeps the focus in it.
 *
 * @param {string} title
 * @param {(dialog: {close: () => void, element: HTMLDialogElement}) => Child[]} content
 * @param {string} [kind]
 */
export function dialog(title, content, kind = "") {
  const heading = h("h2", { id: uniqueId("dialog") }, title);
  const element = h("dialog", { class: `dialog ${kind}`, "aria-labelledby": heading.id });
  const close = () => element.close();
  const closer = h("button", { class: "icon-button", "aria-label": "Close", onclick: close }, icon("close"));
  fill(element, h("div", { class: "dialog-head" }, heading, closer), ...content({ close, element }));
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  element.showModal();
  focusFirst(element);
  return element;
}

/**
 * Puts the focus on the first field of a dialog, or on its first button where it has none: closing it is not what it
 * is opened for.
 *
 * @param {HTMLElement} element
 */
export function focusFirst(element) {
  const field = "[autofocus], .dialog-body :is(input, select, textarea)";
  const found = element.querySelector(field) ?? element.querySelector(".dialog-actions button");
  /** @type {HTMLElement | null} */ (found)?.focus();
}
