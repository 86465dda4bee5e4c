// The last hour of the node, or of a service, in three charts: calls, latency, and what waits.

import { getHistory } from "../api/node.js";
import { h, setText } from "../core/dom.js";
import { rate } from "../core/format.js";
import { poll } from "../core/poll.js";
import { duration, durationMs, toMs } from "../core/time.js";
import { chart } from "./chart.js";

/** @typedef {import("../api/types.js").Sample} Sample */

/** How often the node takes a sample. */
const EVERY_MS = 10_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** An axis that is shorter has no ticks to tell times by. */
const SHORTEST_MS = 5 * MINUTE_MS;

/**
 * @param {string} service of the node where it is empty
 * @param {AbortSignal} scope
 * @param {(perSecond: number) => void} [onSamples] told the calls per second of the last minute
 */
export function historyCharts(service, scope, onSamples) {
  const calls = chart("Calls per second", rate, scope);
  const latency = chart("Latency", duration, scope);
  const queue = chart("Oldest pending", duration, scope);
  const heading = h("h2", { class: "history-range" }, "Last hour");
  const charts = h("div", { class: "charts" }, calls.element, latency.element, queue.element);
  const element = h("section", { class: "history" }, heading, charts);
  /** @type {Sample[]} */
  let samples = [];

  poll(scope, EVERY_MS, async (signal) => {
    const fromTime = samples.at(-1)?.time;
    let answer;
    try {
      answer = await getHistory({ service: service || undefined, fromTime }, signal);
    } catch (error) {
      // Its screen says what failed.
      if (!signal.aborted && samples.length === 0) element.hidden = true;
      throw error;
    }
    element.hidden = false;
    const fresh = (answer.samples ?? []).filter((sample) => !fromTime || sample.time > fromTime);
    const interval = durationMs(answer.interval) || EVERY_MS;
    samples = [...samples, ...fresh].slice(-Math.ceil(HOUR_MS / interval));
    draw(samples, interval, answer);
    onSamples?.(lastMinute(samples, answer.observeTime));
  });

  /**
   * @param {Sample[]} known
   * @param {number} interval in milliseconds
   * @param {import("../api/types.js").HistoryAnswer} answer
   */
  function draw(known, interval, answer) {
    const { times, at, isBefore } = regular(known, interval, answer);
    const range = rangeOf(answer);
    setText(heading, range.charAt(0).toUpperCase() + range.slice(1));
    const perSecond = (/** @type {(sample: Sample) => number} */ read) =>
      at.map((sample, index) => (sample ? read(sample) / (interval / 1000) : isBefore(index) ? null : 0));
    const ms = (/** @type {number | undefined} */ seconds) => (seconds === undefined ? null : seconds * 1000);
    calls.show(range, times, [
      {
        label: "succeeded",
        colour: "--accent",
        isFilled: true,
        values: perSecond((sample) => Number(sample.succeeded ?? 0)),
      },
      {
        label: "failed",
        colour: "--bad",
        values: perSecond((sample) => Number(sample.failed ?? 0) + Number(sample.expired ?? 0)),
      },
      {
        label: "refused",
        colour: "--warn",
        isDashed: true,
        values: perSecond((sample) => Number(sample.refused ?? 0)),
      },
    ]);
    latency.show(range, times, [
      { label: "p50", colour: "--accent", values: at.map((sample) => ms(sample?.durationP50)) },
      { label: "p99", colour: "--text-2", isDashed: true, values: at.map((sample) => ms(sample?.durationP99)) },
    ]);
    queue.show(range, times, [
      {
        label: "age",
        colour: "--accent",
        isFilled: true,
        values: at.map((sample, index) => ms(sample?.oldestDueAge) ?? (isBefore(index) ? null : 0)),
      },
    ]);
  }
  return element;
}

/**
 * The samples at regular times of the last hour, null where there is none: nothing happened then. Of a node that is
 * younger they begin with its start: an hour that it has not seen would leave a sliver of what it has.
 *
 * @param {Sample[]} samples
 * @param {number} interval
 * @param {import("../api/types.js").HistoryAnswer} answer
 */
function regular(samples, interval, { observeTime, startTime }) {
  const slotOf = (/** @type {string} */ time) => Math.floor(toMs(time) / interval);
  const bySlot = new Map(samples.map((sample) => [slotOf(sample.time), sample]));
  // The interval that goes on has no sample yet.
  const end = Math.max(slotOf(observeTime) - 1, ...bySlot.keys());
  const begin = slotOf(startTime);
  const known = (end - begin + 2) * interval;
  const length = Math.ceil(Math.min(HOUR_MS, Math.max(SHORTEST_MS, known)) / interval);
  const slots = Array.from({ length }, (_, index) => end - length + 1 + index);
  return {
    times: slots.map((slot) => (slot * interval) / 1000),
    at: slots.map((slot) => bySlot.get(slot) ?? null),
    isBefore: (/** @type {number} */ index) => (slots[index] ?? 0) < begin,
  };
}

/**
 * What the charts show, in words.
 *
 * @param {import("../api/types.js").HistoryAnswer} answer
 */
function rangeOf({ observeTime, startTime }) {
  const age = toMs(observeTime) - toMs(startTime);
  if (age >= HOUR_MS) return "last hour";
  const ago = age < MINUTE_MS ? "less than a minute" : `${Math.floor(age / MINUTE_MS)} min`;
  return `since the start, ${ago} ago`;
}

/**
 * The calls per second of the last minute.
 *
 * @param {Sample[]} samples
 * @param {string} observed
 */
function lastMinute(samples, observed) {
  const some = samples.filter((sample) => toMs(observed) - toMs(sample.time) < MINUTE_MS);
  const calls = some.reduce((sum, sample) => sum + Number(sample.succeeded ?? 0) + Number(sample.failed ?? 0), 0);
  return calls / (MINUTE_MS / 1000);
}
