// The newest frame and event image, pixel by pixel, and the part of them that the engine is given.

import { element } from "./elements.js";

let drawn = null;

export function showPicture(picture, about) {
  if (picture === drawn) return;
  drawn = picture;
  for (const name of ["frame", "event"]) drawGrey(element(name), picture[name], about);
  const [, , width, height] = about.roi;
  const isAll = width === about.sensor[0] && height === about.sensor[1];
  element("frame-caption").textContent = `read: ${isAll ? "all" : `${width} × ${height}`} of ${about.sensor.join(" × ")} pixels`;
  element("event-caption").textContent = `of ${about.window_us / 1000} ms, at ${(picture.time_us / 1e6).toFixed(2)} s`;
}

function drawGrey(canvas, base64, about) {
  const [width, height] = about.sensor;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const levels = atob(base64);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = 0xff000000 | (levels.charCodeAt(i) * 0x010101);
  const context = canvas.getContext("2d");
  context.putImageData(image, 0, 0);
  drawPart(context, about.roi);
}

function drawPart(context, [left, top, width, height]) {
  context.lineWidth = 1;
  for (const [style, dash] of [["black", []], ["white", [4, 4]]]) {
    context.strokeStyle = style;
    context.setLineDash(dash);
    context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
  }
}
