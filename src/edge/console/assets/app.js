// Shows the status of the node.

/**
 * Calls a method of `AdminService`.
 * @param {string} method
 * @returns {Promise<any>}
 */
async function call(method) {
  const response = await fetch(`/cidery.v1.AdminService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", "cidery-console": "1" },
    body: "{}",
  });
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.message ?? response.statusText);
  }
  return answer;
}

/**
 * Shows a text as text: it is never read as markup.
 * @param {string} id
 * @param {string} text
 */
function show(id, text) {
  const element = document.getElementById(id);
  if (element) {
    element.textContent = text;
  }
}

try {
  const status = await call("GetStatus");
  show("state", status.health.replace("NODE_HEALTH_", ""));
  const facts = document.getElementById("facts");
  for (const name of ["version", "startTime", "services", "workers", "running", "pending", "store"]) {
    const term = document.createElement("dt");
    const fact = document.createElement("dd");
    term.textContent = name;
    fact.textContent = String(status[name] ?? 0);
    facts?.append(term, fact);
  }
} catch (error) {
  show("state", error instanceof Error ? error.message : String(error));
}
