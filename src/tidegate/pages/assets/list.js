// Many messages: pasted or from a file, scored, shown as a table, and saved.

import { save } from "./api.js";
import { csvParts } from "./csv.js";
import { el, visible } from "./dom.js";
import { said } from "./faults.js";
import { decision } from "./score.js";
import { lookInto, scoreFile, scoreLines } from "./score_rows.js";
import { sortedTable } from "./table.js";

const MOST_OTHERS = 4; // of a file's own columns that are shown beside the answers
const MOST_PROBABILITIES = 4;
const MOST_COUNTED = 6;

// An added column must not take the name of one the file has already.
function freePrefix(model, columns) {
  const added = (prefix) => [`${prefix}predicted_label`, ...model.labels.map((label) => `${prefix}probability_${label}`)];
  return ["", "model_", "tidegate_", "tidegate_answer_"].find((prefix) => !added(prefix).some((name) => columns.includes(name))) ?? "new_";
}

function shownColumns(model, job) {
  const { columns, text, prefix } = job;
  const probability = (label) => `${prefix}probability_${label}`;
  const labels = model.kind === "binary" ? [model.labels[1]] : model.labels.slice(0, MOST_PROBABILITIES);
  const added = new Set([`${prefix}predicted_label`, ...model.labels.map(probability)]);
  return [
    { key: null, title: "Row", number: true },
    { key: text, title: "Message", open: true },
    { key: `${prefix}predicted_label`, title: "Label", label: true },
    ...labels.map((label) => ({ key: probability(label), title: `P(${label})`, number: true })),
    ...columns.filter((name) => name !== text && !added.has(name)).slice(0, MOST_OTHERS).map((name) => ({ key: name, title: name })),
  ];
}

function summary(model, { rows, prefix }) {
  const counts = new Map();
  let none = 0;
  for (const row of rows) {
    const label = row[`${prefix}predicted_label`];
    if (label === null) none += 1;
    else counts.set(decision(label), (counts.get(decision(label)) ?? 0) + 1);
  }
  const most = [...counts].sort((a, b) => b[1] - a[1]);
  const told = most.slice(0, MOST_COUNTED).map(([label, n]) => `${n.toLocaleString("en")} labelled “${label}”`);
  if (most.length > MOST_COUNTED) told.push("the rest otherwise");
  const missed = none ? ` ${none.toLocaleString("en")} could not be scored.` : "";
  return `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "row" : "rows"}: ${told.join(", ")}.${missed}`;
}

// A box for a file, chosen or dropped; hands over what was found at its beginning.
function fileBox({ model, chosen, fault }) {
  const input = el("input", { id: "file", type: "file", accept: ".csv,.tsv,.txt,.tab,.jsonl,.ndjson,.parquet", onchange: () => take(input.files[0]) });
  const column = el("select", { id: "column" });
  const which = el("div", { class: "row", hidden: true }, el("label", { for: "column" }, "The message is in the column"), column);
  const about = el("p", { class: "soft" }, "CSV, TSV, JSON lines or Parquet.");
  const node = el("div", { class: "field drop" }, el("label", { for: "file" }, "Or choose a file, or drop it here"), input, about, which);

  async function take(file) {
    if (!file) return;
    try {
      const found = await lookInto(file);
      const wanted = model().columns.text;
      const text = found.columns.includes(wanted) ? wanted : found.columns.find((name) => /text|message|tweet|body|comment/i.test(name)) ?? found.columns[0];
      column.replaceChildren(...found.columns.map((name) => el("option", { value: name, selected: name === text }, name)));
      which.hidden = found.columns.length === 0;
      const size = file.size < 1e6 ? `${Math.ceil(file.size / 1000)} kB` : `${(file.size / 1e6).toFixed(1)} MB`;
      about.replaceChildren(`${file.name}, ${size}${found.rows ? `, about ${found.rows.toLocaleString("en")} lines` : ""}.`);
      chosen({ file, ...found });
    } catch (problem) {
      fault(problem);
    }
  }

  const over = (on) => (event) => { event.preventDefault(); node.classList.toggle("over", on); };
  node.addEventListener("dragover", over(true));
  node.addEventListener("dragleave", over(false));
  // A file dropped beside the box would take the page's place.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
  }
  node.addEventListener("drop", (event) => { over(false)(event); take(event.dataTransfer.files[0]); });
  return { node, text: () => (which.hidden ? model().columns.text : column.value) };
}

function results({ model, open }) {
  const table = sortedTable({ caption: "Scored messages", open: (row) => open(String(row[job.text] ?? "")) });
  const told = el("p", { class: "lede" });
  const safe = el("input", { id: "safe", type: "checkbox", checked: true });
  let job = null;
  const download = el("button", { type: "button", class: "main", onclick: () => {
    const decimals = new Set(job.by.labels.map((label) => `${job.prefix}probability_${label}`));
    // A byte order mark, or Excel takes the file for another encoding.
    save(`${job.name}-scored.csv`, ["\ufeff", ...csvParts(job.columns, job.rows, { harmless: safe.checked, decimals })], "text/csv;charset=utf-8");
  } }, "Download as CSV");
  const node = el("section", { hidden: true }, el("h2", {}, "Results"), told,
    el("div", { class: "row" }, download, safe, el("label", { for: "safe" }, "Put an apostrophe before what a spreadsheet would run as a formula")),
    table.node, el("p", { class: "soft" }, "Click a message to see why. The download has every column."));
  return {
    node,
    show: (done) => {
      job = { ...done, by: model() };
      told.textContent = visible(summary(job.by, job));
      table.show(shownColumns(job.by, job), job.rows);
      node.hidden = false;
    },
    hide: () => { node.hidden = true; },
  };
}

// One run at a time: its progress, and a button that ends it.
function runner({ found, tell, quiet }) {
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Rows scored" });
  const state = el("span", { class: "soft" });
  let control = null;
  const stop = () => control?.abort();
  const node = el("div", { class: "row going", hidden: true }, bar, state, el("button", { type: "button", onclick: stop }, "Stop"));

  async function run(job, about, work) {
    stop();
    const { signal } = (control = new AbortController());
    quiet();
    found.hide();
    node.hidden = false;
    bar.removeAttribute("value");
    state.textContent = "Sending…";
    const onrows = (rows) => {
      for (const row of rows) job.rows.push(row);
      if (about) bar.value = job.rows.length / Math.max(about, job.rows.length);
      state.textContent = `${job.rows.length.toLocaleString("en")} rows scored`;
    };
    const onwait = (seconds) => { state.textContent = `The server is busy; trying again in ${seconds} s`; };
    try {
      await work({ signal, onrows, onwait });
    } catch (fault) {
      if (!signal.aborted) tell(fault);
    }
    if (signal !== control.signal) return; // another run has begun
    node.hidden = true;
    if (!job.rows.length) return;
    found.show({ ...job, columns: Object.keys(job.rows[0]) });
  }

  return { node, run, stop };
}

export function list({ model, open }) {
  const note = el("p", { class: "notice", role: "alert", hidden: true });
  const box = el("textarea", { id: "lines", rows: 6, dir: "auto", spellcheck: "false" });
  const found = results({ model, open });
  const tell = (fault) => { note.hidden = false; note.textContent = visible(said(fault)); };
  const quiet = () => { note.hidden = true; };
  const { node, run, stop } = runner({ found, tell, quiet });
  let file = null;
  const chooser = fileBox({ model, chosen: (one) => { file = one; quiet(); sendFile.disabled = false; }, fault: tell });
  const sendLines = el("button", { type: "button", class: "main", onclick: () => startLines() }, "Score the list");
  const sendFile = el("button", { type: "button", class: "main", disabled: true, onclick: () => startFile() }, "Score the file");

  function startLines() {
    const texts = box.value.split(/\r?\n/).filter((line) => line.trim() !== "");
    if (!texts.length) {
      note.hidden = false;
      note.textContent = "The list is empty. Paste some messages first.";
      return;
    }
    run({ rows: [], text: "text", prefix: "", name: "list" }, texts.length, (how) => scoreLines(model(), texts, how));
  }

  function startFile() {
    const [prefix, text] = [freePrefix(model(), file.columns), chooser.text()];
    const job = { rows: [], text, prefix, name: file.file.name.replace(/\.[^.]*$/, "") };
    run(job, file.rows, (how) => scoreFile(model(), file.file, { format: file.format, text, prefix, ...how }));
  }

  return {
    node: el("div", {}, el("div", { class: "fields even" },
      el("div", { class: "field" }, el("label", { for: "lines" }, "Paste messages, one a line"), box, el("div", { class: "row" }, sendLines)),
      el("div", {}, chooser.node, el("div", { class: "row" }, sendFile))),
    node, note, found.node),
    again: () => { stop(); found.hide(); },
  };
}
