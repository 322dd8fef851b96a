// Shows what the monitor tells.

import { drawLatency, drawProbabilities, percentile } from "./charts.js";
import { showEpisodes } from "./episodes.js";
import { showHealth } from "./health.js";
import { showPicture } from "./pictures.js";
import { announce, makeProbabilities, showExpression } from "./expression.js";
import { element, fill, milliseconds } from "./elements.js";
import { listen } from "./listen.js";

const shown = { about: null, answers: [], episodes: [], now: 0, health: null, healthAt: 0, costs: {}, picture: null };
let drawIsDue = false;

listen(begin, take);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
addEventListener("resize", draw);

function begin(about) {
  Object.assign(shown, { about, answers: [], episodes: [], picture: null, health: null });
  makeProbabilities(about.labels);
}

function take(update) {
  shown.now = update.now;
  shown.episodes = update.episodes;
  shown.answers.push(...update.answers);
  const oldest = shown.now - shown.about.shown_seconds - 1;
  shown.answers.splice(0, shown.answers.findLastIndex((answer) => answer.at < oldest) + 1);
  if (update.picture) shown.picture = update.picture;
  if (update.health) Object.assign(shown, { health: update.health, healthAt: update.now, costs: update.costs_us });
  if (!drawIsDue) {
    drawIsDue = true;
    requestAnimationFrame(draw);
  }
}

function draw() {
  drawIsDue = false;
  if (!shown.about) return;
  const { about, answers, now } = shown;
  const newest = answers.at(-1);
  if (newest) {
    showExpression(newest, about.labels);
    announce(newest, about.labels);
    showEpisodes(shown.episodes, newest.time_us);
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
