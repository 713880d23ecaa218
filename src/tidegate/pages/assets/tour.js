// A guided tour of the page: a card at its lower edge that leads from place to place. It ends where
// it began: at the token, step and unit that were shown, and at the same place of the page.

import { el } from "./dom.js";

const STOPS = [
  ["A message becomes tokens", ".walk .card", "The model reads words, not letters. A tint shows which tokens spoke for the label (blue) and which against it (orange). "
    + "The line beneath is the probability after each token."],
  ["Step 1: forget", 1, "At each token the forget gate looks at the token and at what the cell showed last, and gives every unit a number from 0 to 1: how much of its old cell state to keep."],
  ["Step 2: what is new", 2, "The input gate says how much to let in, and the candidate values say what: numbers from −1 to 1."],
  ["Step 3: the new cell state", 3, "Multiply the old state by the forget gate, add the new part. Nothing else touches this line, which is why it can carry something over many tokens."],
  ["Step 4: what to show", 4, "The output gate decides how much of the cell state the rest of the network, and the next token, gets to see."],
  ["The same cell, again", ".again", "There is only one cell. It is used for every token in turn, with the same weights; what differs is what it has read before."],
  ["From the states to the answer", ".ends", "The hidden states are pooled into one list of numbers, and a linear layer turns it into a logit. If there is a linear model of the words beside the LSTM, its share is "
    + "added here. The curve turns the sum into a probability."],
  ["Now your turn", "#message", "Type your own message and watch everything follow. Then hold a gate and see what the memory was good for."],
];

export function tour({ walked }) {
  const [title, text, here, place] = [el("h2", {}), el("p", {}), el("p", { class: "here soft" }), el("span", { class: "soft" })];
  const back = el("button", { type: "button", onclick: () => to(at - 1) }, "Back");
  const next = el("button", { type: "button", class: "main", onclick: () => to(at + 1) }, "Next");
  const card = el("section", { class: "tour", role: "dialog", "aria-label": "Guided tour", tabindex: "-1", hidden: true,
    onkeydown: (event) => {
      const act = { Escape: end, ArrowRight: () => to(at + 1), ArrowLeft: () => to(at - 1) }[event.key] ?? (event.target === card && event.key === "Enter" ? () => to(at + 1) : null);
      if (!act) return;
      event.preventDefault();
      act();
    } },
  title, el("div", { "aria-live": "polite" }, text, here),
  el("div", { class: "row" }, back, next, el("button", { type: "button", class: "quiet", onclick: () => end() }, "Skip the tour"), place));
  const start = el("button", { type: "button", class: "quiet", onclick: () => begin() }, "Take the tour");
  let [at, was] = [0, null];

  function begin() {
    const { state } = walked();
    was = { k: state.k, step: state.step, unit: state.unit, direction: state.direction, walk: state.walk, y: scrollY };
    card.hidden = false;
    to(0);
  }

  function end() {
    card.hidden = true;
    const { k, step, y, ...chosen } = was;
    Object.assign(walked().state, chosen);
    walked().render();
    walked().go(k, step);
    scrollTo({ top: y, behavior: "instant" });
    start.focus({ preventScroll: true });
  }

  function to(number) {
    if (number >= STOPS.length) { end(); return; }
    at = Math.max(number, 0);
    const [name, goal, words] = STOPS[at];
    [title.textContent, text.textContent] = [name, words];
    place.textContent = `${at + 1} of ${STOPS.length}`;
    [back.disabled, next.textContent] = [at === 0, at === STOPS.length - 1 ? "Finish" : "Next"];
    const isStep = typeof goal === "number";
    if (isStep) {
      walked().go(walked().state.k, goal);
      walked().toCell();
    } else document.querySelector(goal)?.scrollIntoView({ block: goal === "#message" ? "center" : "start" });
    here.textContent = isStep ? document.querySelector(".walk .said").textContent : "";
    card.focus({ preventScroll: true });
  }

  return { card, start };
}
