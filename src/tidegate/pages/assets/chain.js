// The unrolled chain: the same cell once a token, the cell state running along the top.

import { el, svg, percent, towards } from "./dom.js";
import { short } from "./message.js";

const [CELL, GAP, TOP, TALL] = [142, 36, 40, 114];
const [STATE, MIDDLE, GATES, HIDDEN] = [TOP + 18, TOP + 44, TOP + 70, TOP + 100]; // heights
const MOST = 120; // cells drawn
const SMALL = [["σ", 22, 20], ["σ", 46, 20], ["tanh", 74, 28], ["σ", 104, 20]]; // curve, x, width
const THICK = (share) => `stroke-width:${(1.5 + 5 * share).toFixed(2)}`;

// One cell in small, at x; its cell state leaves as thick as the share of it that was kept.
function small(x, { token, kept, before, first, last }) {
  const wire = (d, more = "") => svg("path", { d, class: `wire thin ${more}` });
  const [middle, bottom, out] = [x + CELL / 2, TOP + TALL, x + CELL + GAP / 2];
  const box = ([curve, dx, width], y = GATES) => [
    svg("rect", { x: x + dx - width / 2, y: y - 8, width, height: 16, rx: curve === "tanh" && dx > 100 ? 8 : 3, class: "mini" }),
    svg("text", { x: x + dx, y: y + 3.5, "text-anchor": "middle", class: "inner" }, curve)];
  const point = ([sign, dx, y]) => [svg("circle", { cx: x + dx, cy: y, r: 7, class: "mini" }),
    svg("text", { x: x + dx, y: y + 4, "text-anchor": "middle", class: "inner sign" }, sign)];
  return [
    svg("rect", { x, y: TOP, width: CELL, height: TALL, rx: 12, class: "body" }),
    first ? null : [svg("path", { d: `M${x} ${STATE} h22`, class: "state", style: THICK(before) }), wire(`M${x} ${HIDDEN} h22`)],
    svg("path", { d: `M${x + 22} ${STATE} H${x + CELL + (last ? GAP - 4 : GAP)}`, class: "state", style: THICK(first ? 0 : kept) }),
    svg("path", { d: `M${out} ${STATE + 8} v-16`, class: "bridge" }),
    wire(`M${middle} ${bottom + 22} V${bottom + 10} H${x + 10} V${HIDDEN} H${x + 104}`),
    SMALL.map(([, dx]) => wire(`M${x + dx} ${HIDDEN} V${GATES}`)),
    wire(`M${x + 22} ${GATES} V${STATE}`), wire(`M${x + 46} ${GATES} V${MIDDLE} h28`), wire(`M${x + 74} ${GATES} V${STATE}`),
    wire(`M${x + 104} ${GATES} h22`), wire(`M${x + 126} ${STATE} V${HIDDEN} H${x + CELL + (last ? GAP - 4 : GAP)}`),
    svg("path", { d: `M${out} ${HIDDEN} V${TOP - 22}`, class: "wire thin", "marker-end": "url(#tip)" }),
    SMALL.map((one) => box(one)), box(["tanh", 126, 28], MIDDLE),
    [["×", 22, STATE], ["+", 74, STATE], ["×", 74, MIDDLE], ["×", 126, GATES]].map(point),
    svg("text", { x: x + 4, y: TOP - 8, class: "share" }, first ? "starts empty" : `keeps ${percent(kept)}`),
    svg("text", { x: middle, y: bottom + 40, "text-anchor": "middle", class: "token" }, short(token, 14)),
  ];
}

export function chain({ walk, direction, go }) {
  const boxes = [];
  const count = Math.min(walk.shown.length, MOST);
  const width = 20 + count * (CELL + GAP);
  const order = Array.from({ length: count }, (_, k) => k);
  if (direction.reverse) order.reverse();
  const picture = svg("svg", { viewBox: `0 0 ${width} ${TOP + TALL + 50}`, class: "chain", role: "img",
    style: `min-width:${Math.min(width, 5 * (CELL + GAP))}px;max-width:${width}px`,
    "aria-label": `The same cell, once for each of ${count} tokens` });
  order.forEach((k, place) => {
    const token = walk.tokens[walk.read[walk.shown[k]]].token;
    const kept = direction.kept[walk.shown[k]];
    const box = svg("g", { class: "box", onclick: () => go(k) },
      svg("title", {}, `${token}: kept ${percent(kept)} of the old cell state`),
      small(10 + place * (CELL + GAP), { token, kept, before: place > 1 ? direction.kept[walk.shown[order[place - 1]]] : 0,
        first: place === 0, last: place === count - 1 }));
    boxes.push([k, box, (place + 0.5) / count]);
    picture.append(box);
  });
  const scroller = el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "The unrolled chain" }, picture);
  return {
    node: scroller,
    update: (now) => boxes.forEach(([k, box, share]) => {
      box.classList.toggle("now", k === now);
      if (k === now) towards(scroller, share);
    }),
  };
}
