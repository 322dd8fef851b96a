// What all parts of the page use.

export const element = (id) => document.getElementById(id);

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const percent = (probability) => (probability === null ? "?" : `${Math.round(100 * probability)} %`);

export const milliseconds = (us) => (us === undefined ? "–" : `${(us / 1000).toFixed(us < 1000 ? 2 : 1)} ms`);

export const count = (number) => number.toLocaleString("en");

export function make(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// A list of terms and values; a value is a text, or [text, class]. Elements stay, so that nothing flickers.
export function fill(list, values) {
  for (const [term, value] of Object.entries(values)) {
    const [text, className] = [value].flat();
    let row = list.querySelector(`[data-term="${term}"]`);
    if (!row) {
      row = make("div", "");
      row.dataset.term = term;
      row.append(make("dt", "", term), make("dd", ""));
      list.append(row);
    }
    row.lastChild.textContent = text;
    row.lastChild.className = className ?? "";
  }
}
