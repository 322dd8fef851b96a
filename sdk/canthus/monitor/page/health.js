// What became of every frame, packet and event, and how sensor and machine are doing.

import { count, element, fill, make } from "./elements.js";

// In the order in which they are listed; those that didn't happen are left out.
const REASONS = {
  answered: "",
  taken: "",
  "warming up": "no moment 0.4 s before is known yet",
  late: "frames: past the deadline; events: taken, though newer ones had come",
  "in part": "some of its events could not be used",
  superseded: "a newer frame came before its turn",
  unread: "answered, and not read in time",
  duplicate: "of the same time as the frame before",
  "out of order": "older than the frame before",
  "time jump": "its time does not follow from those before",
  malformed: "of a wrong type or size",
  invalid: "outside the sensor, or of no polarity",
  "too late": "what belongs to that time was let go already",
  overflowed: "too many were waiting",
  unmatched: "the two clocks' offset is not known yet",
  failed: "the engine could not answer",
  stopped: "the stream was closed before its turn",
};
const EXPECTED = ["answered", "taken", "warming up", "stopped"];
const BOOKS = ["frames", "packets", "events"];
const RATE_SECONDS = 2;

let history = [];

export function showHealth(health, at) {
  showLedgers(BOOKS.map((name) => health[name]));
  if (history.length && at < history.at(-1).at) history = []; // canthus was started anew
  if (at !== history.at(-1)?.at) history.push({ at, health });
  history = history.filter((past) => past.at >= at - RATE_SECONDS);
  fill(element("health"), {
    "frames per second": rate("frames"),
    "events per second": rate("events"),
    "waiting: frames, packets": `${count(health.queued_frames)}, ${count(health.queued_packets)}`,
    stalls: troubled(health.stalls, health.stalled ? " (now)" : ""),
    "frozen frames": troubled(health.frozen_frames),
    "black frames": troubled(health.black_frames),
    "clock set": troubled(health.clocks_set),
    "clock offset": health.clock_offset_us === null ? "one clock" : `${count(health.clock_offset_us)} µs`,
    temperature: health.temperature_celsius === null ? "not told here" : `${health.temperature_celsius.toFixed(0)} °C`,
  });
}

function rate(book) {
  const [first, last] = [history[0], history.at(-1)];
  const seconds = last.at - first.at;
  if (seconds < RATE_SECONDS / 4) return "–";
  const perSecond = (last.health[book].came - first.health[book].came) / seconds;
  return perSecond < 1000 ? perSecond.toFixed(1) : count(Math.round(perSecond / 1000) * 1000);
}

function troubled(number, note = "") {
  return [count(number) + note, number ? "is-trouble" : ""];
}

function showLedgers(ledgers) {
  const happened = (reason) => ledgers.some((ledger) => ledger.ended[reason]);
  const others = ledgers.flatMap((ledger) => Object.keys(ledger.ended)).filter((reason) => !(reason in REASONS));
  const reasons = [...Object.keys(REASONS), ...new Set(others)].filter(happened);
  const rows = [
    row("came", "", ledgers.map((ledger) => count(ledger.came)), "is-sum"),
    ...reasons.map((reason) => row(reason, REASONS[reason] ?? "", ledgers.map((ledger) => ended(ledger, reason)))),
    row("waiting", "", ledgers.map((ledger) => count(ledger.waiting))),
    row("adds up", "", ledgers.map((ledger) => (isBalanced(ledger) ? "yes" : "NO"))),
  ];
  rows.at(-1).dataset.balanced = ledgers.every(isBalanced);
  rows.at(-1).classList.add(ledgers.every(isBalanced) ? "is-good" : "is-trouble");
  element("ledgers").replaceChildren(...rows);
}

function isBalanced(ledger) {
  return ledger.came === ledger.waiting + Object.values(ledger.ended).reduce((sum, number) => sum + number, 0);
}

function ended(ledger, reason) {
  return reason in ledger.ended ? count(ledger.ended[reason]) : "";
}

function row(name, note, cells, className = "") {
  const made = make("tr", className || (name in REASONS && !EXPECTED.includes(name) ? "is-trouble" : ""));
  const head = make("th", "", name);
  head.scope = "row";
  if (note) head.append(make("span", "note", note));
  made.append(head, ...cells.map((cell) => make("td", "", cell)));
  return made;
}
