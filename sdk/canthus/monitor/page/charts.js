// Lines over the last seconds, drawn on a canvas.

import { colour, milliseconds, percent } from "./elements.js";

const GAP_SECONDS = 0.25; // answers further apart are not joined
const FONT = "12px system-ui, sans-serif";
const LINE_HEIGHT = 15;

export function percentile(answers, part) {
  const sorted = answers.map((answer) => answer.latency_us).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

export function drawProbabilities(canvas, answers, now, about) {
  const plot = begin(canvas, { left: 44, right: 108, top: 34, bottom: 22 });
  const across = (at) => plot.left + plot.width * (1 - (now - at) / about.shown_seconds);
  const down = (probability) => plot.top + plot.height * (1 - probability);
  drawTimes(plot, across, now, about);
  for (const part of [0, 0.5, 1]) drawLevel(plot, down(part), percent(part));
  drawSteady(plot, answers, across, about.labels);
  const newest = answers.at(-1);
  about.labels.forEach((label, i) => {
    drawLine(plot, answers, across, (answer) => (answer.probabilities[i] === null ? null : down(answer.probabilities[i])), lineColour(i));
  });
  if (newest) drawNames(plot, newest, across(newest.at), down, about.labels);
}

// Above the lines: what was steady, by name; nothing where it was unsure.
function drawSteady(plot, answers, across, labels) {
  const { context } = plot;
  const runs = [];
  for (const { steady, at } of answers) {
    const run = runs.at(-1);
    const goesOn = run && at - run.end <= GAP_SECONDS;
    if (goesOn) run.end = at;
    if (!goesOn || run.steady !== steady) runs.push({ steady, begin: at, end: at });
  }
  context.textAlign = "left";
  context.font = "11px system-ui, sans-serif";
  for (const { steady, begin, end } of runs) {
    if (steady === null) continue;
    const [from, to] = [Math.max(plot.left, across(begin)), across(end)];
    context.fillStyle = lineColour(steady);
    context.fillRect(from, 18, Math.max(1, to - from - 1), 5);
    context.fillStyle = colour("ink");
    context.fillText(cut(context, labels[steady], to - from - 3), from, 8);
  }
}

// As much of a name as there is room for, if that is enough to recognise it by.
function cut(context, name, width) {
  let length = name.length;
  while (length && context.measureText(name.slice(0, length)).width > width) length--;
  return length < Math.min(3, name.length) ? "" : name.slice(0, length);
}

// At the right end of each line its name; those near to each other are pushed apart, in an order that keeps still.
function drawNames(plot, newest, x, down, labels) {
  const { context } = plot;
  const names = labels.map((label, i) => ({ label, i, probability: newest.probabilities[i] ?? 0 }));
  const step = (name) => Math.round(10 * name.probability);
  names.sort((a, b) => step(b) - step(a) || a.i - b.i);
  let lowest = plot.top + plot.height + LINE_HEIGHT / 2;
  for (const name of names.toReversed()) lowest = name.y = Math.min(down(name.probability), lowest - LINE_HEIGHT);
  let highest = plot.top - LINE_HEIGHT / 2;
  for (const name of names) highest = name.y = Math.max(name.y, highest + LINE_HEIGHT);
  const left = plot.left + plot.width;
  context.textAlign = "left";
  for (const { label, i, y, probability } of names) {
    context.strokeStyle = lineColour(i);
    context.lineWidth = i === newest.label ? 2.5 : 1.5;
    context.beginPath();
    context.moveTo(x, down(probability));
    context.lineTo(left + 10, y);
    context.lineTo(left + 20, y);
    context.stroke();
    context.font = i === newest.label ? `600 ${FONT}` : FONT;
    context.fillStyle = colour("ink");
    context.fillText(label, left + 25, y);
  }
}

export function drawLatency(canvas, answers, now, about, [p50, p99]) {
  const plot = begin(canvas, { left: 54, right: 34, top: 8, bottom: 22 });
  const across = (at) => plot.left + plot.width * (1 - (now - at) / about.shown_seconds);
  const top = roundUp(Math.max(1000, ...answers.map((answer) => answer.latency_us)));
  const down = (us) => plot.top + plot.height * (1 - us / top);
  drawTimes(plot, across, now, about);
  for (const part of [0, 0.5, 1]) drawLevel(plot, down(part * top), `${(part * top) / 1000} ms`);
  drawLine(plot, answers, across, (answer) => down(answer.latency_us), lineColour(5));
  if (p50 === undefined) return;
  const apart = Math.min(down(p50) - LINE_HEIGHT + 1, down(p99));
  for (const [name, us, y] of [["p50", p50, down(p50)], ["p99", p99, apart]]) {
    plot.context.setLineDash([4, 3]);
    drawRule(plot, down(us), colour("quiet"));
    plot.context.setLineDash([]);
    plot.context.textAlign = "left";
    plot.context.fillStyle = colour("ink");
    plot.context.fillText(name, plot.left + plot.width + 5, y);
  }
}

// A canvas sharp on this screen, empty, and the rectangle in it that lines are drawn in.
function begin(canvas, margins) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  return {
    context,
    left: margins.left,
    top: margins.top,
    width: width - margins.left - margins.right,
    height: height - margins.top - margins.bottom,
  };
}

function drawTimes(plot, across, now, about) {
  const { context } = plot;
  context.textAlign = "center";
  for (let ago = 0; ago <= about.shown_seconds; ago += 5) {
    context.fillStyle = colour("quiet");
    context.fillText(ago ? `−${ago} s` : "now", across(now - ago), plot.top + plot.height + 13);
  }
}

function drawLevel(plot, y, text) {
  drawRule(plot, y, colour("rule"));
  plot.context.textAlign = "right";
  plot.context.fillStyle = colour("quiet");
  plot.context.fillText(text, plot.left - 6, y);
}

function drawRule({ context, left, width }, y, style) {
  context.strokeStyle = style;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(left, Math.round(y) + 0.5);
  context.lineTo(left + width, Math.round(y) + 0.5);
  context.stroke();
}

// `down` gives where an answer lies, or null where it has nothing to draw.
function drawLine({ context }, answers, across, down, style) {
  context.strokeStyle = style;
  context.lineWidth = 1.5;
  context.beginPath();
  let before = -Infinity;
  for (const answer of answers) {
    const y = down(answer);
    if (y === null) continue;
    if (answer.at - before > GAP_SECONDS) context.moveTo(across(answer.at), y);
    else context.lineTo(across(answer.at), y);
    before = answer.at;
  }
  context.stroke();
}

function roundUp(us) {
  const magnitude = 10 ** Math.floor(Math.log10(us));
  return [1, 2, 5, 10].find((step) => step * magnitude >= us) * magnitude;
}

function lineColour(i) {
  return colour(`line-${i % 7}`);
}
