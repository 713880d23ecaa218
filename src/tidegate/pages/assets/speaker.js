// The speaker's view, for a class: large type, less beside the matter, and keys that work everywhere.

import { el } from "./dom.js";

export function speaker({ walked }) {
  const root = document.documentElement;
  const on = () => "speaker" in root.dataset;

  function turn(wanted) {
    if (wanted) root.dataset.speaker = "";
    else delete root.dataset.speaker;
    button.setAttribute("aria-pressed", String(wanted));
    hint.textContent = wanted ? "Arrow keys step through the cell, Esc leaves the speaker view." : "";
    walked()?.render();
  }

  const hint = el("p", { class: "speaking soft", role: "status" });
  document.body.append(hint);
  const button = el("button", { type: "button", class: "quiet", "aria-pressed": "false", title: "Large type; the arrow keys step through the cell from anywhere; Esc leaves",
    onclick: () => turn(!on()) }, "Speaker view");
  document.addEventListener("keydown", (event) => {
    if (!on() || document.querySelector("dialog[open], .tour:not([hidden])")) return;
    if (event.key === "Escape") turn(false);
    else if (!event.target.closest(".walk")) walked()?.press(event); // in the walk it is heard already
  });
  return button;
}
