// The LSTM forward and backward, equation by equation, as engine/lstm.py writes them down. A gate may
// be held: then its value is given, and nothing flows back through it.
//
// A message has T tokens; a layer H units. Gate blocks stand in the order i, f, g, o, as on disk.

const BLOCKS = ["i", "f", "g", "o"];
const sigmoid = (z) => 1 / (1 + Math.exp(-z));

// Adds the product of a matrix, stored row by row, and a vector. Four rows at a time: sums that do not
// wait for one another take a third of the time.
function times(matrix, width, vector, into) {
  let r = 0;
  for (; r + 4 <= into.length; r += 4) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let k = 0, at = r * width; k < width; k += 1, at += 1) {
      const value = vector[k];
      a += matrix[at] * value;
      b += matrix[at + width] * value;
      c += matrix[at + 2 * width] * value;
      d += matrix[at + 3 * width] * value;
    }
    into[r] += a;
    into[r + 1] += b;
    into[r + 2] += c;
    into[r + 3] += d;
  }
  for (let at = r * width; r < into.length; r += 1) {
    let sum = into[r];
    for (let k = 0; k < width; k += 1, at += 1) sum += matrix[at] * vector[k];
    into[r] = sum;
  }
  return into;
}

function timesTransposed(matrix, width, vector) {
  const found = new Float64Array(width);
  for (let r = 0, at = 0; r < vector.length; r += 1) {
    const value = vector[r];
    if (value === 0) at += width;
    else for (let k = 0; k < width; k += 1, at += 1) found[k] += matrix[at] * value;
  }
  return found;
}

function direction(arrays, layer, reverse) {
  const [w, u, bx, bh] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map((part) => arrays[`lstm.${part}_l${layer}${reverse ? "_reverse" : ""}`]);
  const [x, h] = [bx.all(), bh.all()];
  return { layer, reverse, w: w.all(), u: u.all(), inputs: w.width, units: u.width, b: Float64Array.from(x, (value, k) => value + h[k]) };
}

function linear(arrays, name) {
  const [weight, bias] = [arrays[`${name}.weight`], arrays[`${name}.bias`]];
  return weight && { w: weight.all(), width: weight.width, b: Float64Array.from(bias.all()) };
}

function joined(a, b) {
  const both = new Float64Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

// What is held of each gate: {f: 0.5} or {f: {3: 0.5}} as a list for each unit, NaN where it is free.
export function heldUnits(hold, units) {
  return Object.fromEntries(BLOCKS.map((gate) => {
    const value = hold?.[gate];
    if (value === undefined || value === null) return [gate, null];
    return [gate, Float64Array.from({ length: units }, (_, unit) => (typeof value === "number" ? value : value[unit] ?? NaN))];
  }));
}

// Does something for each unit of each gate that is held.
function holdIn(held, act) {
  BLOCKS.forEach((name, b) => held[name]?.forEach((value, k) => { if (!Number.isNaN(value)) act(name, b, k); }));
}

export function lstmNetwork({ arrays, config }) {
  const ways = config.bidirectional ? [false, true] : [false];
  const layers = Array.from({ length: config.num_layers }, (_, layer) => ways.map((reverse) => direction(arrays, layer, reverse)));
  return { layers, units: config.hidden_size, pooling: config.pooling, dense: linear(arrays, "dense"), output: linear(arrays, "output") };
}

export function project(one, x) {
  return times(one.w, one.inputs, x, one.b.slice());
}

const TRACED = ["x", "z", "i", "f", "g", "o", "c_before", "c", "h"];

// How many steps of another message, read from the same end, had the same inputs.
function sharedSteps(inputs, other, reverse) {
  if (!other) return 0;
  const [n, m] = [inputs.length, other.length];
  let steps = 0;
  while (steps < n && steps < m && (reverse ? inputs[n - 1 - steps] === other[m - 1 - steps] : inputs[steps] === other[steps])) steps += 1;
  return steps;
}

// One direction over a message's inputs, in the message's order. `rowOf` gives an input's W x + b. Steps
// that `late`, the trace of another message, took in the same way are taken over from it.
function run(one, inputs, { rowOf, held, late }) {
  const { units, u, reverse } = one;
  const n = inputs.length;
  const trace = Object.fromEntries(TRACED.map((name) => [name, new Array(n)]));
  let [h, c] = [new Float64Array(units), new Float64Array(units)];
  const shared = sharedSteps(inputs, late?.x, reverse);
  for (let step = 0; step < n; step += 1) {
    const t = reverse ? n - 1 - step : step;
    if (step < shared) {
      const before = reverse ? late.x.length - 1 - step : step;
      for (const name of TRACED) trace[name][t] = late[name][before];
      [h, c] = [trace.h[t], trace.c[t]];
      continue;
    }
    const z = times(u, units, h, rowOf(inputs[t]));
    const gates = BLOCKS.map(() => new Float64Array(units));
    const [i, f, g, o] = gates;
    const [next, shown] = [new Float64Array(units), new Float64Array(units)];
    for (let k = 0; k < units; k += 1) {
      i[k] = sigmoid(z[k]);
      f[k] = sigmoid(z[units + k]);
      g[k] = Math.tanh(z[2 * units + k]);
      o[k] = sigmoid(z[3 * units + k]);
    }
    holdIn(held, (name, b, k) => { gates[b][k] = held[name][k]; });
    for (let k = 0; k < units; k += 1) {
      next[k] = f[k] * c[k] + i[k] * g[k];
      shown[k] = o[k] * Math.tanh(next[k]);
    }
    Object.entries({ x: inputs[t], z, i, f, g, o, c_before: c, c: next, h: shown }).forEach(([name, value]) => { trace[name][t] = value; });
    [h, c] = [shown, next];
  }
  return trace;
}

// All layers over a message; `rows[d][t]` are the first layer's W x + b. Gives traces[layer][d] and
// the top layer's states, one vector a token. `late` are the traces of a message that is much the same.
export function forward(network, rows, held, late) {
  const traces = [];
  let below = null;
  network.layers.forEach((layer, number) => {
    const found = layer.map((one, d) => run(one, below ?? rows[d], {
      rowOf: below ? (x) => project(one, x) : (row) => row.slice(), held, late: late?.[number][d] }));
    traces.push(found);
    below = found.length > 1 ? found[0].h.map((h, t) => joined(h, found[1].h[t])) : found[0].h;
  });
  return { traces, states: below };
}

export function pool({ pooling }, states) {
  if (pooling === "last" || pooling === "padded_last") return states.at(-1);
  const width = states[0].length;
  const [total, largest] = [new Float64Array(width), Float64Array.from(states[0])];
  for (const state of states) {
    for (let k = 0; k < width; k += 1) {
      total[k] += state[k] / states.length;
      if (state[k] > largest[k]) largest[k] = state[k];
    }
  }
  if (pooling === "mean_max") return joined(total, largest);
  return pooling === "mean" ? total : largest;
}

function dense(network, pooled) {
  return times(network.dense.w, network.dense.width, pooled, network.dense.b.slice());
}

export function head(network, pooled) {
  const last = network.dense ? dense(network, pooled).map((value) => Math.max(value, 0)) : pooled;
  return times(network.output.w, network.output.width, last, network.output.b.slice());
}

// The gradient of the top layer's states, from that of the logits: back through head and pooling.
function throughHead(network, states, slope) {
  const [n, width, how] = [states.length, states[0].length, network.pooling];
  let d = timesTransposed(network.output.w, network.output.width, slope);
  if (network.dense) {
    const before = dense(network, pool(network, states));
    d = timesTransposed(network.dense.w, network.dense.width, d.map((value, k) => (before[k] > 0 ? value : 0)));
  }
  const found = states.map(() => new Float64Array(width));
  if (how === "last" || how === "padded_last") found[n - 1].set(d);
  if (how === "mean" || how === "mean_max") found.forEach((row) => { for (let k = 0; k < width; k += 1) row[k] += d[k] / n; });
  if (how === "max" || how === "mean_max") {
    const first = d.length - width;
    for (let k = 0; k < width; k += 1) {
      let highest = 0;
      for (let t = 1; t < n; t += 1) if (states[t][k] > states[highest][k]) highest = t;
      found[highest][k] += d[first + k];
    }
  }
  return found;
}

// The gradient of one direction's pre-activations at each token, from that of its hidden states.
function throughTime(one, trace, dStates, offset, held) {
  const { units, u, reverse } = one;
  const n = dStates.length;
  const gradient = new Array(n);
  let [dhNext, dcNext] = [new Float64Array(units), new Float64Array(units)];
  for (let step = n - 1; step >= 0; step -= 1) {
    const t = reverse ? n - 1 - step : step;
    const [i, f, g, o, c, before] = ["i", "f", "g", "o", "c", "c_before"].map((name) => trace[name][t]);
    const dz = new Float64Array(4 * units);
    const dc = new Float64Array(units);
    for (let k = 0; k < units; k += 1) {
      const shown = Math.tanh(c[k]);
      const dh = dStates[t][offset + k] + dhNext[k];
      dc[k] = dcNext[k] + dh * o[k] * (1 - shown * shown);
      dz[k] = dc[k] * g[k] * i[k] * (1 - i[k]);
      dz[units + k] = dc[k] * before[k] * f[k] * (1 - f[k]);
      dz[2 * units + k] = dc[k] * i[k] * (1 - g[k] * g[k]);
      dz[3 * units + k] = dh * shown * o[k] * (1 - o[k]);
      dc[k] *= f[k];
    }
    holdIn(held, (name, b, k) => { dz[b * units + k] = 0; });
    gradient[t] = dz;
    dcNext = dc;
    dhNext = timesTransposed(u, units, dz);
  }
  return gradient;
}

// The gradient of the first layer's W x + b, [direction][token], of what has this slope in the logits.
export function backward(network, { traces, states }, slope, held) {
  let d = throughHead(network, states, slope);
  let gradients = [];
  for (let layer = network.layers.length - 1; layer >= 0; layer -= 1) {
    const ways = network.layers[layer];
    const above = d;
    gradients = ways.map((one, k) => throughTime(one, traces[layer][k], above, k * network.units, held));
    if (layer === 0) break;
    d = above.map((_, t) => {
      const parts = ways.map((one, k) => timesTransposed(one.w, one.inputs, gradients[k][t]));
      return parts.reduce((sum, part) => sum.map((value, n) => value + part[n]));
    });
  }
  return gradients;
}
