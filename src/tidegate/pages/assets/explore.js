// The explorer: a model that runs in this page. No server is asked; what is typed stays here.

import { el, shown, visible } from "./dom.js";
import { openModel } from "./engine.js";
import { said, sendable } from "./faults.js";
import { live } from "./live.js";

const root = document.getElementById("page");
const state = { engine: null, held: null, unit: null, without: new Set(), text: "" };
const parts = {};

// Lets the browser draw the answer before the walk is worked out. A tab in the background draws nothing.
function drawn() {
  return new Promise((done) => {
    const timer = setTimeout(done, 60);
    requestAnimationFrame(() => { clearTimeout(timer); setTimeout(done); });
  });
}

function hold() {
  if (state.held === null) return undefined;
  return { f: state.unit === null ? state.held : { [state.unit]: state.held } };
}

// Words are left out of the first message only; the gate is held in both.
const options = (text) => ({ hold: hold(), without: text === state.text ? state.without : undefined });

const provider = {
  wait: 0,
  predict: async (texts) => {
    drawWords();
    drawEffect();
    return texts.map((text) => state.engine.predict(text, options(text)));
  },
  walk: async (text, label, { signal }) => {
    await drawn();
    signal.throwIfAborted();
    return state.engine.walkInTurns(text, { label, ...options(text) }, signal);
  },
};

// The words read of the first message: pressed, one is left out.
function drawWords() {
  const focused = parts.words.contains(document.activeElement) ? document.activeElement.dataset.row : undefined;
  const words = state.engine.words(state.text).map((token, row) => el("button", {
    type: "button", class: "chip", "data-row": row, "aria-pressed": String(state.without.has(row)),
    onclick: () => { if (!state.without.delete(row)) state.without.add(row); parts.live.again(); },
  }, token));
  parts.words.replaceChildren(...(words.length ? words : [el("span", { class: "soft" }, "There is no word to leave out.")]));
  if (focused !== undefined) parts.words.querySelector(`[data-row="${focused}"]`)?.focus();
}

function drawEffect() {
  const { engine, text } = state;
  const number = engine.model.kind === "binary" ? 1 : engine.likeliest(text);
  const label = engine.model.labels[number];
  const [free, now] = [undefined, hold()].map((one) => engine.summary(text, { hold: one, without: state.without }));
  const which = state.unit === null ? "every forget gate" : `the forget gate of unit ${state.unit}`;
  parts.value.textContent = state.held === null ? "free" : state.held.toFixed(2);
  parts.reset.disabled = state.held === null;
  parts.effect.textContent = state.held === null
    ? `The gates run free. The probability of “${visible(label)}” is ${shown(free.p[number])}; after the last word a cell state is ${shown(free.size)} in size on average.`
    : `With ${which} held at ${state.held.toFixed(2)}, the probability of “${visible(label)}” is ${shown(now.p[number])} (free: ${shown(free.p[number])}), `
      + `and after the last word a cell state is ${shown(now.size)} in size on average (free: ${shown(free.size)}).`;
}

function chooseUnits(which) {
  const walk = parts.live.walked();
  state.unit = which === "shown" && walk ? walk.unit() : null; // the mean of all units is no unit
  if (state.unit === null) parts.which.value = "all";
  else walk.state.unit = String(state.unit); // so that it stays the one shown
  parts.which.options[1].textContent = state.unit === null ? "the unit shown below" : `unit ${state.unit}`;
  parts.live.again();
}

function holding() {
  parts.slider = el("input", { type: "range", id: "hold", min: 0, max: 1, step: 0.01, value: 1,
    oninput: () => { state.held = Number(parts.slider.value); parts.live.again(); } });
  parts.value = el("output", { for: "hold" }, "free");
  parts.which = el("select", { id: "which-units", onchange: () => chooseUnits(parts.which.value) },
    el("option", { value: "all" }, "all units"), el("option", { value: "shown" }, "the unit shown below"));
  parts.reset = el("button", { type: "button", disabled: true, onclick: () => { state.held = null; parts.slider.value = 1; parts.live.again(); } }, "Let it run free");
  parts.effect = el("p", { class: "effect" });
  return [el("h2", {}, "Hold the forget gate"),
    el("p", { class: "soft" }, "At 0 the cell state is erased at each word; at 1 nothing is forgotten. It is held in every layer and direction."),
    el("div", { class: "row" }, el("label", { for: "hold" }, "Forget gate"), parts.slider, parts.value,
      el("label", { for: "which-units" }, "of"), parts.which, parts.reset), parts.effect];
}

function experiments() {
  parts.words = el("div", { class: "row words", role: "group", "aria-label": "Leave words out" });
  return el("section", { class: "try" }, el("h2", {}, "Leave words out"), parts.words, ...holding());
}

function changed() {
  const [text = ""] = parts.live.texts();
  if (sendable(text) === state.text) return;
  state.text = sendable(text);
  state.without.clear();
}

function selfTest() {
  const { passed, largest, tolerance, n } = state.engine.selfTest();
  const gap = largest.toExponential(0).replace("-", "−");
  return passed
    ? el("p", { class: "soft selftest" }, `Self-test passed: ${n} messages have the answers that Python gave them; the largest difference is ${gap}.`)
    : el("p", { class: "notice selftest failed", role: "alert" }, `Self-test failed: of ${n} messages the answers differ from Python's by up to ${gap}, `
      + `where ${tolerance} is allowed. Do not trust this page; write it anew.`);
}

function header() {
  return el("header", { class: "top" }, el("span", { class: "brand" }, "Tidegate"), el("div", { class: "row" }, parts.name = el("strong", {})),
    el("nav", { class: "row", "aria-label": "About" }, el("span", { class: "soft" }, "This page holds the model. Nothing is sent anywhere."),
      el("button", { type: "button", id: "theme", class: "quiet" }, "Theme")));
}

async function start() {
  const held = document.getElementById("model");
  state.engine = await openModel(held.textContent.trim());
  held.remove();
  const { model } = state.engine;
  parts.name.textContent = visible(model.name);
  const shownModel = { ...model, cell: "lstm", fingerprint: "" }; // no other kind is written to a page
  const tested = selfTest();
  parts.live = live({ model: () => ({ ...shownModel, altered: state.held !== null }), changed, provider, extra: experiments() });
  root.replaceChildren(el("h1", { class: "unseen" }, "Explore the model"), tested.getAttribute("role") ? tested : "", parts.live.node,
    el("footer", {}, tested.getAttribute("role") ? "" : tested));
  parts.live.put(parts.live.example);
  parts.live.focus();
  root.dataset.ready = "true";
}

document.body.prepend(header());
start().catch((fault) => root.replaceChildren(el("p", { class: "notice", role: "alert" }, `The model in this file could not be opened. ${said(fault)}`)));

// For whoever asks from the console, and for tests.
globalThis.tidegate = state;
