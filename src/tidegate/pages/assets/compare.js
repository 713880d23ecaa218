// Two messages side by side: the words they share, and how far their gates part there.

import { el, shown, table, withSign } from "./dom.js";
import { keptShare } from "./telling.js";
import { STRIPS, draw, scale } from "./strips.js";

// Pairs of rows [a, b] with the same token, in order in both.
export function sharedRows(a, b) {
  const token = (walk, row) => walk.tokens[walk.read[row]].token;
  const pairs = [];
  let from = 0;
  for (const row of a.shown) {
    if (a.tokens[a.read[row]].start < 0) continue;
    const found = b.shown.find((other) => other >= from && token(b, other) === token(a, row));
    if (found !== undefined) {
      pairs.push([row, found]);
      from = found + 1;
    }
  }
  return pairs;
}

// One gate or state of a pair of rows: the values of each of the two messages, by unit.
function values([a, b], number, name, [x, y]) {
  return [a.directions[number][name][a.shown.indexOf(x)], b.directions[number][name][b.shown.indexOf(y)]];
}

// The mean distance of two rows, over all units.
export function distance(walks, number, name, rows) {
  const [x, y] = values(walks, number, name, rows);
  return x.reduce((sum, value, unit) => sum + Math.abs(value - y[unit]), 0) / x.length;
}

function told(walks, number, pairs) {
  if (pairs.length === 0) return "They share no word whose gates are shown.";
  const [a] = walks;
  const d = a.directions[number];
  const far = pairs.map((rows) => distance(walks, number, "c", rows));
  const most = far.indexOf(Math.max(...far));
  const why = d.layer ? "" : ` Its input is the same, so whatever parts them is what was read ${d.reverse ? "after" : "before"} it.`;
  const gate = (name) => shown(distance(walks, number, name, pairs[most]));
  return `In layer ${d.layer + 1}, reading ${d.reverse ? "backward" : "forward"}, their memories part most at `
    + `“${a.tokens[a.read[pairs[most][0]]].token}”: the cell states by ${shown(far[most])} a unit, the forget gates by `
    + `${gate("f")}, the input gates by ${gate("i")}, the output gates by ${gate("o")}.${why}`;
}

// The units of one shared word: a line for each message, and a third for what parts them.
function parting(walks, number, rows) {
  const [one, two] = values(walks, number, "c", rows);
  const gap = (unit) => Math.abs(one[unit] - two[unit]);
  const order = one.map((_, unit) => unit).sort((x, y) => gap(y) - gap(x) || x - y);
  return el("div", { class: "strips" }, STRIPS.map(([key, name, signed]) => {
    const [x, y] = values(walks, number, key, rows);
    const canvas = el("canvas", { role: "img", "aria-label": `${name} of ${x.length} units, in both messages` });
    const lines = [x, y, x.map((value, unit) => value - y[unit])].map((line) => order.map((unit) => line[unit]));
    const largest = draw(canvas, order.map((_, unit) => lines.map((line) => line[unit])), [0, 1, 2], signed);
    return el("figure", {}, el("figcaption", {}, el("span", {}, name), scale(signed, largest)),
      el("div", { class: "parting" }, el("span", {}, "1"), el("span", {}, "2"), el("span", {}, "1 − 2"), canvas));
  }));
}

export function comparison(walks, number, { at, choose }) {
  const [a, b] = walks;
  const pairs = sharedRows(a, b);
  const head = ["shared word", "contributed", "read so far", "kept", "forget gates apart",
    "input gates apart", "output gates apart", "cell states apart"];
  const both = (f, g) => `${f} | ${g}`;
  const chosen = pairs[Math.min(at, pairs.length - 1)];
  const name = ([x]) => a.tokens[a.read[x]].token;
  const rows = pairs.map(([x, y], n) => [
    el("button", { type: "button", class: "chip", "aria-pressed": String(pairs[n] === chosen), onclick: () => choose(n) }, name([x])),
    both(withSign(a.contributions[x]), withSign(b.contributions[y])),
    both(...[[a, x], [b, y]].map(([walk, row]) => shown(walk.path[row + 1][walk.label]))),
    both(keptShare(a, a.directions[number], x), keptShare(b, b.directions[number], y)),
    ...["f", "i", "o", "c"].map((gate) => shown(distance(walks, number, gate, [x, y]))),
  ]);
  return el("section", { class: "compare" }, el("h2", {}, "Side by side: where do their gates part?"),
    el("p", {}, told(walks, number, pairs)),
    pairs.length ? table("Shared words, first | second message; mean distance over the layer's units", head, rows) : null,
    chosen ? [el("h3", {}, `Unit by unit at “${name(chosen)}”`),
      el("p", { class: "soft" }, "A column is a unit, those whose cell states part most first; a line is a message, the last the difference."),
      parting(walks, number, chosen)] : null);
}
