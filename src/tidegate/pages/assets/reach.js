// How far each word still reaches: the gradients of the last hidden state, word by word, for the LSTM
// and for the traditional RNN that is left when its gates are taken away.

import { el, formula, sideways, svg, table, visible } from "./dom.js";
import { short } from "./message.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [900, 250, 64, 20, 16, 196];
const FLOOR = 1e-8; // smaller sizes are drawn on the lower edge
const LINES = [["c", "LSTM, through the cell state: ∂h_T/∂c_t", "lstm"], ["h", "LSTM, through the hidden state: ∂h_T/∂h_t", "hidden"],
  ["rnn", "traditional RNN: ∂h_T/∂h_t", "rnn"], ["held", "as held, the larger of both ways", "held"]];

export function size(value) {
  if (value === 0) return "0";
  if (value >= 0.001) return value.toPrecision(2);
  return value.toExponential(0).replace("-", "−");
}

// The lines there are: what is held is drawn only while something is.
const drawnOf = (found) => LINES.filter(([key]) => found[key]);

function plot(words, found) {
  const n = words.length;
  const lines = drawnOf(found);
  const sizes = lines.flatMap(([key]) => found[key]).filter((value) => value > FLOOR);
  const decades = [Math.floor(Math.log10(Math.min(...sizes, 0.1))), Math.ceil(Math.log10(Math.max(...sizes, 1)))];
  const x = (t) => LEFT + ((t + 0.5) / n) * (WIDTH - LEFT - RIGHT);
  const y = (value) => BOTTOM - ((Math.log10(Math.max(value, 10 ** decades[0])) - decades[0]) / (decades[1] - decades[0])) * (BOTTOM - TOP);
  const ticks = Array.from({ length: decades[1] - decades[0] + 1 }, (_, k) => decades[0] + k).filter((power) => (power - decades[1]) % Math.ceil((decades[1] - decades[0]) / 5) === 0);
  const drawn = lines.map(([key, , kind]) => {
    // ∂h_T/∂c_T is 0 by definition, as h_T is given beside c_T: the line begins one token before.
    const values = key === "c" ? found[key].slice(0, -1) : found[key];
    return [svg("polyline", { class: `reach ${kind}`, points: values.map((value, t) => `${x(t).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }),
      values.map((value, t) => svg("circle", { class: `reach ${kind}`, cx: x(t), cy: y(value), r: 3.5 }))];
  });
  const every = Math.ceil(n / 12);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "reaches",
    "aria-label": `Sizes of the gradients of the last hidden state over ${n} tokens, on a scale of powers of ten; the same in the table below.` },
    ticks.map((power) => [svg("line", { class: "aid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(10 ** power), y2: y(10 ** power) }),
      svg("text", { x: LEFT - 8, y: y(10 ** power) + 4, "text-anchor": "end" }, power === 0 ? "1" : power > -3 && power < 3 ? String(10 ** power).slice(0, 6) : `1e${power}`.replace("-", "−"))]),
    words.map((word, t) => (t % every ? null : svg("text", { x: x(t), y: BOTTOM + 20, "text-anchor": "middle" }, short(word, Math.max(6, Math.floor(100 / Math.min(n, 12))))))),
    svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle", class: "aside" }, "token t"), drawn);
}

export function reaching() {
  const said = el("p", { class: "effect" });
  const spot = el("div");
  const twin = el("details", {}, el("summary", {}, "These sizes as a table"));
  const named = ([, name, kind]) => el("li", {}, svg("svg", { viewBox: "0 0 30 10", width: 30, height: 10, "aria-hidden": "true" },
    svg("line", { class: `reach ${kind}`, x1: 1, x2: 29, y1: 5, y2: 5 })), el("span", {}, formula(name)));
  const key = el("ul", { class: "key" });
  return {
    node: [el("h2", {}, "How far does a word reach?"),
      el("p", { class: "soft" }, "How much the last hidden state of the first layer, reading forward, still changes with the states at each word: "
        + "the largest singular value of the derivative, h and c being taken apart (so there is none by the cell state at the last word). "
        + "What has fallen to nearly nothing can be neither used nor learned."),
      said, spot, key, twin],
    update: (words, found) => {
      const few = words.length < 2;
      [spot.hidden, key.hidden, twin.hidden] = [few, few, few];
      if (few) {
        said.textContent = "It takes at least two words to see how far the first one reaches.";
        return;
      }
      const lstm = Math.max(found.c[0], found.h[0]);
      const times = found.rnn[0] > 0 ? lstm / found.rnn[0] : Infinity;
      const than = times !== Infinity && times >= 1.5 ? `, ${times >= 10 ? Math.round(times).toLocaleString("en") : times.toFixed(1)} times as much as the traditional RNN` : "; the traditional RNN carries as much or more";
      said.textContent = `From the first word, “${visible(words[0])}”, to the last, the LSTM carries ${size(lstm)}${than} (${size(found.rnn[0])}).`;
      const lines = drawnOf(found);
      key.replaceChildren(...lines.map(named));
      spot.replaceChildren(sideways("Gradients over the message", plot(words, found)));
      twin.replaceChildren(twin.firstChild, table("Sizes of the gradients of the last hidden state", ["token", ...lines.map(([, name]) => name)],
        words.map((word, t) => [word, ...lines.map(([name]) => size(found[name][t]))])));
    },
  };
}
