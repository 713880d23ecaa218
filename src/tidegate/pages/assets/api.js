// Requests to the server: the token where one is needed, patience where it is busy, faults in words.

import { el } from "./dom.js";
import { Fault } from "./faults.js";

const KEY = "tidegate.token"; // kept for this tab alone
const MOST_TRIES = 5;
const MOST_WAIT_S = 15;
let asking = null;

export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

function pause(seconds, signal) {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, 1000 * seconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); fail(signal.reason); }, { once: true });
  });
}

async function faultOf(response) {
  const text = await response.text().catch(() => "");
  try {
    return new Fault(response.status, JSON.parse(text).detail || response.statusText);
  } catch {
    return new Fault(response.status, `The server answered ${response.status} ${response.statusText}.`);
  }
}

// Asks for the token in a dialog; of requests that wait for one, all wait for the same dialog.
function askToken(why) {
  asking ??= new Promise((done, fail) => {
    const box = el("input", { id: "token", type: "password", autocomplete: "off", required: true });
    const close = (act) => { asking = null; dialog.close(); dialog.remove(); act(); };
    const cancel = () => close(() => fail(new Fault(401, "This server needs a token. Reload the page to enter one.")));
    const form = el("form", { onsubmit: (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, box.value.trim());
      close(done);
    } }, el("h2", { id: "token-title" }, "This server needs a token"),
    el("p", { class: "soft" }, why), el("label", { for: "token" }, "Token"), box,
    el("p", { class: "soft" }, "It is kept until you close this tab, and sent to this server only."),
    el("div", { class: "row" }, el("button", { type: "submit", class: "main" }, "Use this token"),
      el("button", { type: "button", onclick: cancel }, "Cancel")));
    const dialog = el("dialog", { "aria-labelledby": "token-title", oncancel: (event) => { event.preventDefault(); cancel(); } }, form);
    document.body.append(dialog);
    dialog.showModal();
    box.focus();
  });
  return asking;
}

// Returns a response that is fine, or throws a Fault. `onwait` hears of the seconds waited.
export async function ask(path, { method = "GET", body, headers = {}, signal, onwait } = {}) {
  for (let tries = 1; ; tries += 1) {
    const used = token();
    const all = used ? { ...headers, Authorization: `Bearer ${used}` } : headers;
    let response;
    try {
      response = await fetch(path, { method, body, headers: all, signal });
    } catch (fault) {
      if (signal?.aborted) throw fault;
      throw new Fault(0, "The server did not answer. Is it still running?");
    }
    if (response.ok) return response;
    const fault = await faultOf(response);
    if (response.status === 401) {
      // Another request may have got a newer token meanwhile.
      if (token() === used) await askToken(used ? "The token was not accepted. Try another one." : "Whoever runs this server can give you one.");
    } else if (response.status === 429 && tries < MOST_TRIES) {
      const seconds = Math.min(Number(response.headers.get("retry-after")) || 1, MOST_WAIT_S);
      onwait?.(seconds);
      await pause(seconds, signal);
    } else throw fault;
  }
}

export async function askJson(path, body, { signal, onwait } = {}) {
  const sent = body === undefined ? {}
    : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (await ask(path, { ...sent, signal, onwait })).json();
}

export function save(name, parts, type) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = el("a", { href: url, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
