// Rates and quantiles of services: those of the last minutes as the node has them, otherwise from the difference of two
// readings of its counts.

import { durationMs, toMs } from "./time.js";

/** @typedef {import("../api/types.js").ServiceStats} ServiceStats */
/** @typedef {import("../api/types.js").StatsAnswer} StatsAnswer */
/** @typedef {{calls: number, rate: number, failed: number, p50: number | null, p99: number | null}} Rates */

/** Differences are taken over at most so long. */
const WINDOW_MS = 60_000;

export class RateBook {
  constructor() {
    /** @type {StatsAnswer[]} */
    this.readings = [];
  }

  /** @param {StatsAnswer} answer */
  add(answer) {
    const at = toMs(answer.observeTime);
    if (this.readings[0]?.startTime !== answer.startTime) this.readings = [];
    this.readings.push(answer);
    while (this.readings.length > 2 && at - toMs(this.readings[1]?.observeTime ?? "") >= WINDOW_MS)
      this.readings.shift();
  }

  /**
   * @param {string} service
   * @returns {Rates | null} null where nothing is known of it
   */
  of(service) {
    const last = this.readings.at(-1);
    const stats = last?.stats?.find((one) => one.service === service);
    if (!last || !stats) return null;
    if (stats.recent) return recentRates(stats.recent);
    const first = this.readings.length > 1 ? this.readings[0] : undefined;
    const before = first?.stats?.find((one) => one.service === service);
    const seconds = (toMs(last.observeTime) - toMs(first?.observeTime ?? last.startTime)) / 1000;
    const calls = countOf(stats) - countOf(before);
    const bounds = stats.duration?.bounds ?? [];
    const counts = (stats.duration?.counts ?? []).map(
      (value, at) => Number(value) - Number(before?.duration?.counts[at] ?? 0),
    );
    return {
      calls,
      rate: seconds > 0 ? calls / seconds : 0,
      failed: countOf(stats, "OUTCOME_KIND_FAILED") - countOf(before, "OUTCOME_KIND_FAILED"),
      p50: quantile(bounds, counts, 0.5),
      p99: quantile(bounds, counts, 0.99),
    };
  }
}

/** @param {NonNullable<ServiceStats["recent"]>} recent */
function recentRates(recent) {
  const calls = Number(recent.calls ?? 0);
  const ms = (/** @type {number | undefined} */ seconds) => (seconds === undefined ? null : seconds * 1000);
  return {
    calls,
    rate: calls / Math.max(1, durationMs(recent.period) / 1000),
    failed: Number(recent.failed ?? 0),
    p50: ms(recent.durationP50),
    p99: ms(recent.durationP99),
  };
}

/**
 * @param {ServiceStats | undefined} stats
 * @param {string} [outcome] all where it is absent
 */
function countOf(stats, outcome) {
  const counted = (stats?.outcomes ?? []).filter((one) => outcome === undefined || one.outcome === outcome);
  return counted.reduce((sum, one) => sum + Number(one.count), 0);
}

/**
 * A quantile in milliseconds: the bound of its bucket, with the share of it that is below.
 *
 * @param {number[]} bounds in seconds
 * @param {number[]} counts
 * @param {number} share
 */
function quantile(bounds, counts, share) {
  const total = counts.reduce((sum, value) => sum + value, 0);
  if (total <= 0) return null;
  let left = total * share;
  for (const [at, value] of counts.entries()) {
    if (value < left) {
      left -= value;
      continue;
    }
    const low = bounds[at - 1] ?? 0;
    const high = bounds[at] ?? low;
    return 1000 * (low + (high - low) * (value === 0 ? 0 : left / value));
  }
  return 1000 * (bounds.at(-1) ?? 0);
}
