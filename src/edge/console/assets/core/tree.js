// The invocations of one call tree, in order: each below the one that made it, or whose outcome it gets.

/** @typedef {import("../api/types.js").Invocation} Invocation */
/** @typedef {{invocation: Invocation, depth: number, kind: "root" | "child" | "callback" | "member" | "retry"}} Node */

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
    const above = [invocation.inReplyTo, invocation.parentCid, invocation.groupCid].find(
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
    nodes.push({ invocation, depth, kind: kindOf(invocation, depth) });
    for (const one of (below.get(invocation.cid) ?? []).sort(byTime)) visit(one, depth + 1);
  };
  roots.sort(byTime).forEach((root) => visit(root, 0));
  return nodes;
}

/**
 * @param {Invocation} a
 * @param {Invocation} b
 */
function byTime(a, b) {
  return (a.groupPosition ?? 0) - (b.groupPosition ?? 0) || (a.acceptTime < b.acceptTime ? -1 : 1);
}

/**
 * @param {Invocation} invocation
 * @param {number} depth
 */
function kindOf(invocation, depth) {
  if (depth === 0) return "root";
  if (invocation.inReplyTo) return "callback";
  return invocation.groupCid && !invocation.parentCid ? "member" : "child";
}
