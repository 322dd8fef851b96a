// The newest expression: large, as a list of all probabilities, and said aloud now and then.

import { element, make, percent } from "./elements.js";

const SETTLED_SECONDS = 1;
const SILENT_SECONDS = 3;

export function makeProbabilities(labels) {
  const rows = labels.map((label, i) => {
    const row = make("li", "");
    const track = make("span", "track");
    const bar = make("span", "bar");
    bar.style.background = `var(--line-${i % 7})`;
    track.append(bar);
    row.append(make("span", "name", label), track, make("span", "percent", "–"));
    return row;
  });
  element("probabilities").replaceChildren(...rows);
}

export function showExpression(answer, labels) {
  const isSure = answer.steady !== null;
  element("label").textContent = isSure ? labels[answer.steady] : "unsure";
  element("probability").textContent = isSure ? percent(answer.confidence) : answer.unsure;
  const notes = answer.label === answer.steady ? [] : [`of this moment alone: ${labels[answer.label]}`];
  if (answer.missing.length) notes.push(`missing: ${answer.missing.join(", ")}`);
  element("missing").textContent = notes.join("; ");
  [...element("probabilities").children].forEach((row, i) => {
    row.classList.toggle("is-likeliest", i === answer.label);
    row.querySelector(".bar").style.width = `${100 * (answer.probabilities[i] ?? 0)}%`;
    row.querySelector(".percent").textContent = percent(answer.probabilities[i]);
  });
}

let [candidate, since, said, saidAt] = [null, 0, null, -Infinity];

// For those who listen: an expression that lasts, and not too often.
export function announce(answer, labels) {
  if (answer.steady === null) return;
  if (answer.steady !== candidate) [candidate, since] = [answer.steady, answer.at];
  const isDue = answer.at - since >= SETTLED_SECONDS && answer.at - saidAt >= SILENT_SECONDS;
  if (candidate === said || !isDue) return;
  [said, saidAt] = [candidate, answer.at];
  element("announcement").textContent = `${labels[candidate]}, ${percent(answer.confidence)}`;
}
