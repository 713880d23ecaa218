// The words of a message as buttons: one that is pressed can be left out, or replaced by another.

import { el, visible } from "./dom.js";

// `words` gives the tokens read, with their places in code points; `without` the rows left out.
export function dropping({ words, without, text, changed, put }) {
  let chosen = null;
  const chips = el("div", { class: "row words", role: "group", "aria-label": "Words of the message" });
  const title = el("strong", {});
  const leave = el("button", { type: "button", onclick: () => { if (!without().delete(chosen)) without().add(chosen); changed(); } });
  const other = el("input", { type: "text", id: "instead", autocomplete: "off", spellcheck: "false" });
  const form = el("form", { class: "row", hidden: true, onsubmit: (event) => { event.preventDefault(); replace(); } },
    title, leave, el("label", { for: "instead" }, "or put in its place"), other, el("button", { type: "submit" }, "Replace"));

  function replace() {
    const { start, end } = words()[chosen];
    const characters = Array.from(text());
    const next = [...characters.slice(0, start), ...Array.from(other.value), ...characters.slice(end)].join("");
    other.value = "";
    put(next);
  }

  function choose(row) {
    chosen = row === chosen ? null : row;
    draw();
    if (chosen !== null) leave.focus();
  }

  function draw() {
    const found = words();
    if (chosen !== null && chosen >= found.length) chosen = null;
    const focused = chips.contains(document.activeElement) ? document.activeElement.dataset.row : undefined;
    const written = Array.from(text());
    const name = ({ token, start, end }) => written.slice(start, end).join("") || token;
    chips.replaceChildren(...(found.length ? found.map((one, row) => el("button", {
      type: "button", class: without().has(row) ? "chip out" : "chip", "data-row": row, "aria-pressed": String(row === chosen), onclick: () => choose(row),
      "aria-label": without().has(row) ? `${name(one)}, left out` : name(one),
    }, name(one))) : [el("span", { class: "soft" }, "There is no word to leave out.")]));
    if (focused !== undefined) chips.querySelector(`[data-row="${focused}"]`)?.focus();
    form.hidden = chosen === null;
    if (chosen === null) return;
    title.textContent = visible(`“${name(found[chosen])}”`);
    leave.textContent = without().has(chosen) ? "Put it back" : "Leave it out";
  }

  return { node: [el("h2", {}, "Change a word"), el("p", { class: "soft" }, "Choose a word to leave it out, or to put another in its place."), chips, form], draw, forget: () => { chosen = null; } };
}
