// What is said of one step: its equation, its numbers, and a sentence.

import { percent, shown } from "./dom.js";

export const NOTHING_YET = "nothing to forget yet";

export const INTRODUCTION = "An LSTM reads a message one token at a time and carries a memory along: "
  + "the cell state. At each token its gates decide what of that memory to throw away, what to add to it, "
  + "and what to show. Below, every one of those decisions, with the numbers that gave this answer.";

export const EQUATIONS = [
  ["f_t = σ(W_f x_t + U_f h_{t−1} + b_f)"],
  ["i_t = σ(W_i x_t + U_i h_{t−1} + b_i)", "C̃_t = tanh(W_C x_t + U_C h_{t−1} + b_C)"],
  ["c_t = f_t ⊙ c_{t−1} + i_t ⊙ C̃_t"],
  ["o_t = σ(W_o x_t + U_o h_{t−1} + b_o)", "h_t = o_t ⊙ tanh(c_t)"],
];

// Whether the cell state is still empty when a direction comes to a row: it has read nothing before.
export function emptyBefore(walk, direction, row) {
  return row === (direction.reverse ? walk.read.length - 1 : 0);
}

// The share of the old cell state that was kept, where there was one.
export function keptShare(walk, direction, row) {
  return emptyBefore(walk, direction, row) ? "–" : percent(direction.kept[row]);
}

// The place among the rows shown where the page opens: the token that moved the answer most, but
// not the first that is read, where nothing can be forgotten yet.
export function opening(walk) {
  const [direction] = walk.directions;
  const moved = walk.shown.map((row) => emptyBefore(walk, direction, row) ? -1 : Math.abs(walk.contributions[row]));
  return Math.max(moved.indexOf(Math.max(...moved)), 0);
}

// The hidden state before the k-th of the tokens shown; null where that token is not shown.
export function hiddenBefore(walk, direction, k) {
  const row = walk.shown[k];
  if (emptyBefore(walk, direction, row)) return Array.from({ length: direction.units }, () => 0);
  return direction.h[walk.shown.indexOf(row + (direction.reverse ? 1 : -1))] ?? null;
}

// The numbers on the wires at row k of those shown: of one unit, or (null) the mean of all. Only the
// products are not in the walk itself.
export function wires(walk, direction, k, unit) {
  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const of = (values) => (unit === null ? mean(values) : values[unit]);
  const each = (f) => of(Array.from({ length: direction.units }, (_, n) => f(n)));
  const [d, row] = [direction, walk.shown[k]];
  const first = emptyBefore(walk, d, row);
  const before = hiddenBefore(walk, d, k);
  return {
    first,
    ...Object.fromEntries(["f", "i", "g", "o", "c_before", "c", "h"].map((name) => [name, of(d[name][k])])),
    h_before: before && of(before),
    kept: each((n) => d.f[k][n] * d.c_before[k][n]),
    new: each((n) => d.i[k][n] * d.g[k][n]),
    squashed: each((n) => Math.tanh(d.c[k][n])),
  };
}

// Whether the sum is right as it stands, with three digits each.
function adds({ kept, new: fresh, c }) {
  return Math.round(1000 * kept) + Math.round(1000 * fresh) === Math.round(1000 * c);
}

export function sentence(step, found, unit, word) {
  const who = unit === null ? "on average, a unit" : `unit ${unit}`;
  return [
    found.first ? `At “${word}”, ${who} has a forget gate of ${shown(found.f)}, and ${NOTHING_YET}: it is the first token read, `
      + "and its old cell state is empty." : `At “${word}”, ${who} has a forget gate of ${shown(found.f)}: of its old cell state `
      + `${shown(found.c_before)} it keeps ${shown(found.kept)}.`,
    `At “${word}”, ${who} has an input gate of ${shown(found.i)} before the candidate value `
      + `${shown(found.g)}: it lets in ${shown(found.new)}.`,
    `At “${word}”, ${who} adds the two: ${shown(found.kept)} + ${shown(found.new)} ${adds(found) ? "=" : "≈"} `
      + `${shown(found.c)}, its new cell state.`,
    `At “${word}”, ${who} has an output gate of ${shown(found.o)}: of tanh c = `
      + `${shown(found.squashed)} it shows ${shown(found.h)}, its hidden state.`,
  ][step - 1];
}

// What all units did, as far as the step shown has come.
export function allUnits(walk, direction, row, step = 4) {
  const all = `All ${direction.units} units together`;
  const told = [emptyBefore(walk, direction, row) ? `${all}: ${NOTHING_YET}`
    : `${all} keep ${percent(direction.kept[row])} of their old cell state`];
  if (step > 2) told.push(`${percent(direction.written[row])} of the new one has just been written`);
  if (step > 3) told.push(`${percent(direction.saturated[row])} of their gates are nearly shut or open`);
  return `${told.join("; ")}.`;
}
