// The model in a browser: a packed bundle and texts in, answers and walks out. Small enough to be read
// beside the Python it answers like; `selfTest` holds it against that Python's own answers.
//
// Sums are in double precision, where NumPy's are in single: the two differ by about 1e-6.

import { contributions, estimate, probabilitiesOf } from "./engine_attribution.js";
import { fromText, inflated, unpacked } from "./engine_bytes.js";
import { lessonTokenizer } from "./engine_lesson.js";
import { forward, head, heldUnits, lstmNetwork, pool, project } from "./engine_lstm.js";
import { CLEANED, tweetTokenizer, withGaps } from "./engine_text.js";
import { reach } from "./engine_reach.js";
import { ngramBranch, wordInputs } from "./engine_words.js";

const MOST_VALUES = 90_000; // of gates and states in a walk
const MOST_RUNS = 256; // prefixes read, and tokens left out, of a message,
const MOST_RUN_TOKENS = 20_000; // fewer where those would have more tokens than this, but 16
const MOST_REMEMBERED = 5_000_000; // numbers that are kept of words: 40 MB
const MOST_KEPT = 4; // answers of late
const SLOW_MS = 12; // of one estimate, from which a walk is drawn with estimates first
const TURN_MS = 8; // of work on a walk, after which what was typed meanwhile has its turn
const ARRAYS = ["f", "i", "g", "o", "c_before", "c", "h"];
const MOST_LISTED = 3_000; // words asked how far they open a gate
const STEPS = ["Decide what information to throw away from the cell state.", "Decide what new information to store in the cell state.",
  "Update to the new cell state.", "Decide what to output."];
const GATE_NAMES = { f: "forget gate", i: "input gate", g: "candidate values", o: "output gate" };
const SATURATED = 0.05;

export async function openModel(text) {
  return engine(unpacked(await inflated(fromText(text))));
}

// A word's id, what the first layer makes of it, and what it brings to the linear branch; kept.
function reader(model, network) {
  const index = new Map(model.tokens.map((token, id) => [token, id]));
  const inputs = wordInputs(model);
  const open = Boolean(model.pieces) || Boolean(model.ngrams);
  const unknownId = index.get("<unk>") ?? -1;
  const kept = new Map();
  const most = MOST_REMEMBERED / network.layers[0].reduce((sum, one) => sum + one.b.length, 0);
  function word(token) {
    const id = index.get(token) ?? (open ? model.tokens.length : unknownId);
    const name = id < model.tokens.length ? model.tokens[id] : token;
    let found = kept.get(name);
    if (!found) {
      if (kept.size > most) kept.clear();
      const x = inputs(name, id);
      found = { id, rows: network.layers[0].map((one) => project(one, x)), gram: model.ngrams?.row(name, id) };
      kept.set(name, found);
    }
    return found;
  }
  return { word, knows: (token) => index.has(token), drops: !open && unknownId < 0, padding: () => word(model.tokens[0]), isUnknown: ({ id }) => id >= model.tokens.length || id === unknownId };
}

// Everything in the text, which of it is read, and the words read. `without` are rows left out by hand.
function read(model, words, text, without) {
  const tokens = withGaps(text, model.spans(text), model.classes.space).map((token) => ({ ...token, known: token.dropped !== CLEANED && words.knows(token.token) }));
  const limit = model.sequence_length || Infinity;
  const rows = [];
  let place = 0;
  tokens.forEach((token, number) => {
    if (token.dropped) return;
    if (words.drops && !token.known) token.dropped = "not in the vocabulary";
    else if (place >= limit) token.dropped = `past the ${limit} tokens that are read`;
    else if (without?.has(place)) token.dropped = "left out by you";
    else rows.push(number);
    if (!token.dropped || token.dropped === "left out by you") place += 1;
  });
  return { tokens, rows, found: rows.map((number) => words.word(tokens[number].token)) };
}

// The words as the network reads them: one padding token for none, and padded where it was so trained.
function padded(model, words, found) {
  const least = model.config.pooling === "padded_last" ? model.sequence_length : 1;
  const missing = Math.max(least - found.length, 0);
  return missing ? [...found, ...new Array(missing).fill(words.padding())] : found;
}

function decide(p, { kind, labels, thresholds }) {
  if (kind === "multiclass") return labels[p.indexOf(Math.max(...p))];
  if (kind === "binary") return labels[p[1] >= thresholds[0] ? 1 : 0];
  return labels.filter((_, k) => p[k] >= (thresholds.length > 1 ? thresholds[k] : thresholds[0]));
}

function shares(d) {
  const sum = (row, f) => row.reduce((total, _, k) => total + Math.abs(f(k)), 0);
  return {
    kept: d.f.map((f, t) => { const old = sum(f, (k) => d.c_before[t][k]); return old > 0 ? sum(f, (k) => f[k] * d.c_before[t][k]) / old : 1; }),
    written: d.f.map((f, t) => {
      const [fresh, old] = [sum(f, (k) => d.i[t][k] * d.g[t][k]), sum(f, (k) => f[k] * d.c_before[t][k])];
      return fresh + old > 0 ? fresh / (fresh + old) : 0;
    }),
    saturated: d.f.map((_, t) => {
      const gates = [...d.f[t], ...d.i[t], ...d.o[t]];
      return gates.filter((value) => value < SATURATED || value > 1 - SATURATED).length / gates.length;
    }),
    changed_units: d.c.map((c, t) => Array.from(c, (_, unit) => unit).sort((a, b) =>
      Math.abs(c[b] - d.c_before[t][b]) - Math.abs(c[a] - d.c_before[t][a]) || a - b).slice(0, 3)),
  };
}

function directionOf(one, trace, shown, units) {
  const blocks = { i: 0, f: 1, g: 2, o: 3 };
  return {
    layer: one.layer, reverse: one.reverse, units,
    ...Object.fromEntries(ARRAYS.map((name) => [name, shown.map((t) => Array.from(trace[name][t]))])),
    z: Object.fromEntries(Object.entries(blocks).map(([name, b]) => [name, shown.map((t) => Array.from(trace.z[t].subarray(b * units, (b + 1) * units)))])),
    ...shares(trace),
  };
}

// Rows shown of a long message: those that contributed most, the first and the last.
function rowsShown(values, most) {
  const all = values.map((_, t) => t);
  if (all.length <= most) return all;
  const order = all.slice().sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b);
  return [...new Set([0, all.length - 1, ...order.slice(0, most - 2)])].sort((a, b) => a - b);
}

// What is typed, and what the page draws, goes before the rest of a walk.
function othersFirst() {
  const { port1, port2 } = new MessageChannel();
  return new Promise((done) => {
    port1.onmessage = () => { port1.close(); done(); };
    port2.postMessage(null);
  });
}

// The words at the beginning and at the end that two messages have in common.
function inCommon(a, b) {
  const count = (one, other) => { const first = one.findIndex((word, t) => word !== other[t]); return first < 0 ? one.length : first; };
  return count(a, b) + count(a.slice().reverse(), b.slice().reverse());
}

export function engine(model) {
  model.spans = model.tokenizer === "lesson" ? lessonTokenizer(model) : tweetTokenizer(model);
  const network = lstmNetwork(model);
  model.ngrams = model.config.ngrams !== "none" ? ngramBranch(model) : null;
  const words = reader(model, network);
  let residual = 0;
  let late = [];

  // `late` is the answer to a message that is much the same, with the same gates held.
  function run(found, held, late) {
    const whole = padded(model, words, found);
    const done = forward(network, network.layers[0].map((_, d) => whole.map(({ rows }) => rows[d])), held, late?.done.traces);
    const lstm = head(network, pool(network, done.states));
    const real = found.length ? found : [words.padding()];
    const grams = model.ngrams?.logits(real);
    const share = model.config.ngram_share;
    const logits = grams ? lstm.map((value, k) => (1 - share) * value + share * grams[k]) : lstm;
    return { done, lstm, grams, whole, p: probabilitiesOf(logits, model) };
  }

  // The words of a text and what the network made of them. A key pressed asks for the same several times:
  // for the answer, for what a held gate changes, for the walk.
  function ran(text, { hold, without } = {}) {
    const what = read(model, words, text, without);
    const how = JSON.stringify(hold ?? null);
    const alike = late.filter((one) => one.how === how).sort((a, b) => inCommon(b.found, what.found) - inCommon(a.found, what.found));
    let answer = alike.find(({ found }) => found.length === what.found.length && found.every((word, t) => word === what.found[t]));
    if (!answer) {
      const held = heldUnits(hold, network.units);
      answer = { how, found: what.found, held, ...run(what.found, held, alike[0]) };
    }
    late = [answer, ...late.filter((one) => one !== answer)].slice(0, MOST_KEPT);
    return { ...what, ...answer };
  }

  function predict(text, options) {
    const { p, found } = ran(text, options);
    return { label: decide(p, model), probabilities: Object.fromEntries(model.labels.map((label, k) => [label, p[k]])), values: p,
      tokens: found.length, unknown: found.filter(words.isUnknown).length / Math.max(found.length, 1) };
  }

  // The answer prefix by prefix, and how much it falls without each token.
  function* variants(whole, values, label) {
    const { found, held, p } = whole;
    const n = whole.whole.length;
    const runs = Math.min(Math.max(Math.floor(MOST_RUN_TOKENS / n), 16), MOST_RUNS);
    const many = Math.min(n + 1, runs);
    const path = new Array(n + 1).fill(null).map(() => model.labels.map(() => null));
    for (let k = 0; k < many; k += 1) {
      const end = Math.round((k * n) / Math.max(many - 1, 1));
      path[end] = run(found.slice(0, end), held, whole).p;
      yield;
    }
    const left = new Array(n).fill(null);
    const order = found.map((_, t) => t).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b).slice(0, runs);
    for (const t of order) {
      left[t] = p[label] - run([...found.slice(0, t), ...found.slice(t + 1)], held, whole).p[label];
      yield;
    }
    if (!found.length) left[0] = 0;
    const notice = n < runs ? [] : [`the message has ${n} tokens: prefixes were read at ${many} places, and ${order.length} tokens left out in turn`];
    return { path, left_out: left, notice };
  }

  // The tokens of a text with those that padding adds, which of them are read, and every gate and state.
  function traced(text, options) {
    const answer = ran(text, options);
    const { tokens, rows, whole, done } = answer;
    while (rows.length < whole.length) {
      rows.push(tokens.length);
      tokens.push({ token: model.tokens[0], start: -1, end: -1, known: true, dropped: "" });
    }
    const directions = (shown) => network.layers.flatMap((ways, layer) => ways.map((one, d) => directionOf(one, done.traces[layer][d], shown, network.units)));
    return { ...answer, directions };
  }

  function trace(text, options) {
    const { tokens, rows, p, directions } = traced(text, options);
    return { tokens, read: rows, probabilities: p, directions: directions(rows.map((_, t) => t)) };
  }

  // A walk that takes long is yielded first with estimates in place of what takes long.
  function* walking(text, { label, ...options } = {}) {
    const answer = traced(text, options);
    const { tokens, rows, held, lstm, grams, whole, p, directions } = answer;
    const named = model.labels.indexOf(label);
    const number = named >= 0 ? named : model.kind === "binary" ? 1 : p.indexOf(Math.max(...p));
    const each = model.ngrams?.shares(whole);
    const about = { model, network, words: whole, held, shares: each, label: number };

    function told(brought, { path, left_out, notice }) {
      const shown = rowsShown(brought.values, Math.max(Math.floor(MOST_VALUES / (7 * network.units * network.layers.flat().length)), 4));
      return {
        walk_version: 1, text, kind: model.kind, labels: model.labels, label: number, decided: decide(p, model), probabilities: p,
        tokens, read: rows, path, contributions: brought.values, baseline: brought.baseline, completeness_error: brought.error, left_out,
        ngrams: grams ? { share: model.config.ngram_share, lstm_logits: Array.from(lstm), ngram_logits: Array.from(grams), bias: Array.from(model.ngrams.bias),
          token_logits: each.map((values) => Array.from(values)), contributions: brought.ngrams } : null,
        head: { pooling: model.config.pooling, dense: network.dense ? network.dense.b.length : 0, logits: Array.from(lstm), temperature: model.temperature },
        residual: Number(residual.toPrecision(1)), steps: STEPS, gate_names: GATE_NAMES, shown,
        directions: directions(shown),
        notices: notice,
      };
    }

    const started = performance.now();
    const first = estimate(about);
    if (performance.now() - started > SLOW_MS) {
      const unread = Array.from({ length: whole.length }, () => model.labels.map(() => null));
      yield { ...told(first, { path: [...unread, p], left_out: new Array(whole.length).fill(null), notice: [] }), estimated: true };
    }
    const brought = yield* contributions(about);
    return told(brought, yield* variants(answer, brought.values, number));
  }

  function walk(text, options) {
    const work = walking(text, options);
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
    }
  }

  // The same, but whatever else the page has to do goes between its parts, and a signal ends it.
  // One with estimates is told to `early` before.
  async function walkInTurns(text, options, signal, early = () => {}) {
    const work = walking(text, options);
    for (let until = performance.now() + TURN_MS; ;) {
      const { done, value } = work.next();
      if (done) return value;
      if (value) early(value);
      if (performance.now() < until) continue;
      await othersFirst();
      signal?.throwIfAborted();
      until = performance.now() + TURN_MS;
    }
  }

  // The answers that Python gave to some messages when the model was packed, and the largest difference.
  function selfTest() {
    const { messages, tolerance } = model.selftest;
    const gaps = messages.map(({ text, probabilities }) => Math.max(...predict(text).values.map((value, k) => Math.abs(value - probabilities[k]))));
    residual = Math.max(0, ...gaps.map((gap) => (Number.isNaN(gap) ? 1 : gap)));
    return { passed: residual <= tolerance, largest: residual, tolerance, n: messages.length };
  }

  // The answer, and how large a cell state of the first layer is after the last word, on average.
  function summary(text, options) {
    const { done, p } = ran(text, options);
    const last = done.traces[0][0].c.at(-1);
    return { p, size: last.reduce((sum, value) => sum + Math.abs(value), 0) / last.length };
  }

  function likeliest(text) {
    const { values } = predict(text);
    return values.indexOf(Math.max(...values));
  }

  // How far the last hidden state of the first layer, reading forward, depends on the states at each
  // token: of the LSTM, and of what is left of it with these gates held.
  function reaches(text, options) {
    const { done, held } = ran(text, options);
    return reach(network.layers[0][0], done.traces[0][0], held);
  }

  // The frequent words that open a forget gate of the first layer most, and least, read alone: from an
  // empty state a forget gate is σ(W_f x + b_f).
  function openers(direction, unit, n = 6) {
    const block = 1; // of i, f, g, o
    const listed = model.tokens.slice(0, MOST_LISTED).filter((token) => !/^<(pad|unk)>$/.test(token));
    const before = (token) => words.word(token).rows[direction][block * network.units + unit];
    const order = listed.map((token) => [before(token), token]).sort((a, b) => b[0] - a[0] || (a[1] < b[1] ? -1 : 1));
    const named = (part) => part.map(([z, token]) => ({ token, value: 1 / (1 + Math.exp(-z)) }));
    return { open: named(order.slice(0, n)), shut: named(order.slice(-n).reverse()), n: listed.length };
  }

  // A direction's recurrent weights, row by row, and its bias.
  function weights({ layer, reverse }) {
    const one = network.layers[layer][Number(reverse)];
    return { bias: one.b, recurrent: Array.from({ length: 4 * one.units }, (_, row) => one.u.subarray(row * one.units, (row + 1) * one.units)) };
  }

  // The tokens read, those left out by hand included, and where each stands, in code points.
  const wordsOf = (text) => { const { tokens, rows } = read(model, words, text); return rows.map((number) => tokens[number]); };

  return { model, predict, trace, walk, walkInTurns, selfTest, summary, likeliest, reaches, openers, weights, words: wordsOf, units: network.units };
}
