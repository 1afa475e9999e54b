"use strict";
// The last script of a page: writes the box of every element with a data-role into #boxes, for render.py.
// `problems` names what a picture must not have: covered, cut-off or overflowing elements.

function labelOf(element) {
  return element.getAttribute("aria-label") || element.textContent.trim().replace(/\s+/g, " ");
}

function boxOf(element) {
  const { left, top, right, bottom } = element.getBoundingClientRect();
  const x = Math.round(left);
  const y = Math.round(top);
  return [x, y, Math.round(right) - x, Math.round(bottom) - y];
}

function problemsOf(element) {
  const [x, y, width, height] = boxOf(element);
  const hit = document.elementFromPoint(x + width / 2, y + height / 2);
  const problems = [];
  if (!element.contains(hit)) problems.push(`${element.id}: covered at its centre`);
  if (x < 0 || y < 0 || x + width > 2560 || y + height > 1600) problems.push(`${element.id}: outside the picture`);
  return problems;
}

function overflowing() {
  const outside = [...document.body.querySelectorAll("*:not(svg *)")].filter(
    (element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0,
  );
  return outside.map((element) => `${element.id || element.className || element.tagName}: content is wider than it`);
}

drawIcons();
const marked = [...document.querySelectorAll("[data-role]")];
const report = {
  viewport: [window.innerWidth, window.innerHeight],
  elements: marked.map((element) => ({
    id: element.id, role: element.dataset.role, label: labelOf(element), box: boxOf(element),
  })),
  problems: [...marked.flatMap(problemsOf), ...overflowing()],
};
// `<` would end the script element early in the serialised page.
document.getElementById("boxes").textContent = JSON.stringify(report).replace(/</g, "\\u003c");
