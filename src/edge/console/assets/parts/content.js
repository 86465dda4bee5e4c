// Shows an input, an output or an item as text. It comes from outside and is never HTML: JSON is coloured token by
// token, and what is long is shown in part, with all of it to copy and to save.

import { h } from "../core/dom.js";
import { bytes } from "../core/format.js";
import { pretty, tokens } from "../core/json_text.js";
import { fromBase64, visible } from "../core/text.js";
import { copyButton } from "./controls.js";
import { icon } from "./icon.js";

/** @typedef {import("../api/types.js").Content} Content */

/** A browser lays out a longer text slowly. */
const SHOWN_MAX = 200_000;
/** So many characters are coloured: each token is an element. */
const COLOURED_MAX = 20_000;

/**
 * The text of a content: JSON with an indent, or a document as it is. Null if there is none.
 *
 * @param {Content | undefined} content
 * @returns {{text: string, isJson: boolean} | null}
 */
export function textOf(content) {
  if (!content) return null;
  if (content.document !== undefined) {
    const isJson = (content.dataFormat ?? "DATA_FORMAT_JSON") === "DATA_FORMAT_JSON";
    const text = fromBase64(content.document);
    return { text: isJson && text.length < SHOWN_MAX * 10 ? pretty(text) : text, isJson };
  }
  const value = content.payload !== undefined ? content.payload : content.value;
  if (value === undefined) return null;
  return { text: JSON.stringify(value, null, 2), isJson: true };
}

/**
 * @param {Content | undefined} content
 * @param {string} what it is, such as `response`
 */
export function contentView(content, what) {
  const found = textOf(content);
  if (!found) return h("p", { class: "quiet" }, `No ${what}`);
  return textView(found.text, what, found.isJson);
}

/**
 * @param {string} text
 * @param {string} what
 * @param {boolean} isJson
 */
export function textView(text, what, isJson) {
  const pre = h("pre", { class: "content", tabindex: "0", role: "region", "aria-label": what });
  const shown = text.slice(0, SHOWN_MAX);
  if (isJson && shown.length <= COLOURED_MAX) pre.append(...coloured(shown));
  else pre.textContent = visible(shown);
  const rest = text.length - shown.length;
  const save = h("button", { class: "icon-button", title: `Save ${what}`, "aria-label": `Save ${what}` }, icon("save"));
  save.addEventListener("click", () => saveText(text, `${what}.${isJson ? "json" : "txt"}`));
  return h(
    "div",
    { class: "content-box" },
    h(
      "div",
      { class: "content-tools" },
      copyButton(() => text, what),
      save,
    ),
    pre,
    rest > 0 &&
      h(
        "p",
        { class: "quiet small" },
        `The first ${bytes(shown.length)} of ${bytes(text.length)} are shown. Copy or save it for the rest.`,
      ),
  );
}

/**
 * @param {string} text
 * @returns {Node[]}
 */
function coloured(text) {
  const nodes = [];
  let at = 0;
  try {
    const all = [...tokens(text)];
    all.forEach((token, index) => {
      nodes.push(document.createTextNode(text.slice(at, token.at)));
      const isKey = token.text.startsWith('"') && all[index + 1]?.text === ":";
      const kind = isKey ? "key" : kindOf(token.text);
      nodes.push(
        kind ? h("span", { class: `json-${kind}` }, token.text) : document.createTextNode(token.text),
      );
      at = token.at + token.text.length;
    });
  } catch {
    // It is no JSON: the rest follows as it is.
  }
  nodes.push(document.createTextNode(visible(text.slice(at))));
  return nodes;
}

/** @param {string} token */
function kindOf(token) {
  if (token.startsWith('"')) return "text";
  return /^[-\d]/.test(token) ? "number" : /^[tfn]/.test(token) ? "word" : "";
}

/**
 * @param {string} text
 * @param {string} name of the file
 */
function saveText(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
