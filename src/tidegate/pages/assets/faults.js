// What went wrong, in words; and texts that can be sent.

export class Fault extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function said(fault) {
  const text = fault instanceof Fault ? fault.message : `Something went wrong in the page: ${fault.message ?? fault}`;
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

// Half a surrogate pair is no Unicode text, and JSON cannot carry it to the server.
export function sendable(text) {
  return text.toWellFormed ? text.toWellFormed() : text.replace(/[\ud800-\udfff]/gu, "\ufffd");
}
