// Listens to the monitor, and shows what it tells.

import { drawLatency, drawProbabilities, percentile } from "./charts.js";
import { showHealth } from "./health.js";
import { showPicture } from "./pictures.js";
import { announce, makeProbabilities, showExpression } from "./expression.js";
import { element, fill, milliseconds } from "./elements.js";

// The address may hold the token; the server has given it as a cookie by now.
history.replaceState(null, "", location.pathname);

const RETRY_MS = 2000; // where the browser has given up by itself
const SILENCE_MS = 3000; // health comes twice a second

const shown = { about: null, answers: [], now: 0, health: null, healthAt: 0, costs: {}, picture: null };
let drawIsDue = false;
let silence = 0;
let isFull = false;

connect();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
addEventListener("resize", draw);

function connect() {
  const source = new EventSource("live");
  const lose = () => {
    clearTimeout(silence);
    if (!isFull) setState("lost", "connection lost; trying again…");
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    setTimeout(connect, RETRY_MS);
  };
  source.onerror = lose;
  source.onmessage = (message) => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      source.close();
      lose();
    }, SILENCE_MS);
    take(JSON.parse(message.data));
  };
}

function take(update) {
  if (update.about) {
    begin(update.about);
    return;
  }
  isFull = update.state === "full";
  if (isFull) {
    setState("full", `${update.message}; waiting for a place…`);
    return;
  }
  shown.now = update.now;
  shown.answers.push(...update.answers);
  const oldest = shown.now - shown.about.shown_seconds - 1;
  shown.answers.splice(0, shown.answers.findLastIndex((answer) => answer.at < oldest) + 1);
  if (update.picture) shown.picture = update.picture;
  if (update.health) Object.assign(shown, { health: update.health, healthAt: update.now, costs: update.costs_us });
  tellState(update);
  if (!drawIsDue) {
    drawIsDue = true;
    requestAnimationFrame(draw);
  }
}

function begin(about) {
  Object.assign(shown, { about, answers: [], picture: null, health: null });
  element("title").textContent = about.title;
  document.title = `${about.title} – canthus monitor`;
  makeProbabilities(about.labels);
}

function tellState(update) {
  const source = shown.about.recorded ? "recording" : "camera";
  if (update.state === "failed") setState("failed", update.message || `the ${source} failed; see where canthus runs`);
  else if (update.state === "ended") setState("ended", `the ${source} has ended`);
  else if (shown.health?.stalled) setState("stalled", "no frames are coming");
  else setState("playing", shown.about.recorded ? "playing" : "live");
}

function setState(state, text) {
  const place = element("state");
  document.body.classList.toggle("is-old", ["lost", "stalled", "full"].includes(state));
  if (place.textContent === text) return; // said once
  place.dataset.state = state;
  place.textContent = text;
}

function draw() {
  drawIsDue = false;
  if (!shown.about) return;
  const { about, answers, now } = shown;
  const newest = answers.at(-1);
  if (newest) {
    showExpression(newest, about.labels);
    announce(newest, about.labels);
  }
  if (shown.picture) showPicture(shown.picture, about);
  if (shown.health) showHealth(shown.health, shown.healthAt);
  const visible = answers.filter((answer) => answer.at >= now - about.shown_seconds);
  drawProbabilities(element("probability-chart"), visible, now, about);
  const percentiles = [0.5, 0.99].map((part) => percentile(visible, part));
  drawLatency(element("latency-chart"), visible, now, about, percentiles);
  const [p50, p99] = percentiles;
  const longest = percentile(visible, 1);
  fill(element("latency"), { last: milliseconds(newest?.latency_us), p50: milliseconds(p50), p99: milliseconds(p99), max: milliseconds(longest) });
  const stages = ["accumulate", "resize", "react", "prime"];
  fill(element("costs"), Object.fromEntries(stages.map((stage) => [stage, milliseconds(shown.costs[stage])])));
}
