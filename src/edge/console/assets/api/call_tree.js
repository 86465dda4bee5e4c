// Reads the invocations of the same call tree. Lists say what state they are in; what each has gone through is read
// for those that are drawn, once for each time that they changed.

import { around, treeOf } from "../core/tree.js";
import { getInvocation, listInvocations } from "./node.js";

/** @typedef {import("./types.js").Invocation} Invocation */
/**
 * @typedef {object} Tree
 * @property {import("../core/tree.js").Node[]} nodes those that are drawn
 * @property {number} total how many are known
 * @property {boolean} isCut there are more than that
 * @property {string} filter that finds all of them
 */

/** Of a call tree, so many are read, the latest ones. */
const READ_MAX = 500;
/** So many are drawn. */
const DRAWN_MAX = 100;
/** Requests at once: a browser has few connections. */
const PARALLEL = 4;

export class CallTree {
  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.signal = signal;
    /** @type {Map<string, {version: string, details: Partial<Invocation>}>} */
    this.known = new Map();
    /** Of the current one all is read anyway. */
    this.current = "";
  }

  /**
   * @param {Invocation} current
   * @returns {Promise<Tree>}
   */
  async read(current) {
    const root = current.rootCid || current.cid;
    const group = current.group ? current.cid : (current.groupCid ?? "");
    const { signal } = this;
    this.current = current.cid;
    const list = (/** @type {string} */ filter) => listInvocations({ filter, pageSize: READ_MAX }, signal);
    const below = await list(`root = ${root}`);
    const all = [...(below.invocations ?? []), current];
    // The latest ones may all be callbacks.
    if (below.nextPageToken && group) all.unshift(...((await list(`group = ${group}`)).invocations ?? []));
    const found = new Map(all.map((one) => [one.cid, one]));
    const missing = [root, group, current.parentCid ?? ""].filter((cid) => cid && !found.has(cid));
    const above = await Promise.all([...new Set(missing)].map((cid) => getInvocation(cid, signal).catch(() => null)));
    for (const one of above) if (one) found.set(one.cid, one);
    const nodes = treeOf([...found.values()]);
    const isCut = Boolean(below.nextPageToken);
    const drawn = around(nodes, current.cid, DRAWN_MAX).map((node) => this.complete(node));
    const cids = new Set(drawn.map((node) => node.invocation.cid));
    for (const cid of this.known.keys()) if (!cids.has(cid)) this.known.delete(cid);
    return { nodes: drawn, total: nodes.length, isCut, filter: `root = ${root}` };
  }

  /**
   * Reads the attempts of those that are drawn, as far as they are not known.
   *
   * @param {Tree} tree
   * @returns {Promise<boolean>} whether there is more to draw
   */
  async readAttempts(tree) {
    const stale = tree.nodes.map((node) => node.invocation).filter((one) => this.isStale(one));
    const wanted = [...stale];
    const next = async () => {
      for (let one = wanted.shift(); one; one = wanted.shift()) {
        // Another one may have been removed since, or belong to another principal: its attempts stay unknown.
        const full = await getInvocation(one.cid, this.signal).catch(() => null);
        if (this.signal.aborted) return;
        const details = full ? { attempts: full.attempts ?? [], outcome: full.group ? full.outcome : undefined } : {};
        this.known.set(one.cid, { version: versionOf(one), details });
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, next));
    tree.nodes = tree.nodes.map((node) => this.complete(node));
    return stale.length > 0 && !this.signal.aborted;
  }

  /** @param {Invocation} one */
  isStale(one) {
    const hasMore = one.group ? Boolean(one.endTime) : Boolean(one.attempt);
    return hasMore && one.cid !== this.current && this.known.get(one.cid)?.version !== versionOf(one);
  }

  /**
   * A node with what was read of it before.
   *
   * @param {import("../core/tree.js").Node} node
   */
  complete(node) {
    const details = this.known.get(node.invocation.cid)?.details;
    const { invocation } = node;
    if (!details || invocation.cid === this.current) return node;
    const { attempts, outcome = invocation.outcome } = details;
    return { ...node, invocation: { ...invocation, attempts, outcome } };
  }
}

/** @param {Invocation} one */
function versionOf(one) {
  return [one.sequence, one.state, one.attempt, one.waitingForCompletion].join(" ");
}
