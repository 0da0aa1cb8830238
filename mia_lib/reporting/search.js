"use strict";
const SECTIONS = {{ index|safe }};
const folded = (text) => text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
const texts = SECTIONS.map(([, title, , heading, words]) => [folded(`${title} ${heading}`), folded(words)]);

function found(asked) {
  const words = folded(asked).split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  return texts
    .map(([heading, body], place) => [words.every((word) => heading.includes(word) || body.includes(word)),
      words.filter((word) => heading.includes(word)).length, place])
    .filter(([all]) => all)
    .sort((one, other) => other[1] - one[1] || one[2] - other[2])
    .slice(0, 20)
    .map(([, , place]) => [SECTIONS[place], words]);
}

function entry([[page, title, anchor, heading, body], words]) {
  const item = document.createElement("li"), link = document.createElement("a"), text = document.createElement("p");
  link.href = anchor ? `${page}#${encodeURIComponent(anchor)}` : page;
  link.textContent = heading && heading !== title ? `${title}: ${heading}` : title;
  const place = Math.max(0, Math.min(...words.map((word) => folded(body).indexOf(word)).filter((at) => at >= 0), body.length) - 60);
  text.textContent = `${place ? "… " : ""}${body.slice(place, place + 180)}${place + 180 < body.length ? " …" : ""}`;
  item.append(link, text);
  return item;
}

document.addEventListener("DOMContentLoaded", () => {
  const field = document.querySelector("#search"), list = document.querySelector("#found"), count = document.querySelector("#count");
  field.hidden = false;
  field.addEventListener("input", () => {
    const results = found(field.value);
    list.replaceChildren(...results.map(entry));
    count.textContent = field.value.trim() ? `${results.length === 20 ? "The first 20" : results.length} found` : "";
  });
  field.addEventListener("keydown", (event) => { if (event.key === "Escape") { field.value = ""; field.dispatchEvent(new Event("input")); } });
});
