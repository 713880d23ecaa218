// The server as the one who answers, see `live`.

import { askJson } from "./api.js";

const WAIT_MS = 60; // after the last key

export function server(model, renew) {
  return {
    wait: WAIT_MS,
    predict: async (texts, { signal }) => {
      const found = await askJson("/v1/predict", { texts, model: model().name }, { signal });
      if (found.fingerprint !== model().fingerprint) await renew(); // another model answers by this name now
      return found.predictions;
    },
    walk: async (text, label, { signal }) => (await askJson("/v1/walk", { text, model: model().name, label }, { signal })).walk,
    keep: (row) => askJson("/v1/feedback", { ...row, model: model().name }),
  };
}
