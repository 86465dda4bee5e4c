"use strict";

const byId = (id) => document.getElementById(id);
const INVOKE = "/invoke/";
let credential = "";

/** What a person reads for the type of a schema. */
function typeOf(schema) {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `list of ${schema.items ? typeOf(schema.items) : "values"}`;
  if (schema.type === "object") return "dict";
  return schema.format || schema.type || "any value";
}

/** The fields of a schema, those of dicts and lists below it included. */
function* fieldsOf(schema, prefix = "") {
  const inner = schema.type === "array" ? schema.items || {} : schema;
  const required = new Set(inner.required || []);
  for (const [name, field] of Object.entries(inner.properties || {})) {
    const path = prefix + name;
    yield { path, field, isRequired: required.has(name) };
    yield* fieldsOf(field, `${path}${field.type === "array" ? "[]" : ""}.`);
  }
}

function cell(row, text, tag) {
  const cell = row.insertCell();
  if (!tag) {
    cell.textContent = text;
    return;
  }
  cell.append(Object.assign(document.createElement(tag), { textContent: text }));
}

function fill(table, schema) {
  const fields = [...fieldsOf(schema)];
  if (fields.length === 0) {
    cell(table.insertRow(), typeOf(schema));
    return;
  }
  if (schema.type === "array") cell(table.insertRow(), "list of");
  for (const { path, field, isRequired } of fields) {
    const row = table.insertRow();
    cell(row, path, "code");
    cell(row, typeOf(field) + (isRequired ? "" : ", optional"));
    cell(row, field.description || "");
  }
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(name, example) {
  const lines = [`curl ${location.origin}${INVOKE}${encodeURIComponent(name)}`];
  if (credential) lines.push(`-H "authorization: Bearer $CIDERY_API_KEY"`);
  lines.push("-H 'content-type: application/json'");
  if (example !== undefined) lines.push(`-d ${quoted(JSON.stringify(example))}`);
  return lines.join(" \\\n  ");
}

function card(name, operation) {
  const card = byId("service").content.cloneNode(true);
  const set = (selector, text) => (card.querySelector(selector).textContent = text);
  const body = operation.requestBody.content["application/json"];
  const output = operation.responses["200"].content["application/json"].schema;
  set(".name", name);
  const description = operation.description || "";
  const summary = operation.summary === name ? "" : operation.summary;
  set(".summary", summary);
  set(".description", description.replace(/\.$/, "") === summary ? "" : description);
  set(".curl", curl(name, body.example ?? {}));
  set(".schema", JSON.stringify({ input: body.schema, output }, null, 2));
  fill(card.querySelector(".input"), body.schema);
  fill(card.querySelector(".output"), output);
  card.firstElementChild.dataset.text = `${name} ${operation.description || ""}`.toLowerCase();
  return card;
}

/** One method of a path: its parameters, and its answers. */
function pathCard(document, path, method, operation, shared = []) {
  const card = byId("path").content.cloneNode(true);
  const found = (part) => {
    const keys = part.$ref ? part.$ref.slice("#/".length).split("/") : [];
    return keys.reduce((inner, key) => inner[key], part.$ref ? document : part);
  };
  card.querySelector(".name").textContent = `${method.toUpperCase()} ${path}`;
  card.querySelector(".summary").textContent = operation.summary || "";
  for (const parameter of [...shared, ...(operation.parameters || [])].map(found)) {
    const row = card.querySelector(".parameters").insertRow();
    cell(row, parameter.name, "code");
    cell(row, `${parameter.in}, ${typeOf(parameter.schema || {})}`);
    cell(row, parameter.description || "");
  }
  for (const [status, response] of Object.entries(operation.responses)) {
    const row = card.querySelector(".answers").insertRow();
    cell(row, status === "default" ? "else" : status);
    cell(row, found(response).description);
  }
  return card;
}

function show(document) {
  const paths = Object.entries(document.paths);
  const services = paths.filter(([path]) => path.startsWith(INVOKE));
  const cards = services.map(([path, item]) => card(path.slice(INVOKE.length), item.post));
  byId("services").replaceChildren(...cards);
  // The options of calls are the same for all services.
  const [, call] = services[0] || [];
  const invoke = call ? [pathCard(document, `${INVOKE}{service}`, "post", { ...call.post, summary: "Call a service." })] : [];
  const others = paths.filter(([path]) => !path.startsWith(INVOKE));
  const methods = others.flatMap(([path, { parameters, ...methods }]) =>
    Object.entries(methods).map(([method, operation]) => pathCard(document, path, method, operation, parameters)),
  );
  byId("paths").replaceChildren(...invoke, ...methods);
  byId("note").textContent = services.length === 1 ? "1 service" : `${services.length} services`;
}

async function load() {
  const headers = credential ? { authorization: `Bearer ${credential}` } : {};
  try {
    const response = await fetch("openapi.json", { headers });
    const document = await response.json();
    if (response.ok) {
      show(document);
      return;
    }
    byId("services").replaceChildren();
    byId("paths").replaceChildren();
    byId("note").textContent = document.detail || response.statusText;
    byId("access").open ||= response.status === 401;
  } catch (error) {
    byId("note").textContent = `The node does not answer: ${error.message}`;
  }
}

byId("search").addEventListener("input", (event) => {
  const text = event.target.value.trim().toLowerCase();
  for (const card of byId("services").children) {
    card.hidden = !card.dataset.text.includes(text);
  }
});
document.querySelector("#access form").addEventListener("submit", (event) => {
  event.preventDefault();
  credential = byId("credential").value.trim();
  load();
});
load();
