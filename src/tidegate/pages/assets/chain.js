// The unrolled chain: the same cell once a token, the cell state running along the top.

import { el, svg, shown, percent } from "./dom.js";
import { short } from "./message.js";

const [CELL, GAP, TOP] = [86, 34, 46];
const MOST = 120; // cells drawn

export function chain({ walk, direction, go }) {
  const boxes = [];
  const count = Math.min(walk.shown.length, MOST);
  const width = 40 + count * (CELL + GAP);
  const xOf = (place) => 30 + place * (CELL + GAP);
  const order = Array.from({ length: count }, (_, k) => k);
  if (direction.reverse) order.reverse();
  const picture = svg("svg", { viewBox: `0 0 ${width} 190`, class: "chain", role: "img",
    style: `min-width:${Math.min(width, 8 * (CELL + GAP))}px;max-width:${width}px`,
    "aria-label": `The same cell, once for each of ${count} tokens` });
  order.forEach((k, place) => {
    const x = xOf(place);
    const token = walk.tokens[walk.read[walk.shown[k]]].token;
    const kept = direction.kept[walk.shown[k]];
    const box = svg("g", { class: "box", onclick: () => go(k) },
      svg("title", {}, `${token}: kept ${percent(kept)} of the old cell state`),
      svg("rect", { x, y: TOP - 16, width: CELL, height: 96, rx: 12, class: "body" }),
      svg("text", { x: x + CELL / 2, y: TOP + 34, "text-anchor": "middle", class: "inner" }, "σ σ tanh σ"),
      svg("path", { d: `M${x - GAP + 4} ${TOP} H${x + CELL}`, class: "state",
        style: `stroke-width:${(1 + 5 * kept).toFixed(2)}` }),
      svg("path", { d: `M${x - GAP + 4} ${TOP + 62} H${x + CELL}`, class: "wire" }),
      svg("path", { d: `M${x + CELL / 2} ${TOP + 108} V${TOP + 82}`, class: "wire", "marker-end": "url(#tip)" }),
      svg("path", { d: `M${x + CELL / 2} ${TOP - 16} V12`, class: "wire faint", "marker-end": "url(#tip)" }),
      svg("text", { x: x + CELL / 2, y: TOP + 124, "text-anchor": "middle", class: "token" }, short(token, 11)));
    boxes.push([k, box]);
    picture.append(box);
  });
  return {
    node: el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "The unrolled chain" }, picture),
    update: (now) => boxes.forEach(([k, box]) => box.classList.toggle("now", k === now)),
  };
}

export function sentence(step, found, unit, word) {
  const who = unit === null ? "on average, a unit" : `unit ${unit}`;
  const size = shown(Math.abs(found.c_before));
  return [
    `At “${word}”, ${who} has a forget gate of ${shown(found.f)}: of its old cell state `
      + `${shown(found.c_before)} it keeps ${shown(found.kept)}.`
      + (size === "0.000" ? " (There is nothing to forget before the first word.)" : ""),
    `At “${word}”, ${who} has an input gate of ${shown(found.i)} before the candidate value `
      + `${shown(found.g)}: it lets in ${shown(found.new)}.`,
    `At “${word}”, ${who} adds the two: ${shown(found.kept)} + ${shown(found.new)} = `
      + `${shown(found.c)}, its new cell state.`,
    `At “${word}”, ${who} has an output gate of ${shown(found.o)}: of tanh c = `
      + `${shown(found.squashed)} it shows ${shown(found.h)}, its hidden state.`,
  ][step - 1];
}
