// Makes text from outside safe to look at: control characters and characters that change the direction of a line are
// shown as escapes, so that an output cannot pose as something else.

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * What is visible stays as it is: it does no harm twice.
 *
 * @param {string} text
 * @returns {string}
 */
export function visible(text) {
  return text.replace(HIDDEN, (character) => {
    const code = character.charCodeAt(0);
    return code === 0x1b ? "\\e" : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/**
 * A sentence without the backticks that mark code in it, for where it is not set: `said` sets it.
 *
 * @param {string} sentence
 */
export function plain(sentence) {
  return sentence.replace(/`([^`\n]+)`/g, "$1");
}

/**
 * The beginning of a text, on one line.
 *
 * @param {string} text
 * @param {number} most characters
 */
export function oneLine(text, most = 300) {
  const line = visible(text.slice(0, most + 1))
    .replace(/\s+/g, " ")
    .trim();
  return text.length > most ? `${line.slice(0, most)}…` : line;
}

/**
 * @param {string} text UTF-8 is what the node sends and expects
 * @returns {string} base64
 */
export function toBase64(text) {
  const bytes = new TextEncoder().encode(text);
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}

/**
 * @param {string} base64
 * @returns {string}
 */
export function fromBase64(base64) {
  const binary = atob(base64.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
