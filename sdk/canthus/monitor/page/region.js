// A rectangle [left, top, width, height] on a picture, in whole pixels of it: by hand, and by keys.

const LEAST = 8; // pixels: a smaller one is a click
const STEPS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

// The largest centred one of an aspect; as canthus.view rounds, so that it is the same.
export function middle([across, down], aspect) {
  const width = Math.min(across, roundHalfEven((down * aspect[0]) / aspect[1]));
  const height = Math.min(down, roundHalfEven((across * aspect[1]) / aspect[0]));
  return [Math.floor((across - width) / 2), Math.floor((down - height) / 2), width, height];
}

// The one nearest to another that has an aspect: of the same middle, about as large.
export function fitted([left, top, width, height], [across, down], aspect) {
  const ratio = aspect[0] / aspect[1];
  const wide = Math.min(Math.sqrt(width * height * ratio), across, down * ratio);
  return within([left + width / 2, top + height / 2], [wide, wide / ratio], [across, down]);
}

// Nearer or further by a factor, about the same middle.
function grown([left, top, width, height], factor, picture) {
  const most = Math.min(factor, picture[0] / width, picture[1] / height);
  const least = Math.max(most, LEAST / Math.min(width, height));
  return within([left + width / 2, top + height / 2], [width * least, height * least], picture);
}

// Moved as far as there is picture.
function within([x, y], [width, height], [across, down]) {
  const [wide, high] = [clamp(Math.round(width), 1, across), clamp(Math.round(height), 1, down)];
  return [clamp(Math.round(x - wide / 2), 0, across - wide), clamp(Math.round(y - high / 2), 0, down - high), wide, high];
}

// Drawn from a corner that stays to where the pointer is; null if that is next to nothing.
function drawn([fromX, fromY], [toX, toY], [across, down], aspect) {
  const [rightwards, downwards] = [toX >= fromX, toY >= fromY];
  const room = [rightwards ? across - fromX : fromX, downwards ? down - fromY : fromY];
  let [width, height] = [Math.min(Math.abs(toX - fromX), room[0]), Math.min(Math.abs(toY - fromY), room[1])];
  if (aspect) {
    const ratio = aspect[0] / aspect[1];
    width = Math.min(Math.max(width, height * ratio), room[0], room[1] * ratio);
    height = width / ratio;
  }
  [width, height] = [Math.round(width), Math.round(height)];
  if (width < LEAST || height < LEAST) return null;
  return [rightwards ? fromX : fromX - width, downwards ? fromY : fromY - height, width, height];
}

// Lets `box`, which lies over `stage`, be drawn, moved and resized. `now()` tells region, picture's size, the aspect
// to keep, if any, and whether the region can be moved; `change(region)` is called with each new one.
export function letBeDragged(stage, box, now, change) {
  let drag = null;
  const pointed = (event) => {
    const edges = stage.getBoundingClientRect();
    const [across, down] = now().picture;
    return [
      clamp(((event.clientX - edges.left) / edges.width) * across, 0, across),
      clamp(((event.clientY - edges.top) / edges.height) * down, 0, down),
    ];
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button || !now()) return;
    const { region, isMovable } = now();
    const [left, top, width, height] = region;
    const point = pointed(event);
    const corner = event.target.dataset.corner?.split(" ").map(Number);
    if (corner) drag = { from: [left + width * (1 - corner[0]), top + height * (1 - corner[1])] };
    else if (event.target === box && isMovable) drag = { grip: [point[0] - left, point[1] - top] };
    else drag = { from: point.map(Math.round) };
    stage.setPointerCapture(event.pointerId);
    box.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const { region, picture, aspect } = now();
    const point = pointed(event);
    const [, , width, height] = region;
    if (drag.from) {
      const made = drawn(drag.from, point, picture, aspect);
      if (made) change(made);
    } else {
      change(within([point[0] - drag.grip[0] + width / 2, point[1] - drag.grip[1] + height / 2], [width, height], picture));
    }
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (drag = null));
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !now()) return;
    const { region, picture } = now();
    const [left, top, width, height] = region;
    const far = event.shiftKey ? 10 : 1;
    if (event.key in STEPS) {
      const [x, y] = STEPS[event.key].map((step) => step * far);
      change([clamp(left + x, 0, picture[0] - width), clamp(top + y, 0, picture[1] - height), width, height]);
    } else if (event.key === "+" || event.key === "=") change(grown(region, 1.05, picture));
    else if (event.key === "-") change(grown(region, 1 / 1.05, picture));
    else return;
    event.preventDefault();
  });
}

function clamp(value, least, most) {
  return Math.max(least, Math.min(value, most));
}

function roundHalfEven(value) {
  const up = Math.round(value);
  return value % 1 === 0.5 && up % 2 ? up - 1 : up;
}
