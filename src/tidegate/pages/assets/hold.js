// Gates held at a value with sliders, for all units or for one. What is held is a map from the gate's
// letter to its value; a gate that is not in it runs free.

import { el, formula, shown } from "./dom.js";

const GATES = [["f", "Forget gate"], ["i", "Input gate"], ["o", "Output gate"]];
const PRESETS = [
  ["Erase the memory at each word", { f: 0 }],
  ["Forget nothing", { f: 1 }],
  ["Make it a traditional RNN", { f: 0, i: 1, o: 1 }],
];
export const RNN = PRESETS[2][1];

export function isRnn(held) {
  return ["f", "i", "o"].every((gate) => held[gate] === RNN[gate]);
}

// "every forget gate held at 0.00 and every input gate held at 1.00"
export function told(held, unit) {
  const names = GATES.filter(([gate]) => gate in held).map(([gate, name]) =>
    `${unit === null ? `every ${name.toLowerCase()}` : `the ${name.toLowerCase()} of unit ${unit}`} held at ${held[gate].toFixed(2)}`);
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

function slider([gate, name], { held, changed }) {
  const value = el("output", { for: `hold-${gate}` }, "free");
  const range = el("input", { type: "range", id: `hold-${gate}`, min: 0, max: 1, step: 0.01, value: 0.5, class: "free",
    oninput: () => { held()[gate] = Number(range.value); changed(); } });
  return {
    node: [el("label", { for: `hold-${gate}` }, name), range, value],
    update: () => {
      const at = held()[gate];
      value.textContent = at === undefined ? "free" : shown(at, 2);
      range.setAttribute("aria-valuetext", value.textContent);
      // A slider has no place for "free": the thumb stands faintly in the middle, off both ends.
      range.value = at ?? 0.5;
      range.classList.toggle("free", at === undefined);
    },
  };
}

// `held` gives the map, `choose` takes "all" or "shown", `changed` is told of every change.
export function holding({ held, choose, changed }) {
  const sliders = GATES.map((one) => slider(one, { held, changed }));
  const put = (values) => () => {
    for (const [gate] of GATES) delete held()[gate];
    Object.assign(held(), values);
    changed();
  };
  const which = el("select", { id: "which-units", onchange: () => choose(which.value) },
    el("option", { value: "all" }, "all units"), el("option", { value: "shown" }, "the unit shown below"));
  const reset = el("button", { type: "button", onclick: put({}) }, "Let all run free");
  const presets = PRESETS.map(([name, values]) => [el("button", { type: "button", class: "quiet", onclick: put(values) }, name), values]);
  const effect = el("p", { class: "effect" });
  return {
    node: [el("h2", {}, "Hold a gate"),
      el("p", { class: "soft" }, "A forget gate of 0 erases the cell state at each word; at 1 nothing is forgotten. With the forget gate at 0 "
        + "and the other two at 1 nothing is left of the gates: ", formula("c_t = C̃_t and h_t = tanh(c_t)"),
        ", a traditional RNN with the same weights. Gates are held in every layer and direction."),
      el("div", { class: "row", role: "group", "aria-label": "Ready settings" }, presets.map(([button]) => button)),
      el("div", { class: "sliders" }, sliders.map(({ node }) => node)),
      el("div", { class: "row" }, el("label", { for: "which-units" }, "Hold it in"), which, reset), effect],
    update: (text, unit) => {
      sliders.forEach((one) => one.update());
      reset.disabled = !Object.keys(held()).length;
      presets.forEach(([button, values]) => button.setAttribute("aria-pressed", String(unit === null
        && GATES.every(([gate]) => held()[gate] === values[gate]))));
      if (unit === null) which.value = "all";
      which.options[1].textContent = unit === null ? "the unit shown below" : `unit ${unit}`;
      effect.textContent = text;
    },
  };
}
