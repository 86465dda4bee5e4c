// What the node says in sentences for a terminal, as a page shows it: code is set as code, and commands of the command
// line, names and CIDs lead to the screens that do the same.

import { h } from "../core/dom.js";
import { quoted } from "../core/filter.js";
import { href } from "../core/router.js";

const PARTS = /`([^`]+)`|\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b/g;

/**
 * The screens of commands, with the argument that names what they show.
 *
 * @type {[RegExp, (argument: string) => string][]}
 */
const SCREENS = [
  [/^cidery explain ([0-9a-f-]{36})$/, (cid) => href(["invocations", cid])],
  [/^cidery describe (\S+)$/, (name) => href(["services", name])],
  [/^cidery service (?:pause|resume|disable|enable) (\S+)/, (name) => href(["services", name])],
  [/^cidery invocations --service (\S+)/, (name) => href(["invocations"], { filter: `service = ${quoted(name)}` })],
  [/^cidery purge --state succeeded$/, () => href(["invocations"], { filter: "state = SUCCEEDED" })],
  [/^cidery dead-letters$/, () => href(["dead-letters"])],
  [/^cidery workers$/, () => href(["workers"])],
];

/**
 * @param {string} message
 * @returns {import("../core/dom.js").Child[]}
 */
export function said(message) {
  /** @type {import("../core/dom.js").Child[]} */
  const parts = [];
  let end = 0;
  for (const { 0: all, 1: code, 2: cid, index } of message.matchAll(PARTS)) {
    parts.push(message.slice(end, index));
    end = index + all.length;
    const address = cid ? href(["invocations", cid]) : screenOf(code ?? "");
    const text = h("code", null, cid ?? code ?? "");
    parts.push(address ? h("a", { href: address }, text) : text);
  }
  return [...parts, message.slice(end)];
}

/** @param {string} command */
function screenOf(command) {
  for (const [pattern, address] of SCREENS) {
    const found = pattern.exec(command);
    if (found) return address(found[1] ?? "");
  }
  return null;
}
