// The LSTM cell as a diagram: the step shown lights up, and its numbers stand on the wires.

import { el, pieces, shown, sideways, svg, table, towards } from "./dom.js";

// Learned layers: name, what they are, their curve, x; all at y 226.
const LAYERS = [["f", "forget gate", "σ", 250], ["i", "input gate", "σ", 366], ["g", "candidates", "tanh", 478],
  ["o", "output gate", "σ", 626]];
const STEP_OF = { f: 1, i: 2, g: 2, o: 4 };

// Wires and parts by the step in which they are used; 0: always there.
const WIRES = [
  [0, "M20 312 H626 V252"], [0, "M166 396 V314"],
  [1, "M20 84 H233"], [1, "M250 312 V252"], [1, "M250 202 V101"],
  [2, "M366 312 V252"], [2, "M478 312 V252"], [2, "M366 202 V148 H461"], [2, "M478 202 V165"],
  [3, "M265 84 H461"], [3, "M478 133 V101"], [3, "M493 84 H956"],
  [4, "M626 312 V252"], [4, "M724 84 V122"], [4, "M724 158 V209"], [4, "M672 226 H707"],
  [4, "M724 241 V312 H956"], [4, "M858 312 V26"],
];
const JUNCTIONS = [[1, 250, 312], [2, 366, 312], [2, 478, 312], [4, 724, 84], [4, 858, 312]];
const POINTS = [[1, "×", 250, 84], [2, "×", 478, 148], [3, "+", 478, 84], [4, "×", 724, 226]];
// Step, the key in `wires`, symbol, x, y, and the side on which the text ends.
const NUMBERS = [
  [1, "c_before", "c_{t−1}", 20, 72], [0, "h_before", "h_{t−1}", 20, 300], [1, "f", "f_t", 260, 160],
  [2, "i", "i_t", 374, 138], [2, "g", "C̃_t", 488, 190], [3, "kept", "f_t·c_{t−1}", 290, 72],
  [3, "new", "i_t·C̃_t", 502, 122], [3, "c", "c_t", 550, 72], [4, "squashed", "tanh c_t", 714, 190, "end"],
  [4, "o", "o_t", 714, 272, "end"], [4, "h", "h_t", 868, 300],
];
const MEANING = { c_before: "old cell state", h_before: "hidden state before", f: "forget gate",
  kept: "kept of the old cell state", i: "input gate", g: "candidate value", new: "written to the cell state",
  c: "new cell state", o: "output gate", squashed: "cell state, squashed", h: "hidden state" };
const CENTRES = [0.2, 0.42, 0.5, 0.8]; // of the four steps, as shares of the width

function symbols(name) {
  let low = 0;
  return pieces(`${name} `).map(([text, sub]) => {
    const dy = (sub ? 4 : 0) - low;
    low += dy;
    return svg("tspan", { class: sub ? "sub" : null, dy }, text);
  });
}

function round(sign, x, y) {
  return svg("g", { class: "point" }, svg("circle", { cx: x, cy: y, r: 15 }),
    svg("text", { x, y: y + 6, "text-anchor": "middle" }, sign));
}

function layer([key, name, curve, x], look) {
  return svg("g", { class: "layer", "data-gate": key, onpointerenter: () => look(key), onclick: () => look(key) }, svg("rect", { x: x - 46, y: 202, width: 92, height: 48, rx: 8 }),
    svg("text", { x, y: 220, "text-anchor": "middle", class: "named" }, name),
    svg("text", { x, y: 241, "text-anchor": "middle" }, curve));
}

function tip() {
  return svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 12,
    markerHeight: 12, markerUnits: "userSpaceOnUse", orient: "auto" }, svg("path", { d: "M0 0 L8 4 L0 8 z", class: "tip" })));
}

// `look` is told of the layer that is pointed at.
export function cell({ look = () => {} } = {}) {
  const parts = [];
  const values = new Map();
  const place = (step, node) => { parts.push([step, node]); return node; };
  const token = svg("text", { x: 166, y: 416, class: "token", "text-anchor": "middle" });
  const picture = svg("svg", { viewBox: "0 0 976 426", class: "cell", role: "img" }, tip(),
    svg("rect", { x: 136, y: 36, width: 680, height: 310, rx: 20, class: "body" }),
    WIRES.map(([step, d], n) => [
      n === WIRES.length - 1 ? svg("path", { d: "M858 100 V68", class: "bridge" }) : null,
      place(step, svg("path", { d, class: "wire", "marker-end": "url(#tip)" }))]),
    JUNCTIONS.map(([step, cx, cy]) => place(step, svg("circle", { cx, cy, r: 4, class: "junction" }))),
    LAYERS.map((one) => place(STEP_OF[one[0]], layer(one, look))),
    POINTS.map(([step, sign, x, y]) => place(step, round(sign, x, y))),
    place(4, svg("g", { class: "point" }, svg("rect", { x: 696, y: 124, width: 56, height: 32, rx: 16 }),
      svg("text", { x: 724, y: 145, "text-anchor": "middle" }, "tanh"))),
    NUMBERS.map(([step, key, name, x, y, side]) => {
      const value = svg("tspan", { class: "number", "data-value": key });
      values.set(key, value);
      return place(step, svg("text", { x, y, class: "reading", "text-anchor": side }, symbols(name), value));
    }),
    svg("text", { x: 858, y: 16, "text-anchor": "middle", class: "aside" }, "to the layer above"),
    svg("text", { x: 178, y: 386, class: "aside" }, symbols("x_t")), token);
  const scroller = sideways("The cell", picture, "scroll");
  return {
    node: scroller,
    lit: (key) => picture.querySelectorAll("[data-gate]").forEach((one) => one.classList.toggle("looked", one.dataset.gate === key)),
    // Results of later steps are there, hidden by the style sheet until their step.
    update: (found, step, word, said) => {
      for (const [key, value] of values) value.textContent = shown(found[key]);
      token.textContent = word;
      picture.setAttribute("aria-label", said);
      for (const [at, node] of parts) {
        node.setAttribute("data-on", at === step ? "now" : at < step ? "done" : "later");
      }
      towards(scroller, CENTRES[step - 1]);
    },
  };
}

// The numbers on the wires as a table, filled while it is open.
export function cellTwin() {
  const place = el("div");
  let fill = () => {};
  const details = el("details", { ontoggle: () => fill() }, el("summary", {}, "The numbers on the wires as a table"), place);
  return {
    node: details,
    update: (found, word) => {
      fill = () => details.open && place.replaceChildren(table(`At “${word}”`, ["number", "value", "in step"],
        Object.entries(MEANING).map(([key, name]) => {
          const [step] = NUMBERS.find(([, other]) => other === key);
          return [name, shown(found[key]), step ? String(step) : "all"];
        })));
      fill();
    },
  };
}

export function traditional() {
  return svg("svg", { viewBox: "0 0 400 236", class: "cell still", role: "img",
    "aria-label": "A traditional recurrent network's cell: one tanh layer, and one state" },
    svg("rect", { x: 90, y: 40, width: 220, height: 140, rx: 20, class: "body" }),
    ["M14 152 H196 V128", "M126 216 V154", "M196 92 V72 H386", "M340 72 V16"].map((d) =>
      svg("path", { d, class: "wire", "marker-end": "url(#tip)" })),
    svg("circle", { cx: 340, cy: 72, r: 4, class: "junction" }),
    svg("g", { class: "layer" }, svg("rect", { x: 160, y: 94, width: 72, height: 34, rx: 8 }),
      svg("text", { x: 196, y: 116, "text-anchor": "middle" }, "tanh")),
    svg("text", { x: 22, y: 140, class: "aside" }, symbols("h_{t−1}")),
    svg("text", { x: 138, y: 212, class: "aside" }, symbols("x_t")),
    svg("text", { x: 352, y: 60, class: "aside" }, symbols("h_t")));
}
