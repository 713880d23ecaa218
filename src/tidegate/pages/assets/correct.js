// A wrong label put right: what was chosen goes to whoever answers, who keeps it for the next training.

import { el, visible } from "./dom.js";
import { said, sendable } from "./faults.js";
import { decision } from "./score.js";

export function feedback({ model, text, keep }) {
  const told = el("p", { role: "status", class: "soft" });
  const place = el("div", { class: "row" });
  const body = el("details", { class: "correct" }, el("summary", {}, "Is the label wrong?"), place, told);
  let drawn = null;

  async function send(label) {
    const about = text();
    told.textContent = "Sending…";
    try {
      await keep({ text: sendable(about), label });
      told.textContent = visible(`Thank you. This message is kept with the label “${label}”.`);
    } catch (fault) {
      told.textContent = said(fault);
    }
  }

  function draw() {
    const box = el("select", { id: "right-label" }, model().labels.map((label) => el("option", { value: label }, label)));
    place.replaceChildren(el("label", { for: "right-label" }, "The right label is"), box,
      el("button", { type: "button", onclick: () => send(box.value) }, "Send the right label"));
    return box;
  }

  return {
    node: body,
    reset: () => { drawn = null; },
    // Another answer: what was said of the one before is gone, and another label is offered.
    show: (prediction) => {
      body.hidden = !model().takes_feedback;
      if (body.hidden) return;
      const now = `${model().name} ${decision(prediction.label)} ${text()}`;
      if (now === drawn) return;
      drawn = now;
      told.textContent = "";
      const box = draw();
      const other = model().labels.find((label) => !prediction.label.includes(label) || (typeof prediction.label === "string" && label !== prediction.label));
      if (other !== undefined) box.value = other;
    },
  };
}
