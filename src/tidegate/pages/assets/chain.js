// The unrolled chain: the same cell once a token, the cell state running along the top.

import { el, svg, percent, sideways, towards } from "./dom.js";
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
    first ? null : [svg("path", { d: `M0 ${STATE} H${x + 22}`, class: "state", style: THICK(before) }), wire(`M0 ${HIDDEN} H${x + 22}`)],
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
  const count = Math.min(walk.shown.length, MOST);
  const order = Array.from({ length: count }, (_, k) => k);
  if (direction.reverse) order.reverse();
  const kept = (place) => direction.kept[walk.shown[order[place]]];
  // A picture for each cell, edge to edge: they scroll on a screen and wrap on paper.
  const boxes = order.map((k, place) => {
    const token = walk.tokens[walk.read[walk.shown[k]]].token;
    return [k, svg("svg", { viewBox: `0 0 ${CELL + GAP} ${TOP + TALL + 50}`, class: "box", onclick: () => go(k) },
      svg("title", {}, place ? `${token}: kept ${percent(kept(place))} of the old cell state` : `${token}: the cell state starts empty`),
      small(2, { token, kept: kept(place), before: place > 1 ? kept(place - 1) : 0,
        first: place === 0, last: place === count - 1 })), (place + 0.5) / count];
  });
  const scroller = sideways("The unrolled chain",
    el("div", { class: "chain", role: "img", "aria-label": `The same cell, once for each of ${count} tokens` },
      boxes.map(([, box]) => box)));
  return {
    node: scroller,
    update: (now) => boxes.forEach(([k, box, share]) => {
      box.classList.toggle("now", k === now);
      if (k === now) towards(scroller, share);
    }),
  };
}
