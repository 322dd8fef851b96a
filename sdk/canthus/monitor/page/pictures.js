// The newest frame and event image, whole and turned as the network is shown them, and the part that it is given.

import { element } from "./elements.js";
import { drawTurned, turnInWords, turnRegion } from "./turned.js";

let drawn = null;

export function showPicture(picture, about) {
  if (picture === drawn) return;
  drawn = picture;
  for (const name of ["frame", "event"]) {
    drawTurned(element(name), picture[name], about.sensor, about);
    drawPart(element(name).getContext("2d"), turnRegion(about.roi, about.sensor, about));
  }
  const [, , width, height] = about.roi;
  const isAll = width === about.sensor[0] && height === about.sensor[1];
  const part = `read: ${isAll ? "all" : `${width} × ${height}`} of ${about.sensor.join(" × ")} pixels`;
  element("frame-caption").textContent = [part, turnInWords(about)].filter(Boolean).join(", ");
  element("event-caption").textContent = `of ${about.window_us / 1000} ms, at ${(picture.time_us / 1e6).toFixed(2)} s`;
}

function drawPart(context, [left, top, width, height]) {
  context.lineWidth = 1;
  for (const [style, dash] of [["black", []], ["white", [4, 4]]]) {
    context.strokeStyle = style;
    context.setLineDash(dash);
    context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
  }
}
