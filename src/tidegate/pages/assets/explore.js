// The explorer: a model that runs in this page. No server is asked; what is typed stays here.

import { el, shown, visible } from "./dom.js";
import { dropping } from "./dropping.js";
import { openModel } from "./engine.js";
import { said, sendable } from "./faults.js";
import { holding, isRnn, RNN, told } from "./hold.js";
import { live } from "./live.js";
import { quiz } from "./quiz.js";
import { reaching } from "./reach.js";
import { speaker } from "./speaker.js";
import { tour } from "./tour.js";

const MOST_REACHED = 60; // tokens whose gradients are drawn
const root = document.getElementById("page");
const state = { engine: null, held: {}, unit: null, without: new Set(), text: "" };
const parts = { openers: new Map() };

// Lets the browser draw the answer before the walk is worked out. A tab in the background draws nothing.
function drawn() {
  return new Promise((done) => {
    const timer = setTimeout(done, 60);
    requestAnimationFrame(() => { clearTimeout(timer); setTimeout(done); });
  });
}

const isHeld = () => Object.keys(state.held).length > 0;

function hold() {
  if (!isHeld()) return undefined;
  return Object.fromEntries(Object.entries(state.held).map(([gate, value]) => [gate, state.unit === null ? value : { [state.unit]: value }]));
}

// Words are left out of the first message only; the gates are held in both.
const options = (text) => ({ hold: hold(), without: text === state.text ? state.without : undefined });

const provider = {
  wait: 0,
  predict: async (texts) => {
    parts.reachBox.hidden = true; // until the walk of this message is there
    parts.words.draw();
    drawEffect();
    return texts.map((text) => state.engine.predict(text, options(text)));
  },
  walk: async (text, label, { signal, early }) => {
    await drawn();
    signal.throwIfAborted();
    const walk = await state.engine.walkInTurns(text, { label, ...options(text) }, signal, early);
    if (text === state.text) drawReach(walk);
    return walk;
  },
};

function drawEffect() {
  const { engine, text } = state;
  const number = engine.model.kind === "binary" ? 1 : engine.likeliest(text);
  const label = visible(engine.model.labels[number]);
  const [free, now] = [undefined, hold()].map((one) => engine.summary(text, { hold: one, without: state.without }));
  const which = isRnn(state.held) && state.unit === null ? "the gates taken away, as in a traditional RNN" : told(state.held, state.unit);
  parts.hold.update(!isHeld()
    ? `The gates run free. The probability of “${label}” is ${shown(free.p[number])}; after the last word a cell state is ${shown(free.size)} in size on average.`
    : `With ${which}, the probability of “${label}” is ${shown(now.p[number])} (free: ${shown(free.p[number])}), `
      + `and after the last word a cell state is ${shown(now.size)} in size on average (free: ${shown(free.size)}).`, state.unit);
}

function drawReach(walk) {
  const few = walk.read.length <= MOST_REACHED;
  parts.reachBox.hidden = !few;
  if (!few) return;
  const [free, rnn, held] = [undefined, RNN, hold()].map((one) => state.engine.reaches(state.text, { hold: one, without: state.without }));
  const shownHeld = isHeld() && !(isRnn(state.held) && state.unit === null);
  parts.reach.update(walk.read.map((number) => walk.tokens[number].token),
    { ...free, rnn: rnn.h, held: shownHeld ? held.h.map((value, t) => Math.max(value, held.c[t])) : null });
}

function chooseUnits(which) {
  const walk = parts.live.walked();
  state.unit = which === "shown" && walk ? walk.unit() : null; // the mean of all units is no unit
  if (state.unit !== null) walk.state.unit = String(state.unit); // so that it stays the one shown
  parts.live.again();
}

function experiments() {
  parts.words = dropping({ words: () => state.engine.words(state.text), without: () => state.without, text: () => state.text,
    changed: () => parts.live.again(), put: (text) => parts.live.put(text) });
  parts.hold = holding({ held: () => state.held, choose: chooseUnits, changed: () => parts.live.again() });
  parts.reach = reaching();
  parts.reachBox = el("div", {}, parts.reach.node);
  return el("section", { class: "try", "aria-label": "Experiments" }, parts.words.node, parts.hold.node, parts.reachBox);
}

// What opens and shuts the forget gate of a unit of the first layer; looked up once for each.
function about({ layer, reverse, unit }) {
  if (layer > 0 || unit === null) return "";
  const name = `${reverse} ${unit}`;
  if (!parts.openers.has(name)) parts.openers.set(name, openers(reverse, unit));
  return parts.openers.get(name);
}

function openers(reverse, unit) {
  const { open, shut, n } = state.engine.openers(Number(reverse), unit);
  const list = (part) => part.map(({ token, value }) => `${visible(token)} ${shown(value, 2)}`).join(", ");
  return `Read alone, of ${n.toLocaleString("en")} frequent words these open the forget gate of unit ${unit} most: ${list(open)}; and these least: ${list(shut)}.`;
}

function changed() {
  const [text = ""] = parts.live.texts();
  if (sendable(text) === state.text) return;
  state.text = sendable(text);
  state.without.clear();
  parts.words.forget();
}

function selfTest() {
  const { passed, largest, tolerance, n } = state.engine.selfTest();
  const gap = largest.toExponential(0).replace("-", "−");
  return passed
    ? el("p", { class: "soft selftest" }, `Self-test passed: ${n} messages have the answers that Python gave them; the largest difference is ${gap}.`)
    : el("p", { class: "notice selftest failed", role: "alert" }, `Self-test failed: of ${n} messages the answers differ from Python's by up to ${gap}, `
      + `where ${tolerance} is allowed. Do not trust this page; write it anew.`);
}

// What leads through the page: the tour, the questions, and the view for a class.
function lessons() {
  const walked = () => parts.live.walked();
  const guide = tour({ walked });
  const asked = quiz({
    current: () => walked()?.current(),
    erased: (walk) => state.engine.predict(state.text, { ...options(state.text), hold: { f: 0 } }).values[walk.label],
    look: (k, step) => { walked().go(k, step); walked().toCell(); },
  });
  parts.nav.prepend(guide.start, asked.start, speaker({ walked }));
  document.body.append(guide.card, asked.dialog);
}

function header() {
  parts.nav = el("nav", { class: "row", "aria-label": "About" }, el("button", { type: "button", id: "theme", class: "quiet" }, "Theme"));
  return el("header", { class: "top" }, el("span", { class: "brand" }, "Tidegate"), el("div", { class: "row" }, parts.name = el("strong", {}),
    el("span", { class: "soft" }, "This page holds the model. Nothing is sent anywhere.")), parts.nav);
}

async function start() {
  const held = document.getElementById("model");
  state.engine = await openModel(held.textContent.trim());
  held.remove();
  const { model } = state.engine;
  parts.name.textContent = visible(model.name);
  const shownModel = { ...model, cell: "lstm", fingerprint: "" }; // no other kind is written to a page
  const tested = selfTest();
  parts.live = live({ model: () => ({ ...shownModel, altered: isHeld() }), changed, provider, extra: experiments(), about, weights: state.engine.weights });
  root.replaceChildren(el("h1", { class: "unseen" }, "Explore the model"), tested.getAttribute("role") ? tested : "", parts.live.node,
    el("footer", {}, tested.getAttribute("role") ? "" : tested));
  lessons();
  parts.live.put(parts.live.example);
  parts.live.focus();
  root.dataset.ready = "true";
}

document.body.prepend(header());
start().catch((fault) => root.replaceChildren(el("p", { class: "notice", role: "alert" }, `The model in this file could not be opened. ${said(fault)}`)));

// For whoever asks from the console, and for tests.
globalThis.tidegate = state;
