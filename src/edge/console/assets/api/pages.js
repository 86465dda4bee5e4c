// The rows of a list of invocations, page by page, in bounded memory. A page is reached by the token at the end of the
// one before it; tokens stay valid, so that pages far from what is seen are dropped, and loaded again by theirs.

import { toMs } from "../core/time.js";
import { listInvocations } from "./node.js";

/** @typedef {import("./types.js").Invocation} Invocation */
/**
 * @typedef {object} Page
 * @property {string} token with which it was loaded
 * @property {number} start the index of its first row
 * @property {number} length
 * @property {Invocation[] | null} rows null where they were dropped
 */

/** The first page is small: it is on the screen sooner. */
const FIRST = 100;
const NEXT = 500;
/** Pages on the way to what is seen. */
const SKIPPED = 1000;
/** Pages whose rows are kept. */
const KEPT = 24;
/** Requests that look for the rows of a page beyond its length, at once: the next time goes on from there. */
const STEPS_MAX = 8;

const CID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** As lists show it, or more of it. */
const PART_OF_CID = /^[0-9a-f-]{8,35}$/;

export class Pages {
  /**
   * @param {string} filter
   * @param {AbortSignal} signal
   * @param {() => void} changed
   */
  constructor(filter, signal, changed) {
    this.filter = filter;
    this.signal = signal;
    this.changed = changed;
    /** @type {Page[]} */
    this.pages = [];
    /** @type {string | undefined} of the page after the last one; empty if there is none */
    this.next = undefined;
    /** Of a place above the first row, which new rows do not move; empty as long as that is the top. */
    this.above = "";
    this.isLoading = false;
    this.wanted = { from: 0, to: FIRST };
    /** How many match in all, as far as it was counted. */
    this.total = 0;
  }

  /** How many rows are reached by tokens. */
  get reached() {
    const last = this.pages.at(-1);
    return last ? last.start + last.length : 0;
  }

  get isComplete() {
    return this.next === "";
  }

  /** How long the list is, as far as it is known. */
  get length() {
    return this.isComplete ? this.reached : Math.max(this.total, this.reached + (this.next ? 1 : 0));
  }

  /** @param {number} index */
  pageAt(index) {
    return this.pages.find((page) => index >= page.start && index < page.start + page.length);
  }

  /**
   * @param {number} index
   * @returns {Invocation | undefined} undefined while it is not loaded
   */
  row(index) {
    const page = this.pageAt(index);
    return page?.rows?.[index - page.start];
  }

  /**
   * The CID that a text is, or that of the only loaded row that begins or ends with it.
   *
   * @param {string} part
   */
  cidOf(part) {
    if (CID.test(part)) return part;
    if (!PART_OF_CID.test(part)) return null;
    const rows = this.pages.flatMap((page) => page.rows ?? []);
    const [found, other] = rows.filter(({ cid }) => cid.startsWith(part) || cid.endsWith(part));
    return found && !other ? found.cid : null;
  }

  /** Loads the first page, and forgets the others. */
  async reload() {
    const answer = await listInvocations({ filter: this.filter, pageSize: FIRST }, this.signal);
    const rows = (answer.invocations ?? []).map(slim);
    this.pages = [{ token: "", start: 0, length: rows.length, rows }];
    this.next = answer.nextPageToken ?? "";
    this.above = "";
    this.changed();
  }

  /**
   * Loads what is seen, one page after the other.
   *
   * @param {number} from
   * @param {number} to
   */
  async want(from, to) {
    this.wanted = { from, to };
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      for (;;) {
        const dropped = this.pages.find((page) => page.rows === null && this.isSeen(page));
        if (dropped) await this.refresh(dropped);
        else if (this.next && this.wanted.to > this.reached) await this.loadNext();
        else break;
      }
    } finally {
      this.isLoading = false;
    }
  }

  /** @param {Page} page */
  isSeen(page) {
    return page.start < this.wanted.to && page.start + page.length > this.wanted.from;
  }

  async loadNext() {
    const token = this.next ?? "";
    const pageSize = this.wanted.from - this.reached > 2 * NEXT ? SKIPPED : NEXT;
    const answer = await listInvocations({ filter: this.filter, pageSize, pageToken: token }, this.signal);
    if (this.next !== token) return;
    const rows = (answer.invocations ?? []).map(slim);
    if (rows.length > 0) this.pages.push({ token, start: this.reached, length: rows.length, rows });
    this.next = answer.nextPageToken ?? "";
    this.drop();
    this.changed();
  }

  /**
   * Reads a page again. Its rows keep their places. One is gone if what was read goes beyond it, and it is not there:
   * it stays as it was last seen. New rows, and older ones that match only now, push none out.
   *
   * @param {Page} page
   */
  async refresh(page) {
    const known = page.rows;
    /** @type {Map<string, Invocation>} */
    const read = new Map();
    let pageToken = page.token || this.above;
    let pageSize = page.token ? page.length : page.length + FIRST;
    let isEnd = false;
    for (let step = 0; step < STEPS_MAX && !isEnd; step += 1) {
      const answer = await listInvocations({ filter: this.filter, pageSize, pageToken }, this.signal);
      const rows = (answer.invocations ?? []).map(slim);
      for (const row of rows) read.set(row.cid, row);
      isEnd = !answer.nextPageToken;
      pageToken = answer.nextPageToken ?? "";
      const [first, last] = [known?.[0], rows.at(-1)];
      if (!known || (last && known.every((row) => read.has(row.cid) || isOlder(last, row)))) break;
      const isShown = this.pages[0] === page;
      if (isShown && !isEnd && first && last && isOlder(first, last)) this.above = pageToken;
      pageSize = SKIPPED;
    }
    const oldest = [...read.values()].at(-1);
    const isPassed = (/** @type {Invocation} */ row) => isEnd || (oldest !== undefined && isOlder(oldest, row));
    page.rows = known
      ? known.map((row) => read.get(row.cid) ?? (isPassed(row) ? { ...row, isGone: true } : row))
      : [...read.values()].slice(0, page.length);
    if (page.rows.length < page.length) page.length = page.rows.length;
    this.drop();
    this.changed();
  }

  /** Reads the seen rows again. */
  async refreshSeen() {
    for (const page of this.pages.filter((page) => page.rows !== null && this.isSeen(page))) await this.refresh(page);
  }

  /**
   * How many of the newest ones are above the first row.
   *
   * @param {Invocation[]} newest
   */
  countNew(newest) {
    const known = new Set(this.pages[0]?.rows?.map((row) => row.cid));
    const first = this.row(0);
    const below = newest.findIndex((one) => known.has(one.cid) || (first && isOlder(one, first)));
    return below < 0 ? newest.length : below;
  }

  drop() {
    // The first page stays: what is at its token changes.
    const kept = this.pages.filter((page) => page.token !== "" && page.rows !== null && !this.isSeen(page));
    const middle = (this.wanted.from + this.wanted.to) / 2;
    kept.sort((a, b) => Math.abs(b.start - middle) - Math.abs(a.start - middle));
    for (const page of kept.slice(0, Math.max(0, kept.length - KEPT))) page.rows = null;
  }
}

/**
 * Whether one was accepted before another one. Lists have the newest first.
 *
 * @param {Invocation} one
 * @param {Invocation} other
 */
function isOlder(one, other) {
  return toMs(one.acceptTime) < toMs(other.acceptTime);
}

/**
 * What a row shows: the payload of an outcome may be large. That of a group is its counts.
 *
 * @param {Invocation} invocation
 * @returns {Invocation & {isGone?: boolean}}
 */
function slim(invocation) {
  const { outcome, lastFailure, progress, ...rest } = invocation;
  const failure = outcome?.failure ?? lastFailure;
  const short = failure && { code: failure.code, reason: failure.reason, message: failure.message?.slice(0, 300) };
  return { ...rest, lastFailure: short, progress, ...(rest.group && { outcome }) };
}
