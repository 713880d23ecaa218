// Two messages side by side: the words they share, and how far their gates part there.

import { el, percent, shown, table, withSign } from "./dom.js";

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

// The mean distance of two rows of gates, over all units.
export function distance(a, b, name, rows) {
  const [x, y] = [a.directions[0][name][a.shown.indexOf(rows[0])], b.directions[0][name][b.shown.indexOf(rows[1])]];
  return x.reduce((sum, value, unit) => sum + Math.abs(value - y[unit]), 0) / x.length;
}

function meter(value) {
  return el("span", { class: "meter" }, el("span", { style: `width:${Math.min(100 * value, 100)}%` }), shown(value));
}

export function comparison([a, b]) {
  const pairs = sharedRows(a, b);
  const p = (walk, row) => shown(walk.path[row + 1][walk.label]);
  const answer = (walk) => `${shown(walk.probabilities[walk.label])} for “${walk.labels[walk.label]}”`;
  const head = ["shared word", "contributed", "read so far", "kept", "forget gates apart",
    "input gates apart", "output gates apart", "cell states apart"];
  const rows = pairs.map(([x, y]) => [
    a.tokens[a.read[x]].token,
    `${withSign(a.contributions[x])} | ${withSign(b.contributions[y])}`,
    `${p(a, x)} | ${p(b, y)}`,
    `${percent(a.directions[0].kept[x])} | ${percent(b.directions[0].kept[y])}`,
    ...["f", "i", "o", "c"].map((name) => meter(distance(a, b, name, [x, y]))),
  ]);
  const words = pairs.length === 0 ? "They share no word whose gates are shown."
    : "The same word, read after different words: its input is the same, so whatever parts its gates is memory.";
  return el("section", { class: "compare" }, el("h2", {}, "Side by side: where do their gates part?"),
    el("p", {}, `First message: ${answer(a)}. Second: ${answer(b)}. ${words}`),
    pairs.length ? table("Shared words, first | second message; mean distance over the first layer's units", head, rows) : null);
}
