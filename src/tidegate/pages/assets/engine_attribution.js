// What each token contributed: integrated gradients, as walking/attribution.py has them. The line from
// a message that says nothing to the message is cut into panels; the worst are halved.

import { backward, forward, head, pool } from "./engine_lstm.js";

// Gauss and Legendre's eight points on [0, 1], and their weights.
const HALF_POINTS = [[0.1834346424956498, 0.362683783378362], [0.525532409916329, 0.3137066458778873],
  [0.7966664774136267, 0.2223810344533745], [0.9602898564975363, 0.1012285362903763]];
const RULE = HALF_POINTS.flatMap(([x, w]) => [[(1 - x) / 2, w / 2], [(1 + x) / 2, w / 2]]);
const TOLERANCE = 5e-4;
const MOST_POINTS = 1024;
const MOST_TOKENS = 40_000; // over all points: a long message's error may stay larger than in Python

export function probabilitiesOf(logits, { kind, temperature }) {
  const z = Array.from(logits, (value) => value / temperature);
  if (kind === "multiclass") {
    const largest = Math.max(...z);
    const e = z.map((value) => Math.exp(value - largest));
    const sum = e.reduce((total, value) => total + value, 0);
    return e.map((value) => value / sum);
  }
  const positive = z.map((value) => 0.5 * Math.tanh(0.5 * value) + 0.5);
  return kind === "multilabel" ? positive : [1 - positive[0], positive[0]];
}

// The slope of a label's probability in the logits.
function slopeOf(p, label, { kind, temperature }) {
  const mine = p[label];
  if (kind === "multiclass") return p.map((value, k) => ((k === label ? mine : 0) - mine * value) / temperature);
  if (kind === "multilabel") return p.map((value, k) => (k === label ? (mine * (1 - mine)) / temperature : 0));
  return [((label === 1 ? 1 : -1) * p[0] * p[1]) / temperature];
}

function line({ model, network, words, held, shares, label }) {
  const bias = network.layers[0].map((one) => one.b);
  const inputs = bias.map((b, d) => words.map(({ rows }) => rows[d].map((value, k) => value - b[k])));
  const gram = shares && shares.reduce((sum, row) => sum.map((value, k) => value + row[k]), new Float64Array(shares[0].length));
  const share = shares ? model.config.ngram_share : 0;

  function at(alpha) {
    const rows = inputs.map((row, d) => row.map((x) => x.map((value, k) => alpha * value + bias[d][k])));
    const found = forward(network, rows, held);
    let logits = head(network, pool(network, found.states));
    if (shares) logits = logits.map((value, k) => (1 - share) * value + share * (model.ngrams.bias[k] + alpha * gram[k]));
    return { found, p: probabilitiesOf(logits, model) };
  }

  // The slope along the line, token by token: through the LSTM, and through the linear branch.
  function slopes(alpha) {
    const { found, p } = at(alpha);
    const slope = slopeOf(p, label, model);
    const gradients = backward(network, found, Float64Array.from(slope, (value) => value * (1 - share)), held);
    const lstm = words.map((_, t) => inputs.reduce((sum, row, d) => row[t].reduce((part, x, k) => part + x * gradients[d][t][k], sum), 0));
    const grams = words.map((_, t) => (shares ? share * shares[t].reduce((sum, value, k) => sum + value * slope[k], 0) : 0));
    return [lstm, grams];
  }

  const ends = new Map(); // two panels share one
  function p(alpha) {
    if (!ends.has(alpha)) ends.set(alpha, at(alpha).p[label]);
    return ends.get(alpha);
  }

  return { slopes, p };
}

function integrated({ slopes, p }, [start, end], n) {
  const values = [new Float64Array(n), new Float64Array(n)];
  for (const [place, weight] of RULE) {
    slopes(start + (end - start) * place).forEach((part, k) => part.forEach((value, t) => { values[k][t] += value * weight * (end - start); }));
  }
  const [before, after] = [p(start), p(end)];
  const sum = values.reduce((total, part) => part.reduce((all, value) => all + value, total), 0);
  return { start, end, values, before, after, error: sum - (after - before) };
}

// What takes the place of contributions until they are worked out: the slope at the message itself,
// along the line. Their sum misses the answer's change by `error`.
export function estimate(about) {
  const points = line(about);
  const [lstm, grams] = points.slopes(1);
  const values = lstm.map((value, t) => value + grams[t]);
  const [baseline, probability] = [points.p(0), points.p(1)];
  return { values, ngrams: grams, baseline, error: values.reduce((sum, value) => sum + value, 0) - (probability - baseline) };
}

// Everything a walk says of contributions: of each token, of it through the branch, and the error. It
// stops after each stretch of the line, so that what is typed meanwhile can be answered.
export function* contributions(about) {
  const n = about.words.length;
  const points = line(about);
  const most = Math.min(MOST_POINTS, Math.max(MOST_TOKENS / n, 16));
  let [panels, ends] = [[], [[0, 0.5], [0.5, 1]]];
  for (;;) {
    for (const one of ends) {
      panels.push(integrated(points, one, n));
      yield;
    }
    panels.sort((a, b) => Math.abs(a.error) - Math.abs(b.error));
    let [fine, sum] = [0, 0];
    while (fine < panels.length && sum + Math.abs(panels[fine].error) <= TOLERANCE / 2) sum += Math.abs(panels[fine++].error);
    const total = panels.reduce((all, { error }) => all + Math.abs(error), 0);
    if (total <= TOLERANCE || RULE.length * (2 * panels.length - fine) > most) break;
    ends = panels.slice(fine).flatMap(({ start, end }) => [[start, (start + end) / 2], [(start + end) / 2, end]]);
    panels = panels.slice(0, fine);
  }
  panels.sort((a, b) => a.start - b.start);
  const [lstm, grams] = [0, 1].map((k) => panels.reduce((all, { values }) => all.map((value, t) => value + values[k][t]), new Float64Array(n)));
  const values = lstm.map((value, t) => value + grams[t]);
  const [baseline, probability] = [panels[0].before, panels.at(-1).after];
  const whole = values.reduce((sum, value) => sum + value, 0);
  return { values: Array.from(values), ngrams: Array.from(grams), baseline, error: whole - (probability - baseline) };
}
