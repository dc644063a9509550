// Draws the lines of a check as it runs: one <template> per state, filled and put in the old line's place.
import { cloneTemplate } from "./templates.js";

function writeTime(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "";
  return milliseconds < 10_000 ? `${milliseconds.toLocaleString("en")} ms` : `${Math.round(milliseconds / 1000)} s`;
}

// Returns the step's words, or null where the page has no such line.
export function drawStep(root, step) {
  const old = root.querySelector(`[data-step="${CSS.escape(step.name)}"]`);
  const line = cloneTemplate(`[data-check-line="${CSS.escape(step.state)}"]`, { detail: step.detail, time: writeTime(step.duration_ms) });
  if (!old || !line) return null;
  const words = old.dataset.words ?? old.querySelector(".check-list__name").firstChild.textContent;
  line.querySelector("[data-name]").textContent = words;
  line.dataset.words = words;
  line.dataset.step = step.name;
  if (!step.detail) line.querySelector("[data-detail]").remove();
  if (step.duration_ms === null || step.duration_ms === undefined) line.querySelector("[data-time]").remove();
  old.replaceWith(line);
  return words;
}
