// From the last layer's states to the answer: pooling, the output layer, the linear branch, σ.

import { el, percent, shown, sideways, svg, tint } from "./dom.js";

const POOLED = {
  mean_max: [["mean", "mean over tokens"], ["max", "max over tokens"]], mean: [["mean", "mean over tokens"]],
  max: [["max", "max over tokens"]], last: [["last", "last token’s h"]], padded_last: [["last", "h after the padding"]],
};
const [UPPER, LOWER, CENTRE] = [24, 104, 64]; // where boxes begin, from the top
const HIGH = 54;

function block(x, y, width, lines, more = null) {
  return svg("g", { class: "layer plain" }, svg("rect", { x, y, width, height: HIGH, rx: 8 }),
    lines.map((line, n) => svg("text", { x: x + width / 2, y: y + (more || lines.length > 1 ? 21 : 32) + 18 * n, "text-anchor": "middle",
      class: n ? "named" : "head" }, line)), more);
}

const way = (d, end = true) => svg("path", { d, class: "wire", "marker-end": end ? "url(#tip)" : null });
const note = (text, x, y, side = "middle") => svg("text", { x, y, "text-anchor": side, class: "number" }, text);

// The top layer's hidden states, pooled over the tokens; null where some tokens are not shown.
export function pooled(walk, how) {
  const top = walk.directions.filter((d) => d.layer === walk.directions.at(-1).layer);
  if (walk.shown.length < walk.read.length) return null;
  return top.flatMap((d) => Array.from({ length: d.units }, (_, unit) => {
    const values = d.h.map((row) => row[unit]);
    if (how === "mean") return values.reduce((sum, v) => sum + v, 0) / values.length;
    return how === "max" ? Math.max(...values) : values.at(-1);
  }));
}

function bars(values, x, y, width) {
  const largest = Math.max(...values.map(Math.abs), 1e-9);
  return svg("g", { class: "bars" }, values.map((value, n) => svg("rect", { x: x + (n * width) / values.length, y,
    width: width / values.length, height: 14, style: `fill:${tint(value, largest)}` })));
}

function pooling(walk, ways) {
  const places = ways.length > 1 ? [UPPER, LOWER] : [CENTRE];
  return ways.map(([how, title], n) => {
    const values = pooled(walk, how);
    return block(262, places[n], 200, [title], values && bars(values, 274, places[n] + 30, 176));
  });
}

function reading(walk) {
  const top = walk.directions.filter((d) => d.layer === walk.directions.at(-1).layer);
  const places = top.length > 1 ? [UPPER, LOWER] : [CENTRE];
  return top.map((d, n) => block(8, places[n], 196, [d.reverse ? "← reads backward" : "reads forward →",
    `${walk.read.length} tokens × ${d.units} units`]));
}

// Every pooled vector takes in both directions.
function between(from, to) {
  const middles = (n) => (n > 1 ? [UPPER, LOWER] : [CENTRE]).map((y) => y + HIGH / 2);
  const [a, b] = [middles(from), middles(to)];
  const all = [...a, ...b];
  return [a.map((y) => way(`M204 ${y} H232`, false)), way(`M232 ${Math.min(...all)} V${Math.max(...all)}`, false),
    b.map((y) => way(`M232 ${y} H260`)), b.map((y) => way(`M462 ${y} H480`, false)),
    b.length > 1 ? way(`M480 ${b[0]} V${b[1]}`, false) : null, way(`M480 ${CENTRE + HIGH / 2} H498`)];
}

// The numbers on the way: of the label explained, or for a binary model of its second label.
export function logits(walk) {
  const one = walk.kind === "binary" ? 0 : walk.label;
  const lstm = walk.head.logits[one];
  if (!walk.ngrams) return { lstm, sum: lstm };
  const { share } = walk.ngrams;
  const ngram = walk.ngrams.ngram_logits[one];
  return { lstm, ngram, share, sum: (1 - share) * lstm + share * ngram };
}

function squash(walk) {
  if (walk.kind === "multiclass") return "softmax";
  return walk.kind === "binary" && walk.label === 0 ? "1 − σ" : "σ";
}

function joined(found) {
  const y = CENTRE + HIGH / 2;
  if (found.ngram === undefined) return [way(`M592 ${y} H768`), note(shown(found.sum), 686, y - 10)];
  return [way(`M592 ${y} H724`), note(`${shown(found.lstm)} × ${percent(1 - found.share)}`, 657, y - 10),
    block(262, 180, 200, ["linear model", "of words and characters"]), way(`M462 207 H740 V${y + 16}`),
    note(`${shown(found.ngram)} × ${percent(found.share)}`, 600, 198),
    svg("g", { class: "point" }, svg("circle", { cx: 740, cy: y, r: 14 }), svg("text", { x: 740, y: y + 5, "text-anchor": "middle" }, "+")),
    way(`M754 ${y} H792`), note(`= ${shown(found.sum)}`, 752, y + 48, "start")];
}

function explained(walk, found) {
  const { temperature } = walk.head;
  const sum = found.ngram === undefined ? `The logit is ${shown(found.sum)}`
    : `The logit is ${percent(1 - found.share)} of the LSTM’s ${shown(found.lstm)} and ${percent(found.share)} of the linear model’s `
      + `${shown(found.ngram)}: ${shown(found.sum)}`;
  return `${sum}. It is divided by the temperature ${shown(temperature, 2)}, which calibrates it, and ${squash(walk)} makes of it the `
    + `probability of “${walk.labels[walk.label]}”: ${shown(walk.probabilities[walk.label])}.`;
}

// Null for a walk of an earlier version, which did not say how its model ends.
export function outcome(walk) {
  if (!walk.head) return null;
  const ways = POOLED[walk.head.pooling];
  const found = logits(walk);
  const said = explained(walk, found);
  const [y, x] = [CENTRE + HIGH / 2, found.ngram === undefined ? 770 : 794];
  const from = walk.directions.filter((d) => d.layer === walk.directions.at(-1).layer).length;
  const picture = svg("svg", { viewBox: `0 0 976 ${found.ngram === undefined ? 176 : 250}`, class: "cell outcome", role: "img", "aria-label": said },
    between(from, ways.length), reading(walk), pooling(walk, ways),
    block(500, CENTRE, 92, walk.head.dense ? ["linear", `after ${walk.head.dense} ReLU`] : ["linear"]), joined(found),
    block(x, CENTRE, 80, [squash(walk), `÷ ${shown(walk.head.temperature, 2)} first`]), way(`M${x + 80} ${y} H${x + 104}`),
    svg("text", { x: x + 110, y: y + 7, class: "number big" }, shown(walk.probabilities[walk.label])));
  return el("figure", {}, sideways("The way to the answer", picture, "scroll"), el("p", {}, said));
}
