// The latest episodes: which expression, for how long, and how probable it was; the newest first.

import { element, make, percent } from "./elements.js";

export function showEpisodes(episodes, time_us) {
  const rows = episodes.map((episode) => {
    const isOver = episode.offset_us !== null;
    const seconds = ((isOver ? episode.offset_us : time_us) - episode.onset_us) / 1e6;
    const row = make("li", isOver ? "" : "is-lasting");
    row.append(
      make("span", "name", episode.label),
      make("span", "length", `${isOver ? "" : "for "}${Math.max(seconds, 0).toFixed(1)} s`),
      make("span", "percent", percent(episode.mean)),
    );
    return row;
  });
  element("episodes").replaceChildren(...rows);
}
