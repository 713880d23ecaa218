// The answer to a message: its label, every probability against its threshold, and what held-back
// messages say of such a score.

import { el, percent, shown } from "./dom.js";

const FEW = 20; // held-back messages: with fewer, their share says little
const MOST_BARS = 6;

export function decision(label) {
  return Array.isArray(label) ? label.join(", ") || "no label" : label;
}

function threshold(model, n) {
  const { thresholds, kind } = model;
  if (kind === "multiclass") return null; // there the likeliest label is taken
  return thresholds.length > 1 ? thresholds[n] : thresholds[0];
}

// Label numbers worth a bar: of two labels only the second, whose threshold decides.
function barred(model, probabilities) {
  if (model.kind === "binary") return [1];
  const order = model.labels.map((_, n) => n);
  return order.sort((a, b) => probabilities[b] - probabilities[a] || a - b);
}

function bar(label, value, limit, given) {
  const fill = el("i", {});
  fill.style.width = `${(100 * value).toFixed(2)}%`;
  const mark = limit === null ? null : el("b", {});
  if (mark) mark.style.left = `${100 * limit}%`;
  return el("div", { class: given ? "bar over" : "bar" },
    el("span", { class: "name" }, label), el("span", { class: "track", "aria-hidden": "true" }, fill, mark),
    el("span", { class: "value" }, shown(value)));
}

function rule(model) {
  if (model.kind === "multiclass") return "The label with the largest probability is given.";
  const limits = model.thresholds;
  if (model.kind === "binary") {
    return `“${model.labels[1]}” is given from ${shown(limits[0], 2)} on, which is the mark on the bar; below it, “${model.labels[0]}”.`;
  }
  return limits.length > 1 ? "Each label is given from its own mark on." : `Each label is given from ${shown(limits[0], 2)} on.`;
}

// Which bin of the report a probability is in, and what became of the messages there.
export function heldBack(calibration, probability) {
  if (!calibration) return null;
  const { edges, observed_share: share, count } = calibration;
  let n = 0;
  while (n < count.length - 1 && probability >= edges[n + 1]) n += 1;
  return { low: edges[n], high: edges[n + 1], count: count[n], share: share[n] };
}

export function meaning(model, probabilities, given = null) {
  if (model.altered) return "A gate is held, so this is not the model whose scores were held against messages: nothing is known of how often it is right.";
  const value = Math.max(...probabilities);
  const label = model.labels[probabilities.indexOf(value)];
  const many = model.kind === "multilabel";
  const found = heldBack(model.calibration, value);
  if (!found) return `This model came without a report, so nothing is known of how often a score like ${shown(value, 2)} is right.`;
  const between = `between ${shown(found.low, 2)} and ${shown(found.high, 2)}`;
  const what = many ? "label scores of held-back messages" : "held-back messages whose likeliest label scored";
  const other = given !== null && !Array.isArray(given) && given !== label;
  const start = `${other ? `“${given}” is given because its probability has reached the threshold, which is below one half. ` : ""}The likeliest label, “${label}”, has ${shown(value, 2)}. `;
  if (!found.count) return `${start}There were no ${what} ${between}, so nothing can be said of how often that is right.`;
  const right = Math.round(found.share * found.count);
  const of = `${start}Of the ${found.count.toLocaleString("en")} ${what} ${between}, `;
  if (found.count < FEW) return `${of}that label was right for ${right}. That is too few to rely on.`;
  return `${of}that label was right for ${percent(found.share)}.`;
}

function unknownWords(share) {
  return el("p", { class: "soft" }, `New to the model: ${share ? percent(share) : "none"} of the words.`);
}

export function verdict(model, prediction, { number = null, all = false, more = () => {} } = {}) {
  const probabilities = model.labels.map((label) => prediction.probabilities[label]);
  const order = barred(model, probabilities);
  const shownBars = all ? order : order.slice(0, MOST_BARS);
  const rest = order.length - shownBars.length;
  return el("div", { class: "verdict" },
    el("p", { class: "soft over" }, number === null ? "The model says" : `Message ${number}: the model says`),
    el("p", { class: "label", dir: "auto" }, decision(prediction.label)),
    el("div", { class: "bars" }, shownBars.map((n) =>
      bar(model.kind === "binary" ? `probability of “${model.labels[n]}”` : model.labels[n], probabilities[n], threshold(model, n),
        [prediction.label].flat().includes(model.labels[n])))),
    rest > 0 || (all && order.length > MOST_BARS)
      ? el("button", { type: "button", class: "quiet", onclick: more }, all ? "Show fewer labels" : `Show ${rest} more labels`) : null,
    el("p", { class: "soft" }, rule(model)),
    el("h2", {}, "What this score means"), el("p", { class: "meaning" }, meaning(model, probabilities, prediction.label)),
    prediction.tokens === 0 ? el("p", { class: "notice" }, "There is no word to read. This is what the model says of an empty message.") : unknownWords(prediction.unknown));
}

// One sentence for those who listen.
export function spoken(model, prediction) {
  const probabilities = model.labels.map((label) => prediction.probabilities[label]);
  const n = barred(model, probabilities)[0];
  return `${decision(prediction.label)}; probability of ${model.labels[n]}: ${shown(probabilities[n], 2)}`;
}
