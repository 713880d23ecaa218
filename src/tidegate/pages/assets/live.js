// One message, or two, answered while they are typed: the answer, then the walk. Who answers is a
// provider: `predict` and `walk` give what is drawn; `wait` is how long to wait after a key, in ms;
// `keep` takes a right label, where that can be kept.

import { feedback } from "./correct.js";
import { el } from "./dom.js";
import { said, sendable } from "./faults.js";
import { spoken, verdict } from "./score.js";
import { mount } from "./walk.js";

const QUIET_MS = 900; // after which the answer is spoken
const MOST_WALKED = 4_000; // characters; the server says so too
const EXAMPLES = ["house on fire on 5th street", "my inbox is on fire today", "The storm took the bridge, people are trapped",
  "what a lovely day", "flooding reported near the river, roads closed", "this new album is a disaster"];

function grow(box) {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 260)}px`;
}

// What is asked of the provider; `show` is told of every answer that is still wanted.
function asker({ model, show, provider }) {
  let [number, control] = [0, null];
  const without = new Set(); // models that are no LSTM and cannot be walked: asked once
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
      if (without.has(model().fingerprint)) return;
      answered = true;
      const walks = [];
      for (const text of sent) {
        // Both are read for the label of the first, or there would be nothing to compare.
        const label = walks.length ? walks[0].labels[walks[0].label] : undefined;
        const walk = await provider.walk(text, label, { signal });
        if (late()) return;
        walks.push(walk);
      }
      show.walks(walks);
    } catch (fault) {
      if (late() || fault.name === "AbortError") return;
      if (!answered) show.fault(said(fault));
      else show.unwalked(said(fault));
      if (answered && fault.status === 422 && /only an LSTM/.test(fault.message)) without.add(model().fingerprint);
    }
  };
}

function field(id, label, oninput) {
  const box = el("textarea", { id, rows: 2, dir: "auto", spellcheck: "false", autocomplete: "off", oninput: () => { grow(box); oninput(); } });
  return { box, node: el("div", { class: "field" }, el("label", { for: id }, label), box) };
}

// `extra` stands between the answer and the walk.
export function live({ model, changed, provider, extra = null }) {
  const parts = { answer: el("div", { class: "answers" }), walk: el("div", { class: "walk" }), note: el("p", { class: "notice", role: "alert", hidden: true }),
    live: el("p", { class: "unseen", role: "status" }) };
  const state = { timer: 0, speak: 0, walk: null, answered: null, all: false, two: false };
  const first = field("message", "Message", () => typed());
  const second = field("other", "Compare with", () => typed());
  second.node.hidden = true;
  const compare = el("button", { type: "button", class: "quiet", "aria-expanded": "false", onclick: () => { setTwo(!state.two); (state.two ? second : first).box.focus(); typed(0); } }, "Compare with another message");
  const correct = provider.keep ? feedback({ model, text: () => first.box.value, keep: provider.keep }) : null;

  function note(text) {
    parts.note.hidden = !text;
    parts.note.textContent = text;
  }

  function drawAnswers() {
    const { texts, predictions, by } = state.answered;
    parts.answer.replaceChildren(...predictions.map((one, n) => verdict(by, one, {
      number: texts.length > 1 ? n + 1 : null, all: state.all, more: () => { state.all = !state.all; drawAnswers(); } })));
    correct?.show(predictions[0]);
  }

  const show = {
    answers: (texts, predictions) => {
      note("");
      state.answered = { texts, predictions, by: model() };
      drawAnswers();
      parts.answer.dataset.text = texts[0];
      clearTimeout(state.speak);
      state.speak = setTimeout(() => { parts.live.textContent = predictions.map((one) => spoken(model(), one)).join(". "); }, QUIET_MS);
    },
    walks: (walks) => {
      parts.walk.hidden = false;
      if (state.walk) state.walk.show(walks);
      else state.walk = mount(parts.walk, { walks }, { embedded: true, keys: parts.walk });
      parts.walk.dataset.text = walks[0].text;
    },
    unwalked: (why) => { parts.walk.hidden = true; note(why); },
    fault: note,
  };
  const request = asker({ model, show, provider });

  function texts() {
    const both = [first.box.value, ...(state.two ? [second.box.value] : [])];
    return both.filter((text, n) => n === 0 || text.trim() !== "");
  }

  function typed(wait = provider.wait) {
    clearTimeout(state.timer);
    changed();
    if (provider.wait === 0) request(texts());
    else state.timer = setTimeout(() => request(texts()), wait);
  }

  function setTwo(two) {
    state.two = two;
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

  document.addEventListener("themechange", () => state.walk?.render());
  const examples = el("div", { class: "row examples", role: "group", "aria-label": "Examples" }, el("span", { class: "soft" }, "Try"),
    EXAMPLES.map((text) => el("button", { type: "button", class: "quiet", onclick: () => { put(text, state.two ? second.box.value : ""); first.box.focus(); } }, text)));
  return {
    node: el("div", {}, el("div", { class: "fields" }, first.node, second.node), examples,
      el("div", { class: "row" }, compare, parts.link = el("span", { class: "row" })),
      parts.note, parts.live, parts.answer, correct?.node, extra, el("h2", { class: "first" }, "Which words did it"), parts.walk),
    link: parts.link, put, example: EXAMPLES[0],
    again: () => { correct?.reset(); typed(0); },
    walked: () => state.walk,
    texts, focus: () => { first.box.focus(); first.box.setSelectionRange(first.box.value.length, first.box.value.length); },
  };
}
