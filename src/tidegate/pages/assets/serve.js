// The server's page: which model, which view, and the link that brings both back.

import { ask, askJson, save, token } from "./api.js";
import { el, visible } from "./dom.js";
import { Fault, said } from "./faults.js";
import { list } from "./list.js";
import { live } from "./live.js";
import { server } from "./server.js";

const VIEWS = [["message", "One message"], ["list", "A list or a file"]];
const state = { models: [], model: null, view: "message" };
const root = document.getElementById("page");
const parts = { tabs: new Map(), panels: new Map() };

function link() {
  const [text = "", other = ""] = parts.live.texts();
  const found = new URLSearchParams({ model: state.model.name, text });
  if (other) found.set("with", other);
  return `#${found}`;
}

function fromLink() {
  const found = new URLSearchParams(location.hash.slice(1));
  return { model: found.get("model"), text: found.get("text"), other: found.get("with") ?? "" };
}

function changed() {
  if (!state.model || state.view !== "message") return;
  try {
    history.replaceState(history.state, "", link());
  } catch { /* some browsers allow only so many in a while: the next one will do */ }
}

function turnTo(view) {
  state.view = view;
  for (const [name, tab] of parts.tabs) {
    tab.setAttribute("aria-selected", String(name === view));
    tab.tabIndex = name === view ? 0 : -1;
    parts.panels.get(name).hidden = name !== view;
  }
}

function tabs() {
  const move = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const names = VIEWS.map(([name]) => name);
    const next = names[(names.indexOf(state.view) + by + names.length) % names.length];
    turnTo(next);
    parts.tabs.get(next).focus();
  };
  return el("div", { class: "tabs", role: "tablist", "aria-label": "What to label", onkeydown: move }, VIEWS.map(([name, title]) => {
    const tab = el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `view-${name}`, onclick: () => turnTo(name) }, title);
    parts.tabs.set(name, tab);
    return tab;
  }));
}

function panel(name, node) {
  const found = el("section", { role: "tabpanel", id: `view-${name}`, "aria-labelledby": `tab-${name}` }, node);
  parts.panels.set(name, found);
  return found;
}

// With a token the report cannot be opened by a plain link; and opened from here it would run with
// this page's rights. As a file it has none.
async function saveReport() {
  try {
    const response = await ask(`/v1/models/${encodeURIComponent(state.model.name)}/report`);
    save(`${state.model.name}-report.html`, [await response.blob()], "text/html");
  } catch (fault) {
    parts.told.textContent = said(fault);
  }
}

function showCard() {
  const close = el("button", { type: "button", onclick: () => { dialog.close(); dialog.remove(); } }, "Close");
  const dialog = el("dialog", { "aria-labelledby": "card-title", onclose: () => dialog.remove() }, el("div", { class: "row spread" },
    el("h2", { id: "card-title" }, `About “${state.model.name}”`), close),
  el("pre", { tabindex: "0" }, state.model.card.replace(/^---\n[\s\S]*?\n---\n+/, "") || "The model came without a card."));
  document.body.append(dialog);
  dialog.showModal();
}

function about() {
  const report = `/v1/models/${encodeURIComponent(state.model.name)}/report`;
  const links = [el("button", { type: "button", class: "quiet", onclick: showCard }, "Card")];
  if (state.model.calibration) {
    links.unshift(token() ? el("button", { type: "button", class: "quiet", title: "Saves a file, to be opened from there", onclick: saveReport }, "Save the report")
      : el("a", { href: report, target: "_blank", rel: "noopener" }, "Report"));
  }
  document.getElementById("about").replaceChildren(...links);
}

async function choose(name) {
  state.model = await askJson(`/v1/models/${encodeURIComponent(name)}`);
  document.title = `${visible(name)} · Tidegate`;
  about();
}

function picker() {
  const names = state.models.map(({ name }) => name);
  if (names.length === 1) return [el("span", { class: "soft" }, "Model"), el("strong", {}, names[0])];
  const box = el("select", { id: "which", onchange: () => choose(box.value).then(() => { parts.live.again(); parts.list.again(); }, tell) },
    names.map((name) => el("option", { value: name, selected: name === state.model.name }, name)));
  return [el("label", { for: "which" }, "Model"), box];
}

function tell(fault) {
  parts.told.textContent = said(fault);
  parts.told.hidden = false;
}

function copyButton() {
  const button = el("button", { type: "button", class: "quiet", onclick: async () => {
    changed();
    try {
      await navigator.clipboard.writeText(location.href);
      done.textContent = "Copied. The link holds the message itself.";
    } catch {
      done.textContent = "Copy it from the address bar: it holds this message.";
    }
    setTimeout(() => { done.textContent = ""; }, 4000);
  } }, "Copy a link to this");
  const done = el("span", { class: "soft", role: "status" });
  return [button, done];
}

function open(text) {
  // Going back leads to the list again.
  history.replaceState({ view: "list" }, "");
  history.pushState({ view: "message" }, "");
  turnTo("message");
  parts.live.put(text);
  parts.live.focus();
  scrollTo({ top: 0 });
}

async function restore() {
  const { model, text, other } = fromLink();
  parts.told.hidden = true;
  if (model && !state.models.some(({ name }) => name === model)) {
    tell(new Fault(0, `The link names the model “${model}”, which is not here. This is “${state.model.name}”`));
  }
  if (model && model !== state.model.name && state.models.some(({ name }) => name === model)) {
    await choose(model);
    document.getElementById("model").replaceChildren(...picker());
    parts.live.again();
  }
  turnTo("message");
  parts.live.put(text ?? parts.live.example, other);
}

async function start() {
  parts.told = el("p", { class: "notice", role: "alert", hidden: true });
  root.replaceChildren(parts.told);
  state.models = (await askJson("/v1/models")).models;
  const wanted = fromLink().model;
  await choose(state.models.find(({ name }) => name === wanted)?.name ?? state.models[0].name);
  document.getElementById("model").replaceChildren(...picker());
  const model = () => state.model;
  parts.live = live({ model, changed, provider: server(model, () => choose(state.model.name)) });
  parts.list = list({ model, open });
  parts.live.link.append(...copyButton());
  root.append(el("h1", { class: "unseen" }, "Label messages"), tabs(), panel("message", parts.live.node), panel("list", parts.list.node));
  await restore();
  parts.live.focus();
  addEventListener("popstate", ({ state: then }) => (then?.view === "list" ? turnTo("list") : restore().catch(tell)));
}

start().catch(tell);
