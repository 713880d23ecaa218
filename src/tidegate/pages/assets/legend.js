// What the signs of the cell's drawing mean.

import { el, svg } from "./dom.js";

const wire = (d, end = true) => svg("path", { d, class: "wire", "marker-end": end ? "url(#tip)" : null });
const point = (sign) => svg("g", { class: "point" }, svg("circle", { cx: 32, cy: 18, r: 12 }),
  svg("text", { x: 32, y: 23, "text-anchor": "middle" }, sign));

const SIGNS = [
  ["Learned layer: weights times its inputs, plus a bias, then σ or tanh.", () => svg("g", { class: "layer" },
    svg("rect", { x: 8, y: 5, width: 48, height: 26, rx: 6 }), svg("text", { x: 32, y: 23, "text-anchor": "middle" }, "σ"))],
  ["Pointwise product: each unit times its gate. No weights.", () => point("×")],
  ["Pointwise sum: each unit plus its new value. No weights.", () => point("+")],
  ["Pointwise tanh: squashes each unit to between −1 and 1. No weights.", () => svg("g", { class: "point" },
    svg("rect", { x: 8, y: 6, width: 48, height: 24, rx: 12 }), svg("text", { x: 32, y: 23, "text-anchor": "middle" }, "tanh"))],
  ["Lines merge: two vectors side by side, as one input.", () => [wire("M4 12 H58"), wire("M26 32 V14")]],
  ["Lines split at a dot: the same values go both ways.", () => [wire("M4 24 H58"), wire("M30 24 V4"),
    svg("circle", { cx: 30, cy: 24, r: 4, class: "junction" })]],
  ["A gap: the lines cross and do not touch.", () => [wire("M4 18 H58"),
    svg("path", { d: "M30 26 V10", class: "bridge" }), wire("M30 34 V3")]],
];

export function legend() {
  return el("ul", { class: "legend", "aria-label": "The signs of the drawing" }, SIGNS.map(([text, drawn]) =>
    el("li", {}, svg("svg", { viewBox: "0 0 64 36", "aria-hidden": "true" }, drawn()), el("span", {}, text))));
}
