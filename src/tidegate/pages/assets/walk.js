// The walk's page: one state, and the parts that show it. Everything drawn comes from the JSON.

import { el, shown, percent } from "./dom.js";
import { cell, traditional } from "./cell.js";
import { chain, sentence } from "./chain.js";
import { comparison } from "./compare.js";
import { message, path, words } from "./message.js";
import { strips } from "./strips.js";

const PLAY_MS = 1400;

export function mount(root, { walks }) {
  const state = { walk: 0, k: 0, step: 1, direction: 0, unit: "busiest", order: "activity", timer: 0 };
  let parts = {};
  const walk = () => walks[state.walk];
  const direction = () => walk().directions[state.direction];
  const word = (k = state.k) => walk().tokens[walk().read[walk().shown[k]]].token;
  const row = () => walk().shown[state.k];

  function unit() {
    if (state.unit === "mean") return null;
    return state.unit === "busiest" ? direction().changed_units[row()][0] : Number(state.unit);
  }

  // The numbers on the wires: of one unit, or their mean. Two products are all that is added.
  function found() {
    const [d, u] = [direction(), unit()];
    const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
    const of = (values) => (u === null ? mean(values) : values[u]);
    const each = (f) => of(Array.from({ length: d.units }, (_, k) => f(k)));
    const k = state.k;
    const before = row() + (d.reverse ? 1 : -1);
    const place = walk().shown.indexOf(before);
    const first = before < 0 || before >= walk().read.length;
    return {
      ...Object.fromEntries(["f", "i", "g", "o", "c_before", "c", "h"].map((name) => [name, of(d[name][k])])),
      h_before: first ? 0 : place < 0 ? null : of(d.h[place]),
      kept: each((n) => d.f[k][n] * d.c_before[k][n]), new: each((n) => d.i[k][n] * d.g[k][n]),
      squashed: each((n) => Math.tanh(d.c[k][n])),
    };
  }

  function go(k, step = state.step) {
    const last = walk().shown.length - 1;
    state.k = Math.min(Math.max(k, 0), last);
    state.step = step;
    update();
  }

  // A direction that reads backward is walked backward.
  function move(by) {
    const way = direction().reverse ? -1 : 1;
    const next = state.step + by;
    const target = state.k + way * by;
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
    const [values, u] = [found(), unit()];
    const words = sentence(state.step, values, u, word());
    parts.said.textContent = words;
    parts.cell.update(values, state.step, word());
    for (const part of [parts.message, parts.path]) part.update();
    parts.chain.update(state.k);
    if (state.order === "token") parts.strips.redraw(state.order, state.k);
    parts.strips.update(state.k, u);
    parts.place.textContent = `token ${row() + 1} of ${walk().read.length}: “${word()}”`;
    parts.kept.textContent = `All units: ${percent(direction().kept[row()])} of the old cell state kept, `
      + `${percent(direction().written[row()])} of the new one just written, `
      + `${percent(direction().saturated[row()])} of the gates nearly shut or open.`;
    parts.steps.forEach((button, k) => button.setAttribute("aria-pressed", String(k + 1 === state.step)));
  }

  function select(name, label, options) {
    const box = el("select", { name, onchange: () => { state[name] = box.value; render(); } },
      options.map(([value, text]) => el("option", { value, selected: String(state[name]) === String(value) }, text)));
    return el("label", {}, `${label} `, box);
  }

  function controls() {
    const button = (text, act, about) => el("button", { type: "button", onclick: act, "aria-label": about }, text);
    parts.play = button("▶ Play", play, null);
    parts.steps = walk().steps.map((text, k) => el("button", {
      type: "button", class: "step", onclick: () => go(state.k, k + 1) }, el("b", {}, String(k + 1)), ` ${text}`));
    const way = () => (direction().reverse ? -1 : 1);
    return [
      el("div", { class: "controls" },
        button("⇤ Token", () => go(state.k - way(), 1), "Token before"), button("◀ Step", () => move(-1), "Step before"),
        parts.play, button("Step ▶", () => move(1), "Next step"), button("Token ⇥", () => go(state.k + way(), 1), "Next token"),
        select("direction", "Layer", walk().directions.map((d, k) =>
          [k, `${d.layer + 1}, reading ${d.reverse ? "backward" : "forward"}`])),
        select("unit", "Unit", [["busiest", "the one that changes most"], ["mean", "the mean of all"],
          ...Array.from({ length: direction().units }, (_, u) => [u, String(u)])])),
      el("div", { class: "steps", role: "group", "aria-label": "The four steps" }, parts.steps),
    ];
  }

  function tabs() {
    if (walks.length < 2) return null;
    return el("div", { class: "controls", role: "group", "aria-label": "Message" }, walks.map((one, k) =>
      el("button", { type: "button", "aria-pressed": String(k === state.walk),
        onclick: () => { Object.assign(state, { walk: k, k: 0, step: 1 }); render(); } },
      `${k + 1}. ${Array.from(one.text).slice(0, 40).join("")}`)));
  }

  function answer() {
    const one = walk();
    const decided = Array.isArray(one.decided) ? one.decided.join(", ") || "no label" : one.decided;
    return el("p", { class: "answer" }, el("strong", {}, shown(one.probabilities[one.label])),
      ` is the probability of “${one.labels[one.label]}”; the model decides: ${decided}. `,
      el("span", { class: "soft" }, `As many tokens that say nothing give ${shown(one.baseline)}; the `
        + "tints tell what each word adds (blue) or takes away (orange)."));
  }

  function render() {
    stop();
    state.direction = Math.min(Number(state.direction), walk().directions.length - 1);
    if (!["busiest", "mean"].includes(state.unit) && Number(state.unit) >= direction().units) state.unit = "busiest";
    const links = { go, at: () => state.k };
    const choose = (u) => { state.unit = String(u); parts.unit.value = state.unit; };
    parts = { said: el("p", { class: "said", "aria-live": "polite" }), place: el("p", { class: "place" }),
      kept: el("p", { class: "soft" }) };
    Object.assign(parts, { message: message(walk(), links), path: path(walk(), links),
      cell: cell({ sentence: () => parts.said.textContent }),
      strips: strips({ direction, word, go, choose }),
      chain: chain({ walk: walk(), direction: direction(), go }) });
    root.replaceChildren(
      el("header", {}, el("p", { class: "soft" }, "Tidegate · the walk of one message"), el("h1", {}, "What the gates do while the model reads")),
      ...[tabs(), parts.message.node, answer(), parts.path.node, words(walk())].filter(Boolean),
      el("h2", {}, "The cell, step by step"), ...controls(),
      el("figure", { class: "stage" }, parts.place, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The cell" }, parts.cell.node), parts.said, parts.kept),
      el("p", { class: "soft keys" }, "Keys: ← → steps, ↑ ↓ tokens, 1–4 a step, space plays."),
      el("h2", {}, "Every unit over all tokens"),
      select("order", "Units in order of", [["activity", "how much they change"], ["token", "what they hold at this token"], ["number", "their number"]]),
      parts.strips.node,
      el("h2", {}, "The same cell, again and again"),
      el("p", {}, "Unrolled, the network is a chain of one cell. The line along the top is the cell state; it is as thick as the share of it that the forget gates keep."),
      parts.chain.node,
      el("div", { class: "beside" }, el("figure", {}, el("figcaption", {}, "A traditional RNN’s cell, for comparison"), traditional()),
        el("p", {}, "It has one layer and one state, which every token passes through a tanh and overwrites. The LSTM’s four layers decide what to keep, what to add and what to show, and its cell state is only scaled and added to: what is kept can travel far.")),
      ...(walks.length > 1 ? [comparison(walks)] : []),
      el("footer", {}, el("p", { class: "soft" }, `These are the numbers that gave the answer: the walk differs from the engine by ${walk().residual}. The contributions miss their sum by ${Math.abs(walk().completeness_error).toExponential(0)}.`),
        walk().notices.map((notice) => el("p", { class: "notice" }, `Note: ${notice}.`))));
    parts.unit = root.querySelector("select[name=unit]");
    parts.strips.redraw(state.order, state.k);
    update();
  }

  document.addEventListener("keydown", (event) => {
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
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    parts.strips.redraw(state.order, state.k);
    update();
  });
  render();
  return { go, state };
}
