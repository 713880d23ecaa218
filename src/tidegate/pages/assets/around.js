// What stands around the cell: the page's heading, its notes, and the cell of a traditional network.

import { el } from "./dom.js";
import { INTRODUCTION } from "./telling.js";
import { traditional } from "./cell.js";

export function button(text, act, attributes = {}) {
  return el("button", { type: "button", onclick: act, ...attributes }, text);
}

export function section(name, title, ...children) {
  return el("section", { class: name }, el("h2", {}, title), ...children);
}

export function heading() {
  return el("header", {}, el("p", { class: "soft" }, "Tidegate · the walk of one message"),
    el("h1", {}, "What the gates do while the model reads"), el("p", { class: "lede" }, INTRODUCTION));
}

export function footer(walk) {
  const error = Math.abs(walk.completeness_error).toExponential(0).replace("-", "−");
  return el("footer", {}, el("p", { class: "soft" }, "These are the numbers that gave the answer: the walk differs from the "
    + `engine by ${walk.residual}. The contributions miss their sum by ${error}.`),
    walk.notices.map((notice) => el("p", { class: "notice" }, `Note: ${notice}.`)));
}

export function beside() {
  return el("div", { class: "beside" },
    el("figure", {}, el("figcaption", {}, "A traditional RNN’s cell, for comparison"), traditional()),
    el("p", {}, "It has one layer and one state, which every token passes through a tanh and overwrites. The LSTM’s four "
      + "layers decide what to keep, what to add and what to show, and its cell state is only scaled and added to: what is "
      + "kept can travel far."));
}
