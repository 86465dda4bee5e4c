// Times and durations: relative ones that count on, with the exact one on hover, by the clock of the node.

import { h } from "./dom.js";

/** How far the clock of the node is ahead of that of the browser, in milliseconds. */
let skew = 0;
/** Clocks that differ by less agree: `date` of HTTP has whole seconds. */
const SKEW_MIN = 2_500;

/**
 * Learns the clock of the node from the header of an answer.
 *
 * @param {string | null} date
 */
export function learnClock(date) {
  const time = Date.parse(date ?? "");
  if (Number.isNaN(time)) return;
  const difference = time + 500 - Date.now();
  skew = Math.abs(difference) < SKEW_MIN ? 0 : difference;
}

/** The time at the node, in milliseconds. */
export function now() {
  return Date.now() + skew;
}

/**
 * The milliseconds of a timestamp of the contract, with their fraction: it has nanoseconds.
 *
 * @param {string} timestamp
 */
export function toMs(timestamp) {
  const [, seconds, fraction = "", zone] = /^(.*?:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(timestamp) ?? [];
  if (seconds === undefined) return Date.parse(timestamp);
  return Date.parse(seconds + zone) + Number(`0${fraction}`) * 1000;
}

/**
 * The milliseconds of a duration of the contract, such as `1.5s`.
 *
 * @param {string | undefined} text
 */
export function durationMs(text) {
  return text === undefined ? 0 : Number.parseFloat(text) * 1000;
}

/**
 * A length of time, in the unit that fits.
 *
 * @param {number} ms
 */
export function duration(ms) {
  if (ms < 0) return "0 ms";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return coarse(ms, true);
}

/**
 * @param {number} ms
 * @param {boolean} both units, such as minutes and seconds
 */
function coarse(ms, both = false) {
  const s = Math.floor(Math.abs(ms) / 1000);
  /** @type {[number, string, number, string][]} */
  const units = [
    [86_400, "d", 3600, "h"],
    [3600, "h", 60, "m"],
    [60, "m", 1, "s"],
  ];
  for (const [unit, name, part, partName] of units) {
    if (s < unit) continue;
    const rest = Math.floor((s % unit) / part);
    return both && rest > 0 ? `${Math.floor(s / unit)}${name} ${rest}${partName}` : `${Math.floor(s / unit)}${name}`;
  }
  return `${s}s`;
}

/**
 * How long ago a time was, or how long it takes until then.
 *
 * @param {number} ms
 */
export function relative(ms) {
  const away = ms - now();
  if (away > 999) return `in ${coarse(away, true)}`;
  return away > -1000 ? "now" : `${coarse(away)} ago`;
}

/** @param {number} ms */
export function exact(ms) {
  const local = new Date(ms);
  const pad = (/** @type {number} */ value, size = 2) => String(value).padStart(size, "0");
  const day = `${local.getFullYear()}-${pad(local.getMonth() + 1)}-${pad(local.getDate())}`;
  const time = `${pad(local.getHours())}:${pad(local.getMinutes())}:${pad(local.getSeconds())}`;
  const offset = -local.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`;
  return `${day} ${time}.${pad(local.getMilliseconds(), 3)} ${zone}`;
}

/**
 * An element with a relative time, which `tickTimes` keeps right.
 *
 * @param {string | undefined} timestamp
 */
export function ago(timestamp) {
  if (!timestamp) return h("span", { class: "quiet" }, "–");
  const ms = toMs(timestamp);
  return h("time", { datetime: timestamp, title: exact(ms), dataset: { ms: String(ms) } }, relative(ms));
}

/** Brings all relative times of the page up to date, every second while it is seen. */
export function tickTimes() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-ms]")) {
      const text = relative(Number(/** @type {HTMLElement} */ (element).dataset.ms));
      if (element.textContent !== text) element.textContent = text;
    }
  }, 1000);
}
