"use strict";
// The last script of every page. `Save|Speichern` in a text or an attribute is that text in two languages; the address
// says which to show and how: ?german=1&dark=1&accent=1&font=1&reflow=1. `evaluation` is what the renderer calls.
const LOOK = new URLSearchParams(location.search);
const SPOKEN = ["placeholder", "value", "aria-label", "title"];

function pick(text) {
  const [english, german] = text.split("|");
  return LOOK.has("german") && german !== undefined ? german : english;
}

function translate() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.tagName !== "SCRIPT" && node.nodeValue.includes("|")) node.nodeValue = pick(node.nodeValue);
  }
  for (const name of SPOKEN) {
    for (const element of document.querySelectorAll(`[${name}*="|"]`)) {
      element.setAttribute(name, pick(element.getAttribute(name)));
    }
  }
}

const ROLES = { BUTTON: "button", A: "link", SELECT: "dropdown", TEXTAREA: "field", LABEL: "checkbox", LI: "list_item" };

function roleOf(element) {
  if (element.dataset.r) return element.dataset.r;
  if (element.tagName === "INPUT") return { checkbox: "checkbox", radio: "radio" }[element.type] || "field";
  return ROLES[element.tagName] || "button";
}

function squeeze(text) {
  return text.trim().replace(/\s+/g, " ");
}

function textOf(element) {
  if (element.tagName === "SELECT") return squeeze(element.selectedOptions[0].text);
  if (element.tagName === "INPUT" || element.tagName === "TEXTAREA") {
    return ["checkbox", "radio"].includes(element.type) ? "" : squeeze(element.value || element.placeholder);
  }
  return squeeze(element.innerText);
}

function physical(rect) {
  const ratio = window.devicePixelRatio;
  const [left, top, right, bottom] = [rect.left, rect.top, rect.right, rect.bottom].map((v) => Math.round(v * ratio));
  return [left, top, right - left, bottom - top];
}

function isInView(rect) {
  return rect.width > 0 && rect.left >= 0 && rect.top >= 0 && rect.right <= innerWidth && rect.bottom <= innerHeight;
}

// Where a person would click: on what the element shows, which in a wide row is not its middle.
function clickOf(element, rect) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const inner = ["INPUT", "SELECT", "TEXTAREA"].includes(element.tagName) ? rect : range.getBoundingClientRect();
  const wide = rect.width > 6 * rect.height && textOf(element);
  const x = wide && inner.width < rect.width * 0.8 ? inner.left + inner.width / 2 : rect.left + rect.width / 2;
  return [x, rect.top + rect.height / 2];
}

function describe(element) {
  const rect = element.getBoundingClientRect();
  const [x, y] = clickOf(element, rect);
  const hit = document.elementFromPoint(x, y);
  const isSeen = isInView(rect) && element.contains(hit) && getComputedStyle(element).visibility !== "hidden";
  return {
    id: element.dataset.e, role: roleOf(element), text: textOf(element), is_target: element.dataset.x === undefined,
    label: element.getAttribute("aria-label") || textOf(element) || element.title, box: physical(rect),
    click: [Math.round(x * devicePixelRatio), Math.round(y * devicePixelRatio)], is_seen: isSeen,
  };
}

// Texts beside the elements: what may be mistaken for one of them.
function looseTexts() {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let number = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.nodeValue.trim() || node.parentElement.closest("[data-e],script,option")) continue;
    number += 1;
    const range = document.createRange();
    range.selectNode(node);
    const rect = range.getBoundingClientRect();
    const text = squeeze(node.nodeValue);
    const click = [Math.round((rect.left + rect.width / 2) * devicePixelRatio),
      Math.round((rect.top + rect.height / 2) * devicePixelRatio)];
    found.push({ id: `text-${number}`, role: "text", text, label: text, box: physical(rect), click,
      is_target: false, is_seen: isInView(rect) });
  }
  return found;
}

window.evaluation = {
  elements: () => [...[...document.querySelectorAll("[data-e]")].map(describe), ...looseTexts()],
  hide: (ids) => {
    for (const element of document.querySelectorAll("[data-e]")) {
      element.classList.toggle("taken-away", ids.includes(element.dataset.e));
    }
  },
};

for (const name of ["dark", "accent", "font", "reflow", "german"]) {
  if (LOOK.has(name)) document.documentElement.classList.add(name);
}
translate();
drawIcons();
