// The inside of a gate: what stands before its curve, the point on the curve, and all units' values.

import { el, formula, shown, svg, visible, withSign } from "./dom.js";
import { draw, scale } from "./strips.js";

// Name, symbol, curve, letter of the weights, key on the keyboard.
export const INSIDES = {
  f: ["forget gate", "f_t", "σ", "f", "F"], i: ["input gate", "i_t", "σ", "i", "I"],
  g: ["candidates", "C̃_t", "tanh", "C", "C"], o: ["output gate", "o_t", "σ", "o", "O"],
};
const OF_STEP = { 1: "f", 2: "i", 4: "o" }; // the gate that is shown with a step
const BLOCKS = ["i", "f", "g", "o"]; // as the weights stand
const MOST_TERMS = 3; // units named
const REACH = 8; // of z, to either side
const [X_LOW, X_HIGH, Y_HIGH, Y_LOW] = [34, 226, 14, 106];
const CURVES = { σ: (z) => 1 / (1 + Math.exp(-z)), tanh: Math.tanh };

// z of a gate's value. The page's JSON leaves z out, so it is worked back from the value by the
// inverse of the curve: exact enough for drawing. Values have 4 digits, so that near the ends of
// the curve only a bound can be given.
export function beforeCurve(value, curve) {
  const end = 5e-5;
  const low = curve === "tanh" ? -1 : 0;
  const held = Math.min(Math.max(value, low + end), 1 - end);
  const z = curve === "tanh" ? Math.atanh(held) : Math.log(held / (1 - held));
  return { z, sign: held < value ? "≥" : held > value ? "≤" : "=" };
}

function onCurve(z, value, curve) {
  const low = curve === "tanh" ? -1 : 0;
  const share = (Math.min(Math.max(z, -REACH), REACH) + REACH) / (2 * REACH);
  return [X_LOW + share * (X_HIGH - X_LOW), Y_LOW - ((value - low) / (1 - low)) * (Y_LOW - Y_HIGH)];
}

function axes(curve) {
  const low = curve === "tanh" ? -1 : 0;
  const line = Array.from({ length: 81 }, (_, n) => (n / 40 - 1) * REACH)
    .map((z) => onCurve(z, CURVES[curve](z), curve).map((v) => v.toFixed(1)).join(",")).join(" ");
  return [
    [low, (low + 1) / 2, 1].map((v) => {
      const [, y] = onCurve(0, v, curve);
      return [svg("line", { class: "aid", x1: X_LOW, x2: X_HIGH, y1: y, y2: y }),
        svg("text", { x: X_LOW - 6, y: y + 4, "text-anchor": "end" }, shown(v, v % 1 ? 1 : 0))];
    }),
    [-REACH, 0, REACH].map((z) => svg("text", { x: onCurve(z, low, curve)[0], y: Y_LOW + 16, "text-anchor": "middle" }, shown(z, 0))),
    svg("text", { x: (X_LOW + X_HIGH) / 2, y: Y_LOW + 32, "text-anchor": "middle", class: "aside" }, "z"),
    svg("polyline", { class: "path", points: line }),
  ];
}

// The curve with a dot for each unit, and a large one for the unit that is shown.
function plotted(values, unit, curve, said) {
  const dot = (value, kind, r) => {
    const [cx, cy] = onCurve(beforeCurve(value, curve).z, value, curve);
    return svg("circle", { cx, cy, r, class: kind });
  };
  return svg("svg", { viewBox: "0 0 240 142", class: "curve", role: "img", "aria-label": said }, axes(curve),
    values.map((value) => dot(value, "faint", 2.5)), unit === null ? null : dot(values[unit], "dot now", 6));
}

function insideSaid(name, values, unit, word) {
  const [title, , curve] = INSIDES[name];
  if (unit === null) return `${title} at “${word}”: each dot is a unit on the curve of ${curve}.`;
  const { z, sign } = beforeCurve(values[unit], curve);
  return `${title} of unit ${unit} at “${word}”: z ${sign} ${shown(z, 2)}, and ${curve}(z) = ${shown(values[unit])}.`;
}

// z and its three terms, and the units of h_{t−1} that bring most. `parts` is null where the weights
// are not known, or the token before is not shown.
export function terms(name, { z, sign }, unit, parts) {
  if (!parts) return null;
  const { h, recurrent, bias } = parts;
  const row = BLOCKS.indexOf(name) * h.length + unit;
  const each = h.map((value, k) => [k, value * recurrent[row][k]]);
  const fromH = each.reduce((sum, [, value]) => sum + value, 0);
  const largest = each.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]) || a[0] - b[0]).slice(0, MOST_TERMS).filter(([, value]) => value !== 0);
  return { fromX: sign === "=" ? z - fromH - bias[row] : null, fromH, bias: bias[row], largest };
}

function termsSaid({ fromX, fromH, bias, largest }, word) {
  const x = fromX === null ? "what the word brings" : `${withSign(fromX, 2)} from “${visible(word)}”`;
  const units = largest.length ? `, most of it from ${largest.map(([k, value]) => `unit ${k} (${withSign(value, 2)})`).join(", ")}` : "";
  return [`${x}; ${withSign(fromH, 2)} from `, formula("h_{t−1}"), `${units}; ${withSign(bias, 2)} from the bias.`];
}

function numbers(name, values, unit, parts, word) {
  const [, symbol, curve, letter] = INSIDES[name];
  const sum = `z = W_${letter} x_t + U_${letter} h_{t−1} + b_${letter}`;
  if (unit === null) return [el("span", {}, formula(sum)), el("span", {}, formula(`${symbol} = ${curve}(z)`))];
  const before = beforeCurve(values[unit], curve);
  const found = terms(name, before, unit, parts);
  return [el("span", {}, formula(`${sum} ${before.sign} ${shown(before.z, 2)}`)),
    found ? el("span", { class: "terms" }, termsSaid(found, word)) : null,
    el("span", {}, formula(`${symbol} = ${curve}(z) = ${shown(values[unit])}`))];
}

// All units of the gate as one strip, by number; the unit shown is framed.
function vector(name, values, unit) {
  const signed = name === "g";
  const canvas = el("canvas", { role: "img", "aria-label": `${INSIDES[name][0]}: the values of ${values.length} units` });
  const largest = draw(canvas, values.map((value) => [value]), [0], signed);
  const mark = el("span", { class: "column", hidden: unit === null,
    style: unit === null ? "" : `left:${(100 * unit) / values.length}%;width:${100 / values.length}%` });
  return el("div", { class: "vector" }, el("p", { class: "soft" }, `All ${values.length} units, 0 to ${values.length - 1} `, scale(signed, largest)),
    el("div", { class: "row1" }, canvas, mark));
}

// `parts(k)` gives h before the k-th token shown, and the weights; or null.
export function inside({ direction, word, lit, parts }) {
  let [gate, step] = ["f", 0];
  let now = null;
  const place = el("div", { class: "opened" });
  const buttons = Object.entries(INSIDES).map(([name, [title, , , , key]]) => [name, el("button", { type: "button",
    onclick: () => look(name), onfocus: () => look(name), "aria-keyshortcuts": key }, title, el("kbd", {}, key))]);
  function look(name) {
    gate = name;
    if (now) show();
  }
  function show() {
    const [k, unit] = now;
    const values = direction()[gate][k];
    const said = insideSaid(gate, values, unit, word(k));
    place.replaceChildren(plotted(values, unit, INSIDES[gate][2], said),
      el("div", {}, el("p", { class: "sum" }, numbers(gate, values, unit, parts(k), word(k))), vector(gate, values, unit)));
    buttons.forEach(([name, one]) => one.setAttribute("aria-pressed", String(name === gate)));
    lit(gate);
  }
  return {
    node: el("div", { class: "inside", role: "group", "aria-label": "Inside a gate" },
      el("p", {}, el("b", {}, "Inside a gate"), " Point at a layer of the cell, or choose one:"),
      el("div", { class: "controls" }, buttons.map(([, one]) => one)), place),
    look,
    // A new step brings its own gate; a new token leaves the gate that was chosen.
    update: (k, unit, at) => {
      if (at !== step) gate = OF_STEP[at] ?? gate;
      step = at;
      now = [k, unit];
      show();
    },
  };
}
