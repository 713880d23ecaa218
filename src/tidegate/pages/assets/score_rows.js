// Many messages sent to be scored, their rows given back while they come.

import { ask, askJson } from "./api.js";
import { columnsOf } from "./csv.js";
import { Fault, sendable } from "./faults.js";

const CHUNK = 200; // messages a request, so that the progress moves
const HEAD_BYTES = 65_536;
export const MOST_ROWS = 400_000; // rows that a browser's tab can hold

const TYPES = { csv: "text/csv", tsv: "text/tab-separated-values", jsonl: "application/x-ndjson", parquet: "application/vnd.apache.parquet" };
const ENDINGS = { csv: "csv", txt: "csv", tsv: "tsv", tab: "tsv", jsonl: "jsonl", ndjson: "jsonl", json: "jsonl", parquet: "parquet", pq: "parquet" };

export function formatOf(name) {
  return ENDINGS[name.split(".").pop().toLowerCase()] ?? "csv";
}

// What the beginning of a file tells: its columns, and about how many rows it has.
export async function lookInto(file) {
  const format = formatOf(file.name);
  if (format === "parquet") return { format, columns: [], rows: 0 };
  const text = await file.slice(0, HEAD_BYTES).text();
  const lines = Math.max(text.split("\n").length - 1, 1);
  return { format, columns: columnsOf(text, format), rows: Math.round(file.size / (Math.min(file.size, HEAD_BYTES) / lines)) };
}

export async function scoreLines(model, texts, { signal, onrows, onwait }) {
  for (let from = 0; from < texts.length; from += CHUNK) {
    const part = texts.slice(from, from + CHUNK);
    const found = await askJson("/v1/predict", { texts: part.map(sendable), model: model.name }, { signal, onwait });
    onrows(found.predictions.map((one, n) => ({ text: part[n], predicted_label: one.label,
      ...Object.fromEntries(model.labels.map((label) => [`probability_${label}`, one.probabilities[label]])) })));
  }
}

async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    if (lines.length) yield lines;
  }
  if (rest.trim()) yield [rest];
}

export async function scoreFile(model, file, { format, text, prefix, signal, onrows, onwait }) {
  const query = new URLSearchParams({ model: model.name, format, output: "jsonl", on_error: "null", prefix });
  if (text) query.set("text", text);
  const response = await ask(`/v1/score?${query}`, { method: "POST", body: file, headers: { "Content-Type": TYPES[format] }, signal, onwait });
  let count = 0;
  for await (const lines of linesOf(response)) {
    onrows(lines.filter(Boolean).map((line) => JSON.parse(line)));
    count += lines.length;
    if (count >= MOST_ROWS) throw new Fault(0, `The page holds ${MOST_ROWS.toLocaleString("en")} rows, and these are the first. Send larger files to /v1/score (see API)`);
  }
}
