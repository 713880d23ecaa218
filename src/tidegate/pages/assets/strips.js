// Heat strips: every unit of every gate and state over all tokens, a pixel each, drawn large.

import { el, shown, table } from "./dom.js";
import { short } from "./message.js";

const MOST_NAMES = 8; // tokens named under a strip; of more, only the one that is shown
const LEVEL_CHARACTERS = 30; // that find room under a strip side by side; names of more stand upright

export const STRIPS = [
  ["f", "forget gate f", false], ["i", "input gate i", false], ["g", "candidate values C̃", true],
  ["o", "output gate o", false], ["c", "cell state c", true], ["h", "hidden state h", true],
];

// Units in the order asked for: as they stand, by how much their cell state moves, or by how much
// it holds at one token.
export function unitOrder(direction, how, k) {
  const units = Array.from({ length: direction.units }, (_, unit) => unit);
  const activity = units.map((unit) => how === "token" ? Math.abs(direction.c[k][unit])
    : direction.c.reduce((sum, c, t) => sum + Math.abs(c[unit] - direction.c_before[t][unit]), 0));
  return how === "number" ? units : units.sort((a, b) => activity[b] - activity[a] || a - b);
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  return ["--plus", "--minus"].map((name) => {
    const hex = style.getPropertyValue(name).trim().slice(1);
    return [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16));
  });
}

// Draws values[column][unit], a pixel each; returns the value that has the full colour.
export function draw(canvas, values, order, signed) {
  const [n, units] = [values.length, order.length];
  canvas.width = n;
  canvas.height = units;
  const context = canvas.getContext("2d");
  const image = context.createImageData(n, units);
  const largest = signed ? Math.max(1e-9, ...values.flat().map(Math.abs)) : 1;
  const [plus, minus] = colours();
  order.forEach((unit, line) => values.forEach((row, k) => {
    const hue = row[unit] < 0 ? minus : plus;
    image.data.set([...hue, 255 * Math.min(Math.abs(row[unit]) / largest, 1)], 4 * (line * n + k));
  }));
  context.putImageData(image, 0, 0);
  return largest;
}

// What the colours mean, as a little ruler.
export function scale(signed, largest) {
  return el("span", { class: signed ? "scale signed" : "scale" }, signed ? shown(-largest, 1) : "0", el("i", {}),
    signed ? shown(largest, 1) : "1");
}

function names(n, word) {
  const all = n <= MOST_NAMES;
  const longest = all ? Math.max(...Array.from({ length: n }, (_, k) => Array.from(word(k)).length)) : 0;
  const kind = all ? (n * (longest + 1) > LEVEL_CHARACTERS ? "upright" : "") : "alone";
  const shownNames = Array.from({ length: all ? n : 1 }, (_, k) => el("span", {}, all ? short(word(k), 12) : ""));
  return {
    node: el("div", { class: `names ${kind}`, "aria-hidden": "true" }, shownNames),
    update: (k) => {
      if (all) shownNames.forEach((node, other) => node.classList.toggle("now", other === k));
      else {
        const share = (100 * (k + 0.5)) / n;
        shownNames[0].textContent = word(k);
        shownNames[0].style.cssText = `left:${share}%;transform:translateX(-${share}%)`;
      }
    },
  };
}

// One strip: its picture, its frame around what is shown, and the names under it.
function strip([key, name, signed], { direction, word, go, choose, order, readout }) {
  const canvas = el("canvas", { role: "img" });
  const ruler = el("span");
  const below = names(direction()[key].length, word);
  const column = el("span", { class: "column" });
  const line = el("span", { class: "line" });
  const frame = el("div", { class: "strip" }, canvas, column, line);
  const under = (event) => {
    const box = frame.getBoundingClientRect();
    const share = (at, size, n) => Math.min(Math.max(Math.floor((at / size) * n), 0), n - 1);
    const k = share(event.clientX - box.left, box.width, direction()[key].length);
    return [k, order()[share(event.clientY - box.top, box.height, order().length)]];
  };
  frame.addEventListener("pointermove", (event) => {
    const [k, unit] = under(event);
    readout.textContent = `unit ${unit} at “${word(k)}”: ${name} ${shown(direction()[key][k][unit])}`;
  });
  frame.addEventListener("click", (event) => {
    const [k, unit] = under(event);
    choose(unit);
    go(k);
  });
  return { key, name, signed, canvas, column, line, ruler, below,
    figure: el("figure", {}, el("figcaption", {}, el("span", {}, name), ruler), frame, below.node) };
}

export function strips({ direction, word, go, choose }) {
  const readout = el("p", { class: "readout", "aria-hidden": "true" },
    "A column is a token, a line a unit. Hover over a strip for its values; click to go there.");
  const twin = el("div");
  let order = [];
  const drawn = STRIPS.map((one) => strip(one, { direction, word, go, choose, readout, order: () => order }));
  const details = el("details", { ontoggle: () => fillTwin() }, el("summary", {}, "The values at this token as a table"), twin);
  let now = [0, 0];
  function fillTwin() {
    if (!details.open) return;
    const [k] = now;
    twin.replaceChildren(table(`Every unit at “${word(k)}”`, ["unit", ...STRIPS.map(([, name]) => name)],
      order.map((unit) => [String(unit), ...STRIPS.map(([key]) => shown(direction()[key][k][unit]))])));
  }
  return {
    node: el("div", {}, readout, el("div", { class: "strips" }, drawn.map(({ figure }) => figure)), details),
    redraw: (how, k) => {
      order = unitOrder(direction(), how, k);
      for (const { key, name, signed, canvas, ruler } of drawn) {
        ruler.replaceChildren(scale(signed, draw(canvas, direction()[key], order, signed)));
        canvas.setAttribute("aria-label", `${name}: ${order.length} units over ${direction()[key].length} tokens`);
      }
    },
    update: (k, unit) => {
      now = [k, unit];
      const n = direction().f.length;
      for (const { column, line, below } of drawn) {
        below.update(k);
        column.style.cssText = `left:${(100 * k) / n}%;width:${100 / n}%`;
        line.style.cssText = `top:${(100 * order.indexOf(unit)) / order.length}%;height:${100 / order.length}%`;
      }
      fillTwin();
    },
  };
}
