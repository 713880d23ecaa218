// A report's hardest mistakes, walked one at a time. The address names the row: #row-12.

import { el, shown, visible } from "./dom.js";
import { fromText, inflated, unpacked } from "./engine_bytes.js";
import { mount } from "./walk.js";

const root = document.getElementById("page");
const MOST_CHARACTERS = 80; // of a message in the list

const numberOf = (cases) => Math.max(cases.findIndex(({ row }) => location.hash === `#row-${row}`), 0);
const brief = (text) => (text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text);

// What the model in the bundle says of the message. It may have learned from it since.
function now({ decided, labels, probabilities }) {
  const names = [decided].flat();
  const surest = Math.max(...names.map((name) => probabilities[labels.indexOf(name)]));
  const answer = names.length ? names.map((name) => `“${visible(name)}”`).join(", ") : "no label";
  return `The model in the bundle, walked here, decides ${answer}${names.length === 1 ? `, with a probability of ${shown(surest, 3)}` : ""}.`;
}

function draw({ name, cases, walks }) {
  const spot = el("div");
  const said = el("p", { "aria-live": "polite" });
  const list = el("select", { name: "mistake", onchange: () => { location.hash = `row-${cases[list.value].row}`; } },
    cases.map(({ row, text }, n) => el("option", { value: n }, `row ${row}: ${visible(brief(text))}`)));
  // The walks share one set of weights, which travels with the first of them.
  const weights = (direction) => walks[0].directions.find(({ layer, reverse }) => layer === direction.layer && reverse === direction.reverse);
  let page = null;
  const show = () => {
    const n = numberOf(cases);
    list.value = String(n);
    said.textContent = `${visible(cases[n].said)} ${now(walks[n])}`;
    if (page) page.show([walks[n]]);
    else page = mount(spot, { walks: [walks[n]] }, { embedded: true, weights });
  };
  root.replaceChildren(el("h1", {}, `Mistakes of ${name}`), el("p", {}, el("label", {}, "Message ", list)), said, spot);
  addEventListener("hashchange", show);
  show();
}

inflated(fromText(document.getElementById("walks").textContent)).then((bytes) => draw(unpacked(bytes)))
  .catch((error) => root.replaceChildren(el("p", { role: "alert" }, `This page cannot be shown: ${error.message}`)));
