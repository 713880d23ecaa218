// The server as the one who answers, see `live`.

import { askJson } from "./api.js";

const WAIT_MS = 60; // after the last key

export function server(model) {
  return {
    wait: WAIT_MS,
    predict: async (texts, { signal }) => (await askJson("/v1/predict", { texts, model: model().name }, { signal })).predictions,
    walk: async (text, label, { signal }) => (await askJson("/v1/walk", { text, model: model().name, label }, { signal })).walk,
    keep: (row) => askJson("/v1/feedback", { ...row, model: model().name }),
  };
}
