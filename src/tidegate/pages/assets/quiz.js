// Five questions made from the visitor's own message. The same message asks the same questions: the
// order of the answers comes from a checksum of the text.

import { el, shown, visible } from "./dom.js";
import { crc32, utf8 } from "./engine_bytes.js";
import { emptyBefore, wires } from "./telling.js";

const FEWEST = 3; // tokens: with fewer there is little to ask

// A choice of numbers, so that no two of those shown are alike.
function numbers(right, wrong) {
  const seen = new Set([shown(right, 2)]);
  const others = [...wrong, right + 0.25, right - 0.25, right / 2, right + 0.5].filter((value) => {
    const text = shown(value, 2);
    return Number.isFinite(value) && !seen.has(text) && seen.add(text);
  });
  return [shown(right, 2), ...others.slice(0, 3).map((value) => shown(value, 2))];
}

function wordAt(walk, k) {
  return walk.tokens[walk.read[walk.shown[k]]].token;
}

// Words other than this one, those of the largest value first.
function otherWords(walk, right, value) {
  const places = walk.shown.map((_, k) => k).sort((a, b) => value(b) - value(a) || a - b);
  return [...new Set(places.map((k) => wordAt(walk, k)))].filter((word) => word !== right).slice(0, 3);
}

function mostMoving(walk) {
  const [label, moved] = [walk.labels[walk.label], walk.shown.map((row) => Math.abs(walk.contributions[row]))];
  const k = moved.indexOf(Math.max(...moved));
  const up = walk.contributions[walk.shown[k]] > 0;
  return { ask: `Which word moved the probability of “${visible(label)}” most, up or down?`, k, step: 4,
    answers: [wordAt(walk, k), ...otherWords(walk, wordAt(walk, k), (at) => moved[at])],
    because: `“${visible(wordAt(walk, k))}” moved it ${up ? "up" : "down"} by ${shown(moved[k])}: it has the darkest tint.` };
}

function kept({ walk, direction, k, unit }) {
  const found = wires(walk, direction, k, unit);
  const word = visible(wordAt(walk, k));
  return { ask: `At “${word}”, unit ${unit} holds ${shown(found.c_before, 2)} in its old cell state, and its forget gate is ${shown(found.f, 2)}. How much of the old state is kept?`, k, step: 1,
    answers: numbers(found.kept, [found.f, found.c_before, found.c_before - found.f, found.c_before + found.f]),
    because: `The old state is multiplied by the gate: ${shown(found.f, 2)} × ${shown(found.c_before, 2)} = ${shown(found.kept, 2)}.` };
}

function written({ walk, direction, k, unit }) {
  const found = wires(walk, direction, k, unit);
  return { ask: `It has kept ${shown(found.kept, 2)}. The input gate is ${shown(found.i, 2)}, the candidate value ${shown(found.g, 2)}. What is the new cell state?`, k, step: 3,
    answers: numbers(found.c, [found.kept + found.g, found.kept - found.new, found.new, found.kept * found.new]),
    because: `${shown(found.i, 2)} × ${shown(found.g, 2)} = ${shown(found.new, 2)} is let in and added to what was kept: ${shown(found.kept, 2)} + ${shown(found.new, 2)} = ${shown(found.c, 2)}.` };
}

function output({ walk, direction, k, unit }) {
  const found = wires(walk, direction, k, unit);
  return { ask: `The tanh of the new cell state is ${shown(found.squashed, 2)}, and the output gate is ${shown(found.o, 2)}. What does the unit show?`, k, step: 4,
    answers: numbers(found.h, [found.squashed, found.o, found.squashed + found.o, found.squashed - found.o]),
    because: `The hidden state is their product: ${shown(found.o, 2)} × ${shown(found.squashed, 2)} = ${shown(found.h, 2)}.` };
}

function erased({ walk, erasedP }) {
  const [label, p] = [visible(walk.labels[walk.label]), walk.probabilities[walk.label]];
  const change = erasedP - p;
  const answers = ["It would rise by more than 0.05.", "It would fall by more than 0.05.", "It would stay within 0.05 of what it is."];
  const right = Math.abs(change) <= 0.05 ? 2 : change > 0 ? 0 : 1;
  return { ask: `If every forget gate were held at 0, so that each word met an empty memory, what would become of the probability of “${label}”?`, k: 0, step: 1,
    answers: [answers[right], ...answers.filter((_, n) => n !== right)],
    because: `It is ${shown(p)} now and would be ${shown(erasedP)}. Try it: “Erase the memory at each word”.` };
}

// The token where this direction's unit keeps or loses most, but not the first that is read.
function place(walk, direction, unit) {
  const moved = walk.shown.map((row, k) => (emptyBefore(walk, direction, row) ? -1 : Math.abs(direction.c[k][unit] - direction.c_before[k][unit])));
  return moved.indexOf(Math.max(...moved));
}

// The same shuffle for the same text.
function shuffled(answers, seed) {
  const order = answers.map((answer, n) => [crc32(utf8(`${seed} ${n} ${answer}`)), n]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return { texts: order.map(([, n]) => answers[n]), right: order.findIndex(([, n]) => n === 0) };
}

export function questions({ walk, direction, unit, erasedP }) {
  const at = { walk, direction, unit, erasedP, k: place(walk, direction, unit) };
  return [mostMoving(walk), kept(at), written(at), output(at), erased(at)].map((one, n) =>
    ({ ...one, ...shuffled(one.answers, `${walk.text} ${n}`) }));
}

// `current` gives what is shown, `erased` the probability with an empty memory, `look` shows a place.
export function quiz({ current, erased: withoutMemory, look }) {
  const dialog = el("dialog", { class: "quiz", "aria-labelledby": "quiz-title" });
  const body = el("div");
  dialog.append(el("h2", { id: "quiz-title" }, "Five questions about your message"), body);
  let [asked, at, score] = [[], 0, 0];

  function ask() {
    const one = asked[at];
    const said = el("p", { role: "status", class: "said" });
    const next = el("button", { type: "button", class: "main", hidden: true, onclick: () => { at += 1; (at < asked.length ? ask : end)(); } },
      at + 1 < asked.length ? "Next question" : "How did I do?");
    const see = el("button", { type: "button", hidden: true, onclick: () => { dialog.close(); look(one.k, one.step); } }, "Look at it in the walk");
    const check = el("button", { type: "submit", class: "main" }, "Check");
    const options = one.texts.map((text, n) => el("label", { class: "choice" }, el("input", { type: "radio", name: "answer", value: n, required: true }), el("span", { dir: "auto" }, text)));
    const form = el("form", { onsubmit: (event) => {
      event.preventDefault();
      const chosen = Number(new FormData(form).get("answer"));
      const right = chosen === one.right;
      score += right ? 1 : 0;
      options.forEach((option, n) => { option.classList.toggle("right", n === one.right); option.classList.toggle("wrong", n === chosen && !right); option.firstChild.disabled = true; });
      said.textContent = visible(`${right ? "Right." : `Not quite. The answer: ${one.texts[one.right]}${/\.$/.test(one.texts[one.right]) ? "" : "."}`} ${one.because}`);
      [check.hidden, next.hidden, see.hidden] = [true, false, false];
      next.focus();
    } }, el("fieldset", {}, el("legend", {}, one.ask), options), said, el("div", { class: "row" }, check, next, see, leave("Stop")));
    body.replaceChildren(el("p", { class: "soft" }, `Question ${at + 1} of ${asked.length}`), form);
    form.querySelector("input").focus();
  }

  const leave = (text) => el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, text);

  function end() {
    const told = score === asked.length ? "All of them." : score > 2 ? "You know most of it." : "Walk through the four steps once more, then try again.";
    body.replaceChildren(el("p", { role: "status", class: "label" }, `${score} of ${asked.length}`), el("p", {}, told),
      el("div", { class: "row" }, el("button", { type: "button", class: "main", onclick: begin }, "Once more"), leave("Close")));
    body.querySelector("button").focus();
  }

  function begin() {
    const now = current();
    if (!dialog.open) dialog.showModal();
    if (!now || now.walk.shown.length < FEWEST) {
      body.replaceChildren(el("p", {}, `Write a message of at least ${FEWEST} words first: the questions are made from it.`), el("div", { class: "row" }, leave("Close")));
      return;
    }
    [asked, at, score] = [questions({ ...now, erasedP: withoutMemory(now.walk) }), 0, 0];
    ask();
  }

  return { dialog, start: el("button", { type: "button", class: "quiet", onclick: begin }, "Five questions") };
}
