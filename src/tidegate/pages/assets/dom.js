// Elements, and numbers as they are shown. Text always becomes text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

// What would steer a terminal or turn the direction of writing, written out as in \u202e, so that
// a message cannot hide what it says. Tabs and line ends stay.
const STEERING = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;

export function visible(text) {
  return String(text).replace(STEERING, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    // Through the style's own interface: a strict content policy forbids the attribute.
    if (name === "style") node.style.cssText = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined)
    .map((child) => (typeof child === "string" ? visible(child) : child)));
  return node;
}

export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

export function shown(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
}

// "c_{t−1}" as [["c", false], ["t−1", true]]: what stands low is marked.
export function pieces(formula) {
  return formula.split(/(_\{[^}]*\}|_.)/).filter(Boolean).map((piece) =>
    (piece.startsWith("_") ? [piece.replace(/[_{}]/g, ""), true] : [piece, false]));
}

export function formula(text) {
  return pieces(text).map(([piece, low]) => (low ? el("sub", {}, piece) : piece));
}

// Scrolls a box sideways until the given share of its width is in its middle; the page stays.
export function towards(box, share) {
  if (box.scrollWidth > box.clientWidth) box.scrollTo({ left: share * box.scrollWidth - box.clientWidth / 2 });
}

// A box that scrolls sideways; it marks the sides on which there is more, which fade.
export function sideways(label, child, kind = "wide") {
  const box = el("div", { class: kind, tabindex: "0", role: "region", "aria-label": label }, child);
  const look = () => {
    const rest = box.scrollWidth - box.clientWidth - box.scrollLeft;
    box.dataset.more = [box.scrollLeft > 2 ? "before" : "", rest > 2 ? "after" : ""].join(" ").trim();
  };
  box.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(box);
  return box;
}

export function withSign(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
}

export function percent(value) {
  return value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`;
}

// A strength in [0, 1] as one of the page's two colours, blue for plus and orange for minus.
export function tint(value, largest) {
  const strength = largest > 0 ? Math.min(Math.abs(value) / largest, 1) : 0;
  const hue = value < 0 ? "var(--minus)" : "var(--plus)";
  return `color-mix(in srgb, ${hue} calc(${strength.toFixed(2)} * var(--most)), transparent)`;
}

// A table whose cells are text or nodes.
export function table(caption, head, rows) {
  return sideways(caption, el("table", {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((cells) =>
      el("tr", {}, cells.map((cell, k) =>
        k === 0 ? el("th", { scope: "row" }, cell) : el("td", {}, cell)))))));
}
