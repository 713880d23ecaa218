// The lesson's tokeniser: clean, cut, drop stop words, reduce to lemmas; as text/lesson.py has it. Its
// stop words, contractions, suffix rules and WordNet's words travel with the model.

import { inCodePoints, inside, isAscii, lowering } from "./engine_characters.js";

const PASSES = ["v", "n", "a", "r", "a"];
const LONGEST_STEP = 3; // characters that the longest rule takes away
const MOST_REMEMBERED = 20_000; // words

// Entries that share a beginning with the one before: a capital letter says how long it is (A: none).
function entriesOf(text) {
  let before = "";
  return text.match(/[A-Z][^A-Z]*/g).map((one) => {
    before = before.slice(0, one.charCodeAt(0) - 65) + one.slice(1);
    return before;
  });
}

// A line for each group of parts of speech: "index", the parts, the lemmas; or "exceptions", the part,
// the irregular forms with their lemmas.
function wordnet(text) {
  const index = new Map();
  const exceptions = {};
  let longest = 0;
  for (const line of text.split("\n")) {
    const [kind, parts, written] = line.split("\t");
    const entries = entriesOf(written);
    if (kind === "exceptions") {
      exceptions[parts] = new Map(entries.map((entry) => { const [form, ...lemmas] = entry.split(" "); return [form, lemmas]; }));
      continue;
    }
    for (const lemma of entries) {
      index.set(lemma, parts);
      longest = Math.max(longest, lemma.length);
    }
  }
  return { index, exceptions, longest };
}

function lemmatiser({ lemmas, rules, going_on: goingOn, wordnet: text }) {
  const { index, exceptions, longest } = wordnet(text);

  // The first of the shortest that are words of this part of speech.
  function shortest(candidates, pos) {
    let found = "";
    for (const one of candidates) if (index.get(one)?.includes(pos) && (!found || one.length < found.length)) found = one;
    return found;
  }

  const round = (forms, pos) => forms.flatMap((form) => rules[pos].filter(([suffix]) => form.endsWith(suffix))
    .map(([suffix, made]) => form.slice(0, form.length - suffix.length) + made));

  // A form after the rounds in which every form is too long to be a lemma.
  function shortened(form, pos) {
    let end = form.length;
    while (end > longest + LONGEST_STEP) {
      const step = goingOn[pos].find(([suffix]) => form.endsWith(suffix, end));
      if (!step) break;
      end -= step[1];
    }
    return form.slice(0, end);
  }

  function lookUp(form, pos) {
    const irregular = exceptions[pos].get(form);
    if (irregular) return shortest([form, ...irregular], pos) || form;
    let forms = round([form], pos);
    if (!forms.length) return form;
    let lemma = shortest([form, ...forms], pos);
    const everyRound = lemmas === "nltk-3.8";
    if (everyRound && !lemma && form.length > longest) {
      forms = round([shortened(form, pos)], pos);
      lemma = shortest(forms, pos);
    }
    while (everyRound && forms.length && !lemma) {
      forms = round(forms, pos);
      lemma = shortest(forms, pos);
    }
    return lemma || form;
  }

  return (word) => PASSES.reduce(lookUp, word);
}

export function lessonTokenizer(model) {
  const { classes, lesson } = model;
  const { lowerOne, lowerAll } = lowering(model);
  const [CHUNK, WORD] = [new RegExp(`[^${inside(classes.space)}]+`, "gu"), new RegExp(`[${inside(classes.word)}]`, "gu")];
  const stopped = new Set(lesson.stop_words);
  const contractions = new Map(Object.entries(lesson.contractions));
  const lemmaOf = lemmatiser(lesson);
  const kept = new Map();

  const clean = (text) => lowerAll(text).match(WORD)?.join("") ?? "";

  // Where each character of the cleaned chunk stands, as [first, end]. Lowered one at a time, a sigma at
  // the end of a word may be the wrong one, but its place is right.
  function places(chunk, offset) {
    const found = [];
    let at = offset;
    for (const c of chunk) {
      const made = isAscii(c) ? c.toLowerCase() : lowerOne(c);
      for (const _ of made.match(WORD) ?? []) found.push([at, at + c.length]);
      at += c.length;
    }
    return found;
  }

  function read(word) {
    let found = kept.get(word);
    if (!found) {
      if (kept.size > MOST_REMEMBERED) kept.clear();
      found = stopped.has(word) ? { token: word, dropped: "stop word" } : { token: lemmaOf(word), dropped: "" };
      kept.set(word, found);
    }
    return found;
  }

  // Tokens in order, with their place in code points of the text as it was written.
  return function spans(text) {
    const found = [];
    for (const chunk of text.matchAll(CHUNK)) {
      const cleaned = clean(chunk[0]);
      if (!cleaned) continue;
      const where = places(chunk[0], chunk.index);
      let first = 0;
      for (const word of contractions.get(cleaned) ?? [cleaned]) {
        const last = first + Array.from(word).length - 1;
        found.push({ ...read(word), start: where[first][0], end: where[last][1] });
        first = last + 1;
      }
    }
    return inCodePoints(text, found);
  };
}
