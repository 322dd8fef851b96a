// Pictures and regions as a view shows them: mirrored left to right, then turned clockwise. A region is
// [left, top, width, height], a size [width, height].

export function turnedSize([width, height], { rotate }) {
  return rotate % 180 ? [height, width] : [width, height];
}

// Of the sensor's pixels, in the turned picture.
export function turnRegion([left, top, width, height], sensor, { rotate, mirror }) {
  let [across, down] = sensor;
  if (mirror) left = across - left - width;
  for (let turned = 0; turned < rotate; turned += 90) {
    [left, top, width, height] = [down - top - height, left, height, width];
    [across, down] = [down, across];
  }
  return [left, top, width, height];
}

// The reverse.
export function unturnRegion([left, top, width, height], sensor, { rotate, mirror }) {
  let [across, down] = turnedSize(sensor, { rotate });
  for (let turned = 0; turned < rotate; turned += 90) {
    [left, top, width, height] = [top, across - left - width, height, width];
    [across, down] = [down, across];
  }
  if (mirror) left = across - left - width;
  return [left, top, width, height];
}

// Grey levels of a sensor, row by row in base64, turned onto a canvas of as many pixels.
export function drawTurned(canvas, base64, sensor, view) {
  const [width, height] = turnedSize(sensor, view);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const place = (x, y) => {
    const [left, top] = unturnRegion([x, y, 1, 1], sensor, view);
    return top * sensor[0] + left;
  };
  const start = place(0, 0);
  const [across, down] = [place(1, 0) - start, place(0, 1) - start];
  const levels = atob(base64);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0, from = start + y * down; x < width; x++, from += across) {
      pixels[i++] = 0xff000000 | (levels.charCodeAt(from) * 0x010101);
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export function turnInWords({ rotate, mirror }) {
  return [mirror && "mirrored", rotate && `turned by ${rotate}°`].filter(Boolean).join(", ");
}
