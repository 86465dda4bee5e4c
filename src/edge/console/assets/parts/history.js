// The last hour of the node, or of a service, in three charts: calls, latency, and what waits.

import { getHistory } from "../api/node.js";
import { fill, h } from "../core/dom.js";
import { count, rate } from "../core/format.js";
import { poll } from "../core/poll.js";
import { duration, durationMs, toMs } from "../core/time.js";
import { chart } from "./chart.js";
import { failureBox } from "./notice.js";

/** @typedef {import("../api/types.js").Sample} Sample */

/** How often the node takes a sample. */
const EVERY_MS = 10_000;
const HOUR_MS = 3_600_000;

/**
 * @param {string} service of the node where it is empty
 * @param {AbortSignal} scope
 * @param {(samples: Sample[], intervalMs: number) => void} [onSamples]
 */
export function historyCharts(service, scope, onSamples) {
  const calls = chart("Calls per second", rate, scope);
  const latency = chart("Latency", duration, scope);
  const queue = chart("Oldest pending", duration, scope);
  const element = h("div", { class: "charts" }, calls.element, latency.element, queue.element);
  /** @type {Sample[]} */
  let samples = [];

  poll(scope, EVERY_MS, async (signal) => {
    const fromTime = samples.at(-1)?.time;
    let answer;
    try {
      answer = await getHistory({ service: service || undefined, fromTime }, signal);
    } catch (error) {
      if (!signal.aborted && samples.length === 0) fill(element, failureBox(error));
      throw error;
    }
    const fresh = (answer.samples ?? []).filter((sample) => !fromTime || sample.time > fromTime);
    const interval = durationMs(answer.interval) || EVERY_MS;
    samples = [...samples, ...fresh].slice(-Math.ceil(HOUR_MS / interval));
    draw(samples, interval, answer.observeTime);
    onSamples?.(samples, interval);
  });

  /**
   * @param {Sample[]} known
   * @param {number} interval in milliseconds
   * @param {string | undefined} observed
   */
  function draw(known, interval, observed) {
    const { times, at } = regular(known, interval, observed);
    const perSecond = (/** @type {(sample: Sample) => number} */ read) =>
      at.map((sample) => (sample ? read(sample) / (interval / 1000) : 0));
    const ms = (/** @type {number | undefined} */ seconds) => (seconds === undefined ? null : seconds * 1000);
    calls.show(times, [
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
    latency.show(times, [
      { label: "p50", colour: "--accent", values: at.map((sample) => ms(sample?.durationP50)) },
      { label: "p99", colour: "--text-2", isDashed: true, values: at.map((sample) => ms(sample?.durationP99)) },
    ]);
    queue.show(times, [
      { label: "age", colour: "--accent", isFilled: true, values: at.map((sample) => ms(sample?.oldestDueAge) ?? 0) },
    ]);
  }
  return element;
}

/**
 * The samples at regular times of the last hour, null where there is none: nothing happened then.
 *
 * @param {Sample[]} samples
 * @param {number} interval
 * @param {string | undefined} observed
 */
function regular(samples, interval, observed) {
  const last = samples.at(-1);
  const end = Math.floor(toMs(observed ?? last?.time ?? new Date().toISOString()) / interval);
  const bySlot = new Map(samples.map((sample) => [Math.floor(toMs(sample.time) / interval), sample]));
  const slots = Array.from(
    { length: Math.ceil(HOUR_MS / interval) },
    (_, index) => end - Math.ceil(HOUR_MS / interval) + 1 + index,
  );
  return { times: slots.map((slot) => (slot * interval) / 1000), at: slots.map((slot) => bySlot.get(slot) ?? null) };
}

/**
 * What the last minute says, in numbers.
 *
 * @param {Sample[]} samples
 * @param {number} interval
 */
export function lastMinute(samples, interval) {
  const some = samples.slice(-Math.max(1, Math.round(60_000 / interval)));
  const sum = (/** @type {(sample: Sample) => number} */ read) =>
    some.reduce((total, sample) => total + read(sample), 0);
  const seconds = (some.length * interval) / 1000 || 1;
  const failed = sum((sample) => Number(sample.failed ?? 0));
  const calls = failed + sum((sample) => Number(sample.succeeded ?? 0));
  return { rate: calls / seconds, calls, failed, said: count(calls) };
}
