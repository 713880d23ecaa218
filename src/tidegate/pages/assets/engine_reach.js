// How far back gradients reach: the sizes of ∂h_T/∂h_t and ∂h_T/∂c_t of one direction of a layer, as
// experiments/gradients.py has them. A size is the largest singular value of the matrix.

const ROUNDS = 200; // of the power iteration, at most
const SETTLED = 1e-7; // the relative change of a size at which it ends

// ∂h_T/∂s_t from ∂h_T/∂s_{t+1}, in place; s is (h, c). A row of `h` and `c` is for one unit of h_T.
function stepBack({ units, u }, trace, t, held, { h, c }) {
  const [i, f, g, o, now, before] = ["i", "f", "g", "o", "c", "c_before"].map((name) => trace[name][t]);
  const free = ["i", "f", "g", "o"].map((name) => Array.from({ length: units }, (_, k) => (held[name] && !Number.isNaN(held[name][k]) ? 0 : 1)));
  const shown = now.map((value) => Math.tanh(value));
  for (let r = 0; r < units; r += 1) {
    const row = h.subarray(r * units, (r + 1) * units);
    const next = new Float64Array(units);
    for (let k = 0; k < units; k += 1) {
      const dc = c[r * units + k] + row[k] * o[k] * (1 - shown[k] * shown[k]);
      const dz = [free[0][k] * dc * g[k] * i[k] * (1 - i[k]), free[1][k] * dc * before[k] * f[k] * (1 - f[k]),
        free[2][k] * dc * i[k] * (1 - g[k] * g[k]), free[3][k] * row[k] * shown[k] * o[k] * (1 - o[k])];
      c[r * units + k] = dc * f[k];
      for (let b = 0; b < 4; b += 1) {
        if (dz[b] === 0) continue;
        for (let n = 0, at = (b * units + k) * units; n < units; n += 1, at += 1) next[n] += dz[b] * u[at];
      }
    }
    row.set(next);
  }
}

// The largest singular value of a square matrix, by power iteration from its largest row.
function size(matrix, n) {
  const row = (r) => matrix.subarray(r * n, (r + 1) * n);
  const norm = (vector) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  let v = Float64Array.from(Array.from({ length: n }, (_, r) => row(r)).reduce((a, b) => (norm(b) > norm(a) ? b : a)));
  let found = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const length = norm(v);
    if (length === 0) return 0;
    v = v.map((value) => value / length);
    const out = Float64Array.from({ length: n }, (_, r) => row(r).reduce((sum, value, k) => sum + value * v[k], 0));
    const next = norm(out);
    if (Math.abs(next - found) <= SETTLED * next) return next;
    found = next;
    v = new Float64Array(n);
    for (let r = 0; r < n; r += 1) row(r).forEach((value, k) => { v[k] += value * out[r]; });
  }
  return found;
}

// {h, c}: a size for each token t, in the message's order; T is the token that the direction reads last.
export function reach(one, trace, held) {
  const { units, reverse } = one;
  const n = trace.h.length;
  const state = { h: new Float64Array(units * units), c: new Float64Array(units * units) };
  for (let k = 0; k < units; k += 1) state.h[k * units + k] = 1;
  const found = { h: new Array(n), c: new Array(n) };
  for (let step = n - 1; step >= 0; step -= 1) {
    const t = reverse ? n - 1 - step : step;
    [found.h[t], found.c[t]] = [size(state.h, units), size(state.c, units)];
    if (step > 0) stepBack(one, trace, t, held, state);
  }
  return found;
}
