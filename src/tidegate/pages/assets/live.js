// One message, or two, answered while they are typed: the answer, then the walk. Who answers is a
// provider: `predict` and `walk` give what is drawn; `wait` is how long to wait after a key, in ms;
// `keep` takes a right label, where that can be kept.

import { feedback } from "./correct.js";
import { el, visible } from "./dom.js";
import { said, sendable } from "./faults.js";
import { spoken, verdict } from "./score.js";
import { mount } from "./walk.js";

const QUIET_MS = 900; // after which the answer is spoken
const MOST_WALKED = 4_000; // characters; the server says so too
const NO_WALK = "Only LSTMs are shown gate by gate, and this model is of another kind.";
const EXAMPLES = ["house on fire on 5th street", "my inbox is on fire today", "The storm took the bridge, people are trapped",
  "what a lovely day", "flooding reported near the river, roads closed", "this new album is a disaster"];

function grow(box) {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 260)}px`;
}

// What is asked of the provider; `show` is told of every answer that is still wanted.
function asker({ model, show, provider }) {
  let [number, control] = [0, null];
  return async (texts) => {
    const mine = (number += 1);
    control?.abort();
    control = new AbortController();
    const { signal } = control;
    const late = () => mine !== number;
    let answered = false;
    const sent = texts.map(sendable);
    try {
      const predictions = await provider.predict(sent, { signal });
      if (late()) return;
      show.answers(texts, predictions);
      if (sent.some((text) => Array.from(text).length > MOST_WALKED)) {
        show.unwalked(`The walk is drawn for messages of up to ${MOST_WALKED.toLocaleString("en")} characters.`);
        return;
      }
      if (model().cell !== "lstm") {
        show.unwalked(NO_WALK);
        return;
      }
      answered = true;
      show.walking();
      const walks = [];
      for (const text of sent) {
        // Both are read for the label of the first, or there would be nothing to compare.
        const label = walks.length ? walks[0].labels[walks[0].label] : undefined;
        // One that takes long may be drawn with estimates until then; of two, both are waited for.
        const early = (walk) => { if (!late() && sent.length === 1) show.early(walk); };
        const walk = await provider.walk(text, label, { signal, early });
        if (late()) return;
        walks.push(walk);
      }
      show.walks(walks);
    } catch (fault) {
      if (late() || fault.name === "AbortError") return;
      if (!answered) show.fault(said(fault));
      else show.unwalked(said(fault));
    }
  };
}

function field(id, label, oninput) {
  const box = el("textarea", { id, rows: 2, dir: "auto", spellcheck: "false", autocomplete: "off", oninput: () => { grow(box); oninput(); } });
  return { box, node: el("div", { class: "field" }, el("label", { for: id }, label), box) };
}

// What is written: a message, examples of one, and room for a second where two are compared.
function writing({ typed, beside }) {
  const first = field("message", "Message", () => typed());
  const second = field("other", "Compare with", () => typed());
  let two = false;
  const compare = el("button", { type: "button", class: "quiet", onclick: () => {
    setTwo(!two);
    (two ? second : first).box.focus();
    typed(0);
  } });

  function setTwo(wanted) {
    two = wanted;
    second.node.hidden = !two;
    compare.textContent = two ? "Stop comparing" : "Compare with another message";
    compare.setAttribute("aria-expanded", String(two));
    grow(second.box);
  }

  function put(text, other = "") {
    first.box.value = text;
    second.box.value = other;
    setTwo(other !== "");
    grow(first.box);
    typed(0);
  }

  const example = (text) => el("button", { type: "button", class: "quiet", onclick: () => {
    put(text, two ? second.box.value : "");
    first.box.focus();
  } }, text);
  setTwo(false);
  const link = el("span", { class: "row" });
  return {
    node: el("div", {}, el("div", { class: "fields" }, first.node, second.node),
      el("div", { class: "row examples", role: "group", "aria-label": "Examples" }, el("span", { class: "soft" }, "Try"), EXAMPLES.map(example)),
      el("div", { class: "row" }, compare, link, beside)),
    put, link,
    text: () => first.box.value,
    texts: () => [first.box.value, ...(two ? [second.box.value] : [])].filter((text, n) => n === 0 || text.trim() !== ""),
    focus: () => {
      first.box.focus();
      first.box.setSelectionRange(first.box.value.length, first.box.value.length);
    },
  };
}

// What is shown of the answers.
function showing({ model, text, provider, extra, about, weights }) {
  const answers = el("div", { class: "answers" });
  const spot = el("div", { class: "walk" });
  const without = el("p", { class: "soft", hidden: true }); // why there is no walk
  const alert = el("p", { class: "notice", role: "alert", hidden: true });
  const status = el("p", { class: "unseen", role: "status" });
  const correct = provider.keep ? feedback({ model, text, keep: provider.keep }) : null;
  const jump = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => state.walk.toCell() }, "Step through the cell ↓");
  const state = { speak: 0, walk: null, answered: null, all: false };

  const walked = (is) => { [spot.hidden, jump.hidden, without.hidden] = [!is, !is, is]; };

  function note(words) {
    alert.hidden = !words;
    alert.textContent = visible(words);
  }

  function draw() {
    const { predictions, by } = state.answered;
    answers.replaceChildren(...predictions.map((one, n) => verdict(by, one, {
      number: predictions.length > 1 ? n + 1 : null, all: state.all, more: () => { state.all = !state.all; draw(); } })));
    correct?.show(predictions[0]);
  }

  function put(walks) {
    walked(true);
    if (state.walk) state.walk.show(walks);
    else state.walk = mount(spot, { walks }, { embedded: true, keys: spot, about, weights });
  }

  document.addEventListener("themechange", () => state.walk?.render());
  return {
    node: el("div", {}, alert, status, answers, correct?.node, extra, el("h2", { class: "first" }, "Which words did it"), without, spot),
    correct, jump,
    walked: () => state.walk,
    answers: (texts, predictions) => {
      note("");
      state.answered = { predictions, by: model() };
      draw();
      answers.dataset.text = texts[0];
      clearTimeout(state.speak);
      state.speak = setTimeout(() => { status.textContent = visible(predictions.map((one) => spoken(model(), one)).join(". ")); }, QUIET_MS);
    },
    // The walk takes longer than the answer: what is shown is the last one's until then.
    walking: () => { spot.setAttribute("aria-busy", "true"); spot.classList.add("late"); },
    early: (walk) => {
      spot.classList.remove("late");
      put([walk]);
      spot.dataset.early = walk.text;
    },
    walks: (walks) => {
      spot.removeAttribute("aria-busy");
      spot.classList.remove("late");
      put(walks);
      spot.dataset.text = walks[0].text;
    },
    unwalked: (why) => {
      walked(false);
      without.textContent = visible(why);
    },
    fault: note,
  };
}

// `extra` stands between the answer and the walk; `about` says what is known of a unit beside
// the walk, `weights` gives a direction's.
export function live({ model, changed, provider, extra = null, about = null, weights = null }) {
  let timer = 0;
  const ask = () => { changed(); request(written.texts()); };
  const typed = (wait = provider.wait) => {
    clearTimeout(timer);
    if (provider.wait === 0) ask();
    else timer = setTimeout(ask, wait);
  };
  const show = showing({ model, text: () => written.text(), provider, extra, about, weights });
  const written = writing({ typed, beside: show.jump });
  const request = asker({ model, show, provider });
  return {
    node: el("div", {}, written.node, show.node), link: written.link, example: EXAMPLES[0],
    put: written.put, texts: written.texts, focus: written.focus, walked: show.walked,
    again: () => { show.correct?.reset(); typed(0); },
  };
}
