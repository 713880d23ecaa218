// The LSTM cell as a diagram: the step shown lights up, and its numbers stand on the wires.

import { svg, shown } from "./dom.js";

const GATES = [["f", "σ", 236], ["i", "σ", 330], ["g", "tanh", 424], ["o", "σ", 560]];

// Wires and parts by the step in which they are used; 0: always there.
const WIRES = [
  [0, "M24 292 H560"], [0, "M150 396 V294"],
  [1, "M24 104 H222"], [1, "M236 292 V238"], [1, "M236 204 V120"],
  [2, "M330 292 V238"], [2, "M424 292 V238"], [2, "M330 204 V160 H408"], [2, "M424 204 V176"],
  [3, "M250 104 H408"], [3, "M424 146 V120"], [3, "M438 104 H838"],
  [4, "M560 292 V238"], [4, "M650 104 V134"], [4, "M650 168 V204"],
  [4, "M588 220 H634"], [4, "M650 234 V292 H838"], [4, "M770 292 V34"],
];
const POINTS = [[1, "×", 236, 104], [2, "×", 424, 160], [3, "+", 424, 104], [4, "×", 650, 220]];
const NUMBERS = [
  [1, "c_before", "c₋₁", 30, 92], [0, "h_before", "h₋₁", 30, 282], [1, "f", "f", 246, 176],
  [2, "i", "i", 322, 148], [2, "g", "C̃", 436, 194], [3, "kept", "f·c₋₁", 276, 92],
  [3, "new", "i·C̃", 436, 138], [3, "c", "c", 490, 92], [4, "squashed", "tanh c", 662, 192],
  [4, "o", "o", 532, 194], [4, "h", "h", 784, 282],
];

export function cell({ sentence }) {
  const parts = [];
  const place = (step, node) => { parts.push([step, node]); return node; };
  const values = new Map();
  const token = svg("text", { x: 150, y: 414, class: "token", "text-anchor": "middle" });
  const picture = svg("svg", { viewBox: "0 0 864 424", class: "cell", role: "img" },
    svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 13,
      markerHeight: 13, markerUnits: "userSpaceOnUse", orient: "auto" }, svg("path", { d: "M0 0 L8 4 L0 8 z", class: "tip" }))),
    svg("rect", { x: 118, y: 58, width: 612, height: 262, rx: 18, class: "body" }),
    WIRES.map(([step, d]) => place(step, svg("path", { d, class: "wire", "marker-end": "url(#tip)" }))),
    GATES.map(([name, curve, x]) => place(name === "f" ? 1 : name === "o" ? 4 : 2,
      svg("g", { class: "layer" },
        svg("rect", { x: x - 28, y: 204, width: 56, height: 32, rx: 6 }),
        svg("text", { x, y: 225, "text-anchor": "middle" }, curve)))),
    POINTS.map(([step, sign, x, y]) => place(step, svg("g", { class: "point" },
      svg("circle", { cx: x, cy: y, r: 14 }), svg("text", { x, y: y + 6, "text-anchor": "middle" }, sign)))),
    place(4, svg("g", { class: "point" }, svg("rect", { x: 624, y: 136, width: 52, height: 32, rx: 16 }),
      svg("text", { x: 650, y: 157, "text-anchor": "middle" }, "tanh"))),
    NUMBERS.map(([step, key, name, x, y]) => {
      const value = svg("tspan", { class: "number", "data-value": key });
      values.set(key, value);
      return place(step, svg("text", { x, y, class: "reading" }, `${name} `, value));
    }),
    svg("text", { x: 770, y: 26, "text-anchor": "middle", class: "reading" }, "to the layer above"),
    token);
  return {
    node: picture,
    update: (found, step, word) => {
      for (const [key, value] of values) value.textContent = shown(found[key]);
      token.textContent = word;
      picture.setAttribute("aria-label", sentence());
      for (const [at, node] of parts) {
        node.setAttribute("data-on", at === step ? "now" : at < step ? "done" : "later");
      }
    },
  };
}

export function traditional() {
  return svg("svg", { viewBox: "0 0 360 240", class: "cell still", role: "img",
    "aria-label": "A traditional recurrent network's cell: one tanh layer, and one state" },
    svg("rect", { x: 70, y: 40, width: 220, height: 140, rx: 18, class: "body" }),
    ["M10 150 H180", "M110 226 V150", "M180 150 V126", "M180 94 V70 H350", "M250 70 V16"].map((d) =>
      svg("path", { d, class: "wire", "marker-end": "url(#tip)" })),
    svg("g", { class: "layer" }, svg("rect", { x: 150, y: 94, width: 60, height: 32, rx: 6 }),
      svg("text", { x: 180, y: 115, "text-anchor": "middle" }, "tanh")),
    svg("text", { x: 38, y: 140, class: "reading", "text-anchor": "middle" }, "h₋₁"),
    svg("text", { x: 124, y: 222, class: "reading" }, "x"),
    svg("text", { x: 330, y: 60, class: "reading", "text-anchor": "middle" }, "h"));
}
