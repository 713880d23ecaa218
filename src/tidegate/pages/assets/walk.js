// The walk's page: one state, and the parts that show it. Everything drawn comes from the JSON.
// A page is an object: where it is drawn, its walks, what is chosen (`state`), and its `parts`.

import { el, formula, visible } from "./dom.js";
import { allUnits, EQUATIONS, hiddenBefore, opening, sentence, wires } from "./telling.js";
import { answer, message, path, pathWidth, words } from "./message.js";
import { cell, cellTwin } from "./cell.js";
import { legend } from "./legend.js";
import { chain } from "./chain.js";
import { strips, unitOrder } from "./strips.js";
import { inside } from "./gate.js";
import { outcome } from "./outcome.js";
import { comparison } from "./compare.js";
import { beside, button, footer, heading, section } from "./around.js";

const PLAY_MS = 1400;
const ORDERS = [["activity", "how much they change"], ["token", "what they hold at this token"], ["number", "their number"]];
const GATE_KEYS = { f: "f", i: "i", c: "g", o: "o" };
const KEYS = "Keys: ← → steps, ↑ ↓ the token before and after at the same step, 1–4 a step, F I C O inside a gate, space plays.";

const walkOf = (page) => page.walks[page.state.walk];
const directionOf = (page) => walkOf(page).directions[page.state.direction];
const rowOf = (page) => walkOf(page).shown[page.state.k];
const wayOf = (page) => (directionOf(page).reverse ? -1 : 1); // a direction that reads backward is walked backward

function wordOf(page, k = page.state.k) {
  const walk = walkOf(page);
  return visible(walk.tokens[walk.read[walk.shown[k]]].token);
}

// The unit that the page keeps until another is chosen: the one whose cell state changes most over
// the whole (first) message. Two messages so show the same unit.
function mostChanging(page) {
  return unitOrder(page.walks[0].directions[page.state.direction], "activity", 0)[0];
}

function unitOf(page) {
  const { unit } = page.state;
  if (unit === "mean") return null;
  if (unit === "busiest") return directionOf(page).changed_units[rowOf(page)][0];
  return unit === "kept" ? mostChanging(page) : Number(unit);
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
  if (!chosen && same + behind === 0) return opening(after); // another message
  if (!chosen && same < Math.max(a.length, b.length)) return Math.max(b.length - 1 - behind, 0);
  const place = k < same ? k : k >= a.length - behind ? k + b.length - a.length : k;
  return Math.max(Math.min(place, b.length - 1), 0);
}

function go(page, k, step = page.state.step) {
  page.state.k = Math.min(Math.max(k, 0), walkOf(page).shown.length - 1);
  Object.assign(page.state, { step, chosen: true });
  page.parts.said.setAttribute("aria-live", "polite");
  update(page);
}

function turnTo(page, number, k = opening(page.walks[number])) {
  Object.assign(page.state, { walk: number, k, step: 1 });
  render(page);
}

function move(page, by) {
  const next = page.state.step + by;
  const target = page.state.k + wayOf(page) * by;
  if (next >= 1 && next <= 4) go(page, page.state.k, next);
  else if (target >= 0 && target < walkOf(page).shown.length) go(page, target, by > 0 ? 1 : 4);
  else stop(page);
}

function stop({ state, parts }) {
  clearInterval(state.timer);
  state.timer = 0;
  if (parts.play) parts.play.textContent = "▶ Play";
}

function play(page) {
  if (page.state.timer) { stop(page); return; }
  page.state.timer = setInterval(() => move(page, 1), PLAY_MS);
  page.parts.play.textContent = "❚❚ Pause";
}

function update(page) {
  const { state, parts } = page;
  const [walk, direction, unit, word] = [walkOf(page), directionOf(page), unitOf(page), wordOf(page)];
  const found = wires(walk, direction, state.k, unit);
  const said = sentence(state.step, found, unit, word);
  parts.said.textContent = said;
  parts.equation.replaceChildren(...EQUATIONS[state.step - 1].map((one) => el("span", {}, formula(one))));
  parts.cell.update(found, state.step, word, said);
  parts.twin.update(found, word);
  parts.inside.update(state.k, unit, state.step);
  for (const part of [parts.message, parts.path]) part.update();
  parts.chain.update(state.k);
  if (state.order === "token") parts.strips.redraw(state.order, state.k);
  parts.strips.update(state.k, unit);
  parts.about.textContent = page.about?.({ ...direction, unit }) ?? "";
  parts.place.textContent = `token ${rowOf(page) + 1} of ${walk.read.length}: “${word}”`;
  parts.kept.textContent = allUnits(walk, direction, rowOf(page), state.step);
  parts.steps.forEach((one, k) => one.setAttribute("aria-pressed", String(k + 1 === state.step)));
}

function select(page, name, label, options) {
  const { state } = page;
  const box = el("select", { name, onchange: () => { state[name] = box.value; render(page); } },
    options.map(([value, text]) => el("option", { value, selected: String(state[name]) === String(value) }, text)));
  return el("label", {}, `${label} `, box);
}

function units(page) {
  return [["kept", `${mostChanging(page)} (changes most over the message)`],
    ["busiest", "the one that changes most at each token"], ["mean", "the mean of all"],
    ...Array.from({ length: directionOf(page).units }, (_, u) => [u, String(u)])];
}

function controls(page) {
  const { parts, state } = page;
  parts.play = button("▶ Play", () => play(page));
  parts.steps = walkOf(page).steps.map((text, k) =>
    button([el("b", {}, String(k + 1)), ` ${text}`], () => go(page, state.k, k + 1), { class: "step" }));
  const token = (by) => () => go(page, state.k + by * wayOf(page));
  return [
    el("div", { class: "controls" },
      button("⇤ Token", token(-1), { "aria-label": "Token before" }),
      button("◀ Step", () => move(page, -1), { "aria-label": "Step before" }), parts.play,
      button("Step ▶", () => move(page, 1), { "aria-label": "Next step" }),
      button("Token ⇥", token(1), { "aria-label": "Next token" }),
      select(page, "direction", "Layer", walkOf(page).directions.map((d, k) =>
        [k, `${d.layer + 1}, reading ${d.reverse ? "backward" : "forward"}`])),
      select(page, "unit", "Unit", units(page))),
    el("div", { class: "steps", role: "group", "aria-label": "The four steps" }, parts.steps)];
}

// A message with its answer and path; of two, the one that is walked is marked, and the paths are
// drawn at one size.
function card(page, one, number) {
  const { state, parts, walks, embedded } = page;
  const current = number === state.walk;
  const links = { go: (k) => (current ? go(page, k) : turnTo(page, number, k)), at: () => (current ? state.k : -1),
    width: innerWidth < 700 ? 380 : walks.length > 1 ? 500 : 1000, room: Math.max(...walks.map(pathWidth)),
    name: walks.length > 1 ? `, message ${number + 1}` : "" };
  const [text, line] = [message(one, links), path(one, links)];
  if (current) Object.assign(parts, { message: text, path: line });
  const title = walks.length > 1 ? button(`Message ${number + 1}`, () => turnTo(page, number),
    { class: "turn", "aria-pressed": String(current) }) : null;
  return el("div", { class: current ? "card current" : "card" }, title, text.node, answer(one, { brief: embedded }), line.node, words(one, links.name));
}

function stage({ parts }) {
  return el("figure", { class: "stage" }, parts.place, parts.cell.node, parts.equation, parts.said, parts.kept, parts.inside.node);
}

// What the inside of a gate is made of at the k-th token shown; null where it is not known.
function termsOf(page, k) {
  const direction = directionOf(page);
  const weights = page.weights ? page.weights(direction) : page.walks[0].directions[page.state.direction];
  const before = hiddenBefore(walkOf(page), direction, k);
  return before && weights.recurrent ? { h: before, recurrent: weights.recurrent, bias: weights.bias } : null;
}

// Leads to the cell. A link would change the address, in which a server's page keeps its message.
function toCell({ parts }) {
  parts.place.scrollIntoView({ block: "start" });
  parts.cell.node.focus({ preventScroll: true });
}

function make(page) {
  const { state, embedded } = page;
  const direction = () => directionOf(page);
  const word = (k) => wordOf(page, k);
  page.parts = { said: el("p", { class: "said", "aria-live": embedded ? "off" : "polite" }), place: el("p", { class: "place" }),
    equation: el("p", { class: "equation" }), kept: el("p", { class: "soft" }), about: el("p", { class: "soft about" }) };
  const { parts } = page;
  const choose = (u) => { state.unit = String(u); parts.unit.value = state.unit; };
  Object.assign(parts, { cell: cell({ look: (gate) => parts.inside.look(gate) }), twin: cellTwin(),
    inside: inside({ direction, word, lit: (gate) => parts.cell.lit(gate), parts: (k) => termsOf(page, k) }),
    strips: strips({ direction, word, go: (k) => go(page, k), choose }),
    chain: chain({ walk: walkOf(page), direction: direction(), go: (k) => go(page, k) }) });
}

// Other walks in the place of those shown: what was chosen stays chosen.
function show(page, next) {
  const { root, state } = page;
  const [before, open] = [walkOf(page), [...root.querySelectorAll("details")].map((one) => one.open)];
  page.walks = next;
  state.walk = Math.min(state.walk, next.length - 1);
  state.k = follow(before, walkOf(page), state.k, state.chosen);
  root.classList.add("still");
  render(page);
  root.querySelectorAll("details").forEach((one, n) => { one.open = Boolean(open[n]); });
  root.classList.remove("still");
}

function sections(page) {
  const { state, parts, walks } = page;
  const links = { at: state.shared, choose: (n) => { state.shared = n; render(page); } };
  return [
    ...(page.embedded ? [] : [heading(), el("p", { class: "jump" }, button("Step through the cell ↓", () => toCell(page)))]),
    el("div", { class: walks.length > 1 ? "cards" : "cards only" }, walks.map((one, n) => card(page, one, n))),
    section("walked", "The cell, step by step", ...controls(page), stage(page),
      el("p", { class: "soft keys" }, KEYS), legend(), parts.twin.node),
    section("units", "Every unit over all tokens", select(page, "order", "Units in order of", ORDERS), parts.strips.node, page.about ? parts.about : null),
    walks.length > 1 ? comparison(walks, state.direction, links) : "",
    section("again", "The same cell, again and again", el("p", {}, "Unrolled, the network is a chain of one cell. The line "
      + "along the top is the cell state: it leaves each cell as thick as the share of it that the forget gates kept."),
      parts.chain.node, beside()),
    walkOf(page).head ? section("ends", "From the states to the answer", outcome(walkOf(page))) : "",
    footer(walkOf(page))];
}

function render(page) {
  const { root, state } = page;
  stop(page);
  const held = document.activeElement?.name;
  state.direction = Math.min(Number(state.direction), walkOf(page).directions.length - 1);
  if (!["kept", "busiest", "mean"].includes(state.unit) && Number(state.unit) >= directionOf(page).units) state.unit = "kept";
  make(page);
  root.replaceChildren(...sections(page));
  page.parts.unit = root.querySelector("select[name=unit]");
  if (held) root.querySelector(`select[name="${held}"]`)?.focus();
  page.parts.strips.redraw(state.order, state.k);
  update(page);
}

function pressed(page, event) {
  const { state, parts } = page;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input, textarea, .wide")) return;
  const onButton = event.target.closest("button, summary");
  const gate = GATE_KEYS[event.key.toLowerCase()];
  const step = (number) => () => go(page, state.k, number);
  const act = gate ? () => parts.inside.look(gate) : { ArrowRight: () => move(page, 1), ArrowLeft: () => move(page, -1),
    ArrowDown: () => go(page, state.k + 1), ArrowUp: () => go(page, state.k - 1),
    " ": onButton ? null : () => play(page), 1: step(1), 2: step(2), 3: step(3), 4: step(4) }[event.key];
  if (!act) return;
  event.preventDefault();
  if (event.key !== " ") stop(page);
  act();
}

// `embedded` in a page that has its own heading and answer; `keys` is where keys are listened to; `about`
// gives a sentence on a unit, `weights` a direction's, where its walk does not hold them.
export function mount(root, { walks }, { embedded = false, keys = document, about = null, weights = null } = {}) {
  const page = { root, walks, embedded, about, weights, parts: {}, state: { chosen: false, walk: 0, k: opening(walks[0]), step: 1,
    direction: 0, unit: "kept", order: "activity", shared: 0, timer: 0 } };
  keys.addEventListener("keydown", (event) => pressed(page, event));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render(page));
  render(page);
  return { go: (k, step) => go(page, k, step), state: page.state, toCell: () => toCell(page), show: (next) => show(page, next), render: () => render(page), unit: () => unitOf(page),
    press: (event) => pressed(page, event),
    current: () => ({ walk: walkOf(page), direction: directionOf(page), unit: unitOf(page) ?? mostChanging(page) }) };
}
