// The invocations of one call tree, in order: each below the one that made it, whose member it is, or whose outcome it
// gets.

import { toMs } from "./time.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */
/** @typedef {{invocation: Invocation, depth: number, kind: "root" | "child" | "callback" | "member"}} Node */

/**
 * @param {Invocation[]} invocations
 * @returns {Node[]}
 */
export function treeOf(invocations) {
  const byCid = new Map(invocations.map((invocation) => [invocation.cid, invocation]));
  /** @type {Map<string, Invocation[]>} */
  const below = new Map();
  const roots = [];
  for (const invocation of byCid.values()) {
    // A member of a group that a handler has made has both: the group, and the invocation of that handler.
    const above = [invocation.inReplyTo, invocation.groupCid, invocation.parentCid].find(
      (cid) => cid && byCid.has(cid),
    );
    if (above) below.set(above, [...(below.get(above) ?? []), invocation]);
    else roots.push(invocation);
  }
  /** @type {Node[]} */
  const nodes = [];
  const seen = new Set();
  /** @param {Invocation} invocation @param {number} depth */
  const visit = (invocation, depth) => {
    if (seen.has(invocation.cid)) return;
    seen.add(invocation.cid);
    nodes.push({ invocation, depth, kind: kindOf(invocation) });
    for (const one of (below.get(invocation.cid) ?? []).sort(inOrder)) visit(one, depth + 1);
  };
  roots.sort(inOrder).forEach((root) => visit(root, 0));
  return nodes;
}

/**
 * So many nodes, one of them included: from the first one on, or around that one, with those above.
 *
 * @param {Node[]} nodes
 * @param {string} cid
 * @param {number} most
 * @returns {Node[]}
 */
export function around(nodes, cid, most) {
  const at = nodes.findIndex((node) => node.invocation.cid === cid);
  if (at < most) return nodes.slice(0, most);
  const from = Math.min(at - Math.floor(most / 2), nodes.length - most);
  const above = [];
  let depth = nodes[from]?.depth ?? 0;
  for (const node of nodes.slice(0, from).reverse()) {
    if (node.depth >= depth) continue;
    above.unshift(node);
    depth = node.depth;
  }
  return [...above, ...nodes.slice(from, from + most)];
}

/**
 * Members in the order of their requests, others as they were accepted, and what gets an outcome last.
 *
 * @param {Invocation} a
 * @param {Invocation} b
 */
function inOrder(a, b) {
  const isCallback = Number(Boolean(a.inReplyTo)) - Number(Boolean(b.inReplyTo));
  return isCallback || (a.groupPosition ?? 0) - (b.groupPosition ?? 0) || toMs(a.acceptTime) - toMs(b.acceptTime);
}

/** @param {Invocation} invocation */
function kindOf(invocation) {
  if (invocation.inReplyTo) return "callback";
  if (invocation.groupCid) return "member";
  return invocation.parentCid ? "child" : "root";
}
