// The walk's page: one state, and the parts that show it. Everything drawn comes from the JSON.

import { el, formula, visible } from "./dom.js";
import { allUnits, EQUATIONS, INTRODUCTION, sentence, wires } from "./telling.js";
import { answer, message, path, words } from "./message.js";
import { cell, cellTwin, traditional } from "./cell.js";
import { chain } from "./chain.js";
import { strips } from "./strips.js";
import { comparison } from "./compare.js";

const PLAY_MS = 1400;
const ORDERS = [["activity", "how much they change"], ["token", "what they hold at this token"], ["number", "their number"]];

function button(text, act, attributes = {}) {
  return el("button", { type: "button", onclick: act, ...attributes }, text);
}

function section(name, title, ...children) {
  return el("section", { class: name }, el("h2", {}, title), ...children);
}

function footer(walk) {
  const error = Math.abs(walk.completeness_error).toExponential(0).replace("-", "−");
  return el("footer", {}, el("p", { class: "soft" }, "These are the numbers that gave the answer: the walk differs from the "
    + `engine by ${walk.residual}. The contributions miss their sum by ${error}.`),
    walk.notices.map((notice) => el("p", { class: "notice" }, `Note: ${notice}.`)));
}

function beside() {
  return el("div", { class: "beside" },
    el("figure", {}, el("figcaption", {}, "A traditional RNN’s cell, for comparison"), traditional()),
    el("p", {}, "It has one layer and one state, which every token passes through a tanh and overwrites. The LSTM’s four "
      + "layers decide what to keep, what to add and what to show, and its cell state is only scaled and added to: what is "
      + "kept can travel far."));
}

// Where the chosen token stands after its message was edited. Until one was chosen by hand, it is
// the token that was written last.
export function follow(before, after, k, chosen) {
  const names = (walk) => walk.shown.map((row) => walk.tokens[walk.read[row]].token);
  const [a, b] = [names(before), names(after)];
  const most = Math.min(a.length, b.length);
  let same = 0;
  while (same < most && a[same] === b[same]) same += 1;
  let behind = 0;
  while (behind < most - same && a[a.length - 1 - behind] === b[b.length - 1 - behind]) behind += 1;
  if (!chosen && same < Math.max(a.length, b.length)) return Math.max(b.length - 1 - behind, 0);
  const place = k < same ? k : k >= a.length - behind ? k + b.length - a.length : k;
  return Math.max(Math.min(place, b.length - 1), 0);
}

// `embedded` in a page that has its own heading and answer; `keys` is where keys are listened to.
export function mount(root, { walks }, { embedded = false, keys = document } = {}) {
  const state = { chosen: false, walk: 0, k: 0, step: 1, direction: 0, unit: "busiest", order: "activity", shared: 0, timer: 0 };
  let parts = {};
  const walk = () => walks[state.walk];
  const direction = () => walk().directions[state.direction];
  const row = () => walk().shown[state.k];
  const word = (k = state.k) => visible(walk().tokens[walk().read[walk().shown[k]]].token);
  const way = () => (direction().reverse ? -1 : 1); // a direction that reads backward is walked backward

  function unit() {
    if (state.unit === "mean") return null;
    return state.unit === "busiest" ? direction().changed_units[row()][0] : Number(state.unit);
  }

  function go(k, step = state.step) {
    state.k = Math.min(Math.max(k, 0), walk().shown.length - 1);
    Object.assign(state, { step, chosen: true });
    parts.said.setAttribute("aria-live", "polite");
    update();
  }

  function turnTo(number, k = 0) {
    Object.assign(state, { walk: number, k, step: 1 });
    render();
  }

  function move(by) {
    const next = state.step + by;
    const target = state.k + way() * by;
    if (next >= 1 && next <= 4) go(state.k, next);
    else if (target >= 0 && target < walk().shown.length) go(target, by > 0 ? 1 : 4);
    else stop();
  }

  function stop() {
    clearInterval(state.timer);
    state.timer = 0;
    if (parts.play) parts.play.textContent = "▶ Play";
  }

  function play() {
    if (state.timer) { stop(); return; }
    state.timer = setInterval(() => move(1), PLAY_MS);
    parts.play.textContent = "❚❚ Pause";
  }

  function update() {
    const found = wires(walk(), direction(), state.k, unit());
    const said = sentence(state.step, found, unit(), word());
    parts.said.textContent = said;
    parts.equation.replaceChildren(...EQUATIONS[state.step - 1].map((one) => el("span", {}, formula(one))));
    parts.cell.update(found, state.step, word(), said);
    parts.twin.update(found, word());
    for (const part of [parts.message, parts.path]) part.update();
    parts.chain.update(state.k);
    if (state.order === "token") parts.strips.redraw(state.order, state.k);
    parts.strips.update(state.k, unit());
    parts.place.textContent = `token ${row() + 1} of ${walk().read.length}: “${word()}”`;
    parts.kept.textContent = allUnits(direction(), row());
    parts.steps.forEach((one, k) => one.setAttribute("aria-pressed", String(k + 1 === state.step)));
  }

  function select(name, label, options) {
    const box = el("select", { name, onchange: () => { state[name] = box.value; render(); } },
      options.map(([value, text]) => el("option", { value, selected: String(state[name]) === String(value) }, text)));
    return el("label", {}, `${label} `, box);
  }

  function controls() {
    parts.play = button("▶ Play", play);
    parts.steps = walk().steps.map((text, k) =>
      button([el("b", {}, String(k + 1)), ` ${text}`], () => go(state.k, k + 1), { class: "step" }));
    return [
      el("div", { class: "controls" },
        button("⇤ Token", () => go(state.k - way(), 1), { "aria-label": "Token before" }),
        button("◀ Step", () => move(-1), { "aria-label": "Step before" }), parts.play,
        button("Step ▶", () => move(1), { "aria-label": "Next step" }),
        button("Token ⇥", () => go(state.k + way(), 1), { "aria-label": "Next token" }),
        select("direction", "Layer", walk().directions.map((d, k) =>
          [k, `${d.layer + 1}, reading ${d.reverse ? "backward" : "forward"}`])),
        select("unit", "Unit", [["busiest", "the one that changes most"], ["mean", "the mean of all"],
          ...Array.from({ length: direction().units }, (_, u) => [u, String(u)])])),
      el("div", { class: "steps", role: "group", "aria-label": "The four steps" }, parts.steps)];
  }

  // A message with its answer and path; of two, the one that is walked is marked.
  function card(one, number) {
    const current = number === state.walk;
    const links = { go: current ? go : (k) => turnTo(number, k), at: () => (current ? state.k : -1),
      width: innerWidth < 700 ? 380 : walks.length > 1 ? 500 : 1000,
      name: walks.length > 1 ? `, message ${number + 1}` : "" };
    const [text, line] = [message(one, links), path(one, links)];
    if (current) Object.assign(parts, { message: text, path: line });
    const title = walks.length > 1 ? button(`Message ${number + 1}`, () => turnTo(number), { class: "turn", "aria-pressed": String(current) }) : null;
    return el("div", { class: current ? "card current" : "card" }, title, text.node, answer(one, { brief: embedded }), line.node, words(one, links.name));
  }

  function stage() {
    return el("figure", { class: "stage" }, parts.place, parts.cell.node, parts.equation, parts.said, parts.kept);
  }

  function make() {
    parts = { said: el("p", { class: "said", "aria-live": embedded ? "off" : "polite" }), place: el("p", { class: "place" }),
      equation: el("p", { class: "equation" }), kept: el("p", { class: "soft" }) };
    const choose = (u) => { state.unit = String(u); parts.unit.value = state.unit; };
    Object.assign(parts, { cell: cell(), twin: cellTwin(), strips: strips({ direction, word, go, choose }),
      chain: chain({ walk: walk(), direction: direction(), go }) });
  }

  function heading() {
    return el("header", {}, el("p", { class: "soft" }, "Tidegate · the walk of one message"),
      el("h1", {}, "What the gates do while the model reads"), el("p", { class: "lede" }, INTRODUCTION));
  }

  // Other walks in the place of those shown: what was chosen stays chosen.
  function show(next) {
    const [before, open] = [walk(), [...root.querySelectorAll("details")].map((one) => one.open)];
    walks = next;
    state.walk = Math.min(state.walk, walks.length - 1);
    state.k = follow(before, walk(), state.k, state.chosen);
    root.classList.add("still");
    render();
    root.querySelectorAll("details").forEach((one, n) => { one.open = Boolean(open[n]); });
    root.classList.remove("still");
  }

  function render() {
    stop();
    const held = document.activeElement?.name;
    state.direction = Math.min(Number(state.direction), walk().directions.length - 1);
    if (!["busiest", "mean"].includes(state.unit) && Number(state.unit) >= direction().units) state.unit = "busiest";
    make();
    const links = { at: state.shared, choose: (n) => { state.shared = n; render(); } };
    root.replaceChildren(
      embedded ? "" : heading(),
      el("div", { class: walks.length > 1 ? "cards" : "cards only" }, walks.map(card)),
      section("walked", "The cell, step by step", ...controls(), stage(),
        el("p", { class: "soft keys" }, "Keys: ← → steps, ↑ ↓ tokens, 1–4 a step, space plays."), parts.twin.node),
      section("units", "Every unit over all tokens", select("order", "Units in order of", ORDERS), parts.strips.node),
      walks.length > 1 ? comparison(walks, state.direction, links) : "",
      section("again", "The same cell, again and again", el("p", {}, "Unrolled, the network is a chain of one cell. The line "
        + "along the top is the cell state: it leaves each cell as thick as the share of it that the forget gates kept."),
        parts.chain.node, beside()),
      footer(walk()));
    parts.unit = root.querySelector("select[name=unit]");
    if (held) root.querySelector(`select[name="${held}"]`)?.focus();
    parts.strips.redraw(state.order, state.k);
    update();
  }

  keys.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input, textarea, .wide")) return;
    const onButton = event.target.closest("button, summary");
    const act = { ArrowRight: () => move(1), ArrowLeft: () => move(-1), ArrowDown: () => go(state.k + 1, 1),
      ArrowUp: () => go(state.k - 1, 1), " ": onButton ? null : play,
      1: () => go(state.k, 1), 2: () => go(state.k, 2), 3: () => go(state.k, 3), 4: () => go(state.k, 4) }[event.key];
    if (!act) return;
    event.preventDefault();
    if (event.key !== " ") stop();
    act();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
  render();
  return { go, state, show, render, unit };
}
