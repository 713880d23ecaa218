// The API, drawn from its own OpenAPI document.

import { askJson } from "./api.js";
import { el, table } from "./dom.js";
import { said } from "./faults.js";

const TITLES = { answers: "Answers", models: "Models", health: "Health" };

function resolved(document_, schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, ...document_.components.schemas[name] } : schema ?? {};
}

function typeOf(document_, schema) {
  const found = resolved(document_, schema);
  if (found.name) return found.name;
  if (found.anyOf) return found.anyOf.map((one) => typeOf(document_, one)).join(" or ");
  if (found.enum) return found.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.type === "array") return `list of ${typeOf(document_, found.items)}`;
  return found.format === "binary" ? "bytes" : found.type ?? "any";
}

function fields(document_, schema, { asked = false } = {}) {
  const found = resolved(document_, schema);
  if (!found.properties) return null;
  const needed = new Set(found.required ?? []);
  return table(`Fields of ${found.name ?? "the body"}`, ["field", "type", "what it is"], Object.entries(found.properties).map(([name, one]) =>
    [name, typeOf(document_, one), [one.description ?? one.anyOf?.[0].description ?? one.anyOf?.[0].items?.description ?? "", asked && needed.has(name) ? " Needed." : ""].join("")]));
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(document_, path, method, operation) {
  const url = location.origin + path.replaceAll(/\{(\w+)\}/g, (_, name) => name.toUpperCase());
  const words = [`curl ${quoted(url)}`];
  if (method !== "get") words[0] = `curl -X ${method.toUpperCase()} ${quoted(url)}`;
  if (document_.security) words.push('-H "Authorization: Bearer $TOKEN"');
  const [[kind, body] = []] = Object.entries(operation.requestBody?.content ?? {});
  if (kind === "application/json") words.push(`-H 'Content-Type: ${kind}'`, `-d ${quoted(JSON.stringify(body.example))}`);
  else if (kind) words.push(`-H 'Content-Type: ${kind}'`, "--data-binary @messages.csv");
  return words.join(" \\\n  ");
}

function copied(text) {
  const button = el("button", { type: "button", class: "quiet", onclick: async () => {
    await navigator.clipboard?.writeText(text).then(() => { button.textContent = "Copied"; }, () => { button.textContent = "Select and copy it"; });
    setTimeout(() => { button.textContent = "Copy"; }, 2500);
  } }, "Copy");
  return el("div", { class: "code" }, el("pre", { tabindex: "0" }, text), button);
}

function responses(document_, operation) {
  return table("Answers", ["status", "type", "what it is"], Object.entries(operation.responses).map(([status, one]) => {
    const [[kind, body] = []] = Object.entries(one.content ?? {});
    const type = body?.schema ? typeOf(document_, body.schema) : "";
    return [status, [type, kind].filter(Boolean).join(", "), one.description ?? ""];
  }));
}

function operationOf(document_, path, method, operation) {
  const parameters = (operation.parameters ?? []).map((one) => [one.name, `${one.in}, ${typeOf(document_, one.schema)}`,
    [one.description ?? "", one.required ? " Needed." : "", one.schema.default !== undefined ? ` By default ${JSON.stringify(one.schema.default)}.` : ""].join("")]);
  const [[, body] = []] = Object.entries(operation.requestBody?.content ?? {});
  const [[, fine] = []] = Object.entries(operation.responses).filter(([status]) => status.startsWith("2")).map(([status, one]) =>
    [status, Object.values(one.content ?? {})[0]?.schema]);
  return el("details", { class: "operation", id: operation.operationId },
    el("summary", {}, el("code", { class: "verb" }, method.toUpperCase()), " ", el("code", {}, path), el("span", {}, operation.summary ?? "")),
    copied(curl(document_, path, method, operation)),
    parameters.length ? table("Parameters", ["name", "where, type", "what it is"], parameters) : null,
    body?.schema ? fields(document_, body.schema, { asked: true }) : null,
    fine ? fields(document_, fine) : null,
    responses(document_, operation));
}

export function page(document_) {
  const all = Object.entries(document_.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, one]) => [path, method, one]));
  const tags = [...new Set(all.map(([, , one]) => one.tags?.[0] ?? "other"))];
  return [el("h1", {}, "The API"), el("p", { class: "lede" }, document_.info.description),
    el("p", { class: "soft" }, `Version ${document_.info.version}.`, document_.security ? " Every request needs a token, but those under Health that monitors ask." : ""),
    tags.map((tag) => el("section", {}, el("h2", {}, TITLES[tag] ?? tag),
      all.filter(([, , one]) => (one.tags?.[0] ?? "other") === tag).map((one) => operationOf(document_, ...one))))].flat();
}

async function start() {
  const root = document.getElementById("page");
  try {
    const found = await askJson("/openapi.json");
    root.replaceChildren(...page(found));
    // A plain link sends no token.
    document.querySelector('a[href="/openapi.json"]').hidden = Boolean(found.security);
    root.querySelector("details").open = true;
  } catch (fault) {
    root.replaceChildren(el("p", { class: "notice", role: "alert" }, said(fault)));
  }
}

start();
