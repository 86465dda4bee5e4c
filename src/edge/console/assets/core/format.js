// Writes numbers, sizes and names of the contract for people.

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/**
 * A count, with thin groups: `12 345`. Counts of the contract are texts, and zero is left out.
 *
 * @param {string | number | undefined} value
 */
export function count(value) {
  return number.format(Number(value ?? 0)).replaceAll(",", "\u202f");
}

/**
 * A number and its noun.
 *
 * @param {string | number | undefined} value
 * @param {string} one
 * @param {string} [many]
 */
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${Number(value ?? 0) === 1 ? one : many}`;
}

/**
 * A rate in calls a second.
 *
 * @param {number} value
 */
export function rate(value) {
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  return value < 10 ? value.toFixed(value < 1 ? 2 : 1) : count(value);
}

/**
 * A share, of which small ones are told apart from none.
 *
 * @param {number} part
 * @param {number} whole
 */
export function percent(part, whole) {
  if (whole === 0 || part === 0) return "0 %";
  const value = (100 * part) / whole;
  if (value < 0.1) return "<0.1 %";
  return value < 10 ? `${value.toFixed(1)} %` : `${Math.round(value)} %`;
}

/** @param {string | number | undefined} value */
export function bytes(value) {
  let left = Number(value ?? 0);
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (left < 1024) return `${left < 10 && unit !== "B" ? left.toFixed(1) : Math.round(left)} ${unit}`;
    left /= 1024;
  }
  return `${left.toFixed(1)} TiB`;
}

/**
 * A value of an enum without its prefix, as a filter and a person write it: `STATE_FAILED` is `FAILED`.
 *
 * @param {string | undefined} value
 * @param {string} prefix
 */
export function enumName(value, prefix) {
  return (value ?? "").startsWith(prefix) ? (value ?? "").slice(prefix.length) : (value ?? "");
}

/**
 * The same in words: `NO_WORKER` is `no worker`.
 *
 * @param {string | undefined} value
 * @param {string} prefix
 */
export function words(value, prefix = "") {
  return enumName(value, prefix).toLowerCase().replaceAll("_", " ");
}

/**
 * The part of a CID, or of the id of a worker, that tells it apart in a list. Those that are made at the same time begin
 * alike.
 *
 * @param {string} cid
 */
export function shortCid(cid) {
  return cid.slice(-12);
}

/**
 * The name of a worker, without the id that tells it from others of the same name.
 *
 * @param {string} worker `NAME (ID)`
 */
export function workerName(worker) {
  return worker.replace(/ \([0-9a-f-]{36}\)$/, "");
}
