// Sets up how the camera is mounted: turns the picture, lets its region be dragged, and has both written to a file.

import { element, fill } from "./elements.js";
import { listen } from "./listen.js";
import { fitted, letBeDragged, middle } from "./region.js";
import { drawTurned, turnedSize, turnRegion, unturnRegion } from "./turned.js";

let about = null;
let picture = null;
let view = null; // what the server writes; its roi is in the sensor's own pixels, null for the largest in the middle
let saved = "";
const turnedEvent = document.createElement("canvas");

listen(begin, take);
letBeDragged(element("stage"), element("region"), now, keep);
element("turn-right").onclick = () => turn({ rotate: (view.rotate + 90) % 360 });
element("turn-left").onclick = () => turn({ rotate: (view.rotate + 270) % 360 });
// What is seen is mirrored; it was turned after that was mirrored, so it is turned the other way now.
element("mirror").onclick = () => turn({ rotate: (360 - view.rotate) % 360, mirror: !view.mirror });
element("middle").onclick = () => change({ roi: null });
element("keep-aspect").onchange = () => view && (aspect() ? keep(fitted(region(), size(), aspect())) : show());
element("save").onclick = save;

async function begin(told) {
  about = told;
  element("aspect").textContent = about.image_size.toReversed().join(" : ");
  if (view) return; // the connection was lost, and what was set up here is still here
  const { file, ...begun } = await (await fetch("view")).json();
  element("file").textContent = file;
  saved = JSON.stringify(begun);
  view = begun;
  const [, , width, height] = region();
  const [wide, high] = aspect();
  element("keep-aspect").checked = Math.abs(width * high - height * wide) <= Math.max(wide, high);
  show();
}

function take(update) {
  if (!update.picture) return;
  picture = update.picture;
  requestAnimationFrame(draw);
}

function turn(turned) {
  if (!view) return;
  const isMiddle = view.roi === null;
  const before = region();
  const sensorRegion = unturnRegion(before, about.sensor, view);
  Object.assign(view, turned);
  if (isMiddle) return change({});
  const after = turnRegion(sensorRegion, about.sensor, view);
  keep(aspect() && "rotate" in turned && after[2] !== before[2] ? fitted(after, size(), aspect()) : after);
}

function keep(shown) {
  change({ roi: unturnRegion(shown, about.sensor, view) });
}

function change(changed) {
  if (!view) return;
  Object.assign(view, changed);
  show();
}

const size = () => turnedSize(about.sensor, view);
const aspect = () => (element("keep-aspect").checked ? about.image_size.toReversed() : null);
const region = () =>
  view.roi ? turnRegion(view.roi, about.sensor, view) : middle(size(), about.image_size.toReversed());

// What nobody drew, or has no room, isn't moved by a drag inside it: a new one is drawn there.
const isMovable = () => view.roi !== null && region().slice(2).some((side, i) => side < size()[i]);

function now() {
  return view && { region: region(), picture: size(), aspect: aspect(), isMovable: isMovable() };
}

function show() {
  const [across, down] = size();
  const [left, top, width, height] = region();
  Object.assign(element("stage").style, { aspectRatio: `${across} / ${down}`, maxWidth: `calc(62vh * ${across / down})` });
  Object.assign(element("region").style, {
    left: `${(100 * left) / across}%`,
    top: `${(100 * top) / down}%`,
    width: `${(100 * width) / across}%`,
    height: `${(100 * height) / down}%`,
  });
  element("region").classList.toggle("is-movable", isMovable());
  const roi = unturnRegion([left, top, width, height], about.sensor, view);
  fill(element("values"), {
    "roi: left, top, width, height": `${roi.join(", ")}${view.roi ? "" : " (largest)"}`,
    "rotate, clockwise": `${view.rotate}°`,
    "mirror, before that": view.mirror ? "yes" : "no",
  });
  if (JSON.stringify(view) === saved) tell("", "");
  else tell("is-warn", "not saved yet");
  draw();
}

function draw() {
  if (!picture || !view) return;
  drawTurned(element("picture"), picture.frame, about.sensor, view);
  drawTurned(turnedEvent, picture.event, about.sensor, view);
  drawSeen(element("frame"), element("picture"));
  drawSeen(element("event"), turnedEvent);
}

// About as the network gets it: the browser resizes a little otherwise.
function drawSeen(canvas, from) {
  const [height, width] = about.image_size;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(from, ...region(), 0, 0, width, height);
}

async function save() {
  if (!view) return;
  try {
    const sent = JSON.stringify(view);
    const answer = await fetch("view", { method: "POST", headers: { "Content-Type": "application/json" }, body: sent });
    const told = await answer.text();
    if (!answer.ok) throw new Error(told.replace(/^\d+ /, ""));
    const { file } = JSON.parse(told);
    saved = sent;
    if (JSON.stringify(view) !== saved) return; // it was changed meanwhile
    tell("is-good", `written to ${file}`);
    element("usage").textContent = "Use it: give canthus run, bench or monitor --view and that file, or an app canthus.View.read.";
  } catch (error) {
    tell("is-bad", `not saved: ${error.message}`);
  }
}

function tell(className, text) {
  Object.assign(element("saved"), { className, textContent: text });
}
