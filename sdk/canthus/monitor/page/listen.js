// Listens to the monitor, as long as the page is open, and says in a line how that is going.

import { element } from "./elements.js";

// The address may hold the token; the server has given it as a cookie by now.
history.replaceState(null, "", location.pathname);

const RETRY_MS = 2000; // where the browser has given up by itself
const SILENCE_MS = 3000; // health comes twice a second

let about = null;
let isStalled = false;
let isFull = false;
let silence = 0;

// `begin` is given what is shown at all, each time that a connection is made, and `take` what is new since.
export function listen(begin, take) {
  const source = new EventSource("live");
  const lose = () => {
    clearTimeout(silence);
    if (!isFull) setState("lost", "connection lost; trying again…");
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    setTimeout(() => listen(begin, take), RETRY_MS);
  };
  source.onerror = lose;
  source.onmessage = (message) => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      source.close();
      lose();
    }, SILENCE_MS);
    const update = JSON.parse(message.data);
    if (update.about) {
      about = update.about;
      isStalled = false;
      element("title").textContent = about.title;
      document.title = `${about.title} – canthus monitor`;
      begin(about);
      return;
    }
    isFull = update.state === "full";
    tellState(update);
    if (!isFull) take(update);
  };
}

function tellState(update) {
  const source = about?.recorded ? "recording" : "camera";
  if (update.health) isStalled = update.health.stalled;
  if (update.state === "full") setState("full", `${update.message}; waiting for a place…`);
  else if (update.state === "failed") setState("failed", update.message || `the ${source} failed; see where canthus runs`);
  else if (update.state === "ended") setState("ended", `the ${source} has ended`);
  else if (isStalled) setState("stalled", "no frames are coming");
  else setState("playing", about.recorded ? "playing" : "live");
}

function setState(state, text) {
  const place = element("state");
  document.body.classList.toggle("is-old", ["lost", "stalled", "full"].includes(state));
  if (place.textContent === text) return; // said once
  place.dataset.state = state;
  place.textContent = text;
}
