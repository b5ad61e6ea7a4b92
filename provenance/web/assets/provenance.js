// What a browser with scripts adds to pages that work without: a slider, words under a date, drawings that move.
import {createAll, Button, CharacterCount, ErrorSummary, ServiceNavigation, SkipLink} from "./govuk.js";

document.body.classList.add("js-enabled", "govuk-frontend-supported"); // a browser that runs modules is one that it supports
for (const part of [Button, CharacterCount, ErrorSummary, ServiceNavigation, SkipLink]) createAll(part);

const make = (tag, attributes = {}, text = "") => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
};

// The date in words, while it is typed. The server says whether there was a build; this only says which day it is.
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
  "November", "December"];

function inWords({day, month, year, time}) {
  if (!/^\d{1,2}$/.test(day) || !/^\d{1,2}$/.test(month) || !/^\d{4}$/.test(year)) return "";
  const at = new Date(Date.UTC(+year, +month - 1, +day));
  if (at.getUTCMonth() !== +month - 1 || at.getUTCDate() !== +day) return "There is no such day.";
  const when = `${DAYS[at.getUTCDay()]} ${+day} ${MONTHS[+month - 1]} ${year}`;
  if (!time) return when;
  return /^([01]?\d|2[0-3])[:.][0-5]\d$/.test(time) ? `${when} at ${time.replace(".", ":").padStart(5, "0")}` :
    `${when}. The time is written as 14:30.`;
}

for (const form of document.querySelectorAll("form[data-words]")) {
  const words = document.getElementById(form.dataset.words);
  form.addEventListener("input", () => {
    const parts = [...form.querySelectorAll("[data-part]")].map((field) => [field.dataset.part, field.value.trim()]);
    words.textContent = inWords(Object.fromEntries(parts));
  });
}

// The list of builds as a slider. It only chooses: the button beside it goes there.
for (const form of document.querySelectorAll("form[data-slider]")) {
  const list = form.querySelector("select");
  if (list.options.length < 2) continue;
  const range = make("input", {type: "range", class: "app-slider__range", min: 0, max: list.options.length - 1,
    step: 1, id: `${list.id}-range`});
  const says = make("output", {class: "app-slider__says", for: range.id});
  const ends = make("span", {class: "app-slider__ends", "aria-hidden": "true"});
  const name = (option) => option.text.split(",")[0];
  ends.append(make("span", {}, name(list.options[0])), make("span", {}, name(list.options[list.options.length - 1])));
  const show = () => {
    list.selectedIndex = +range.value;
    says.textContent = list.options[list.selectedIndex].text;
    range.setAttribute("aria-valuetext", says.textContent);
  };
  range.value = list.selectedIndex;
  list.hidden = true;
  form.querySelector(`label[for="${list.id}"]`).htmlFor = range.id;
  list.after(says, range, ends);
  range.addEventListener("input", show);
  show();
}

// Drawings: enlarge and move by changing `viewBox`; light up what touches a node.
class Drawing {
  constructor(frame) {
    this.frame = frame;
    this.svg = frame.querySelector("svg");
    const [x, y, width, height] = this.svg.getAttribute("viewBox").split(/[\s,]+/).map(Number);
    this.whole = {x, y, width, height};
    this.view = {...this.whole};
    frame.tabIndex = 0;
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", "Drawing. Plus and minus enlarge and reduce, arrow keys move, 0 shows all of it.");
    this.tools();
    frame.addEventListener("keydown", (event) => this.key(event));
    frame.addEventListener("focusin", (event) => this.reach(event.target));
    this.svg.addEventListener("wheel", (event) => this.wheel(event), {passive: false});
    this.svg.addEventListener("pointerdown", (event) => this.hold(event));
  }

  tools() {
    const bar = make("div", {class: "app-drawing__tools"});
    for (const [text, name, act] of [["+", "Enlarge", () => this.zoom(0.8)], ["−", "Reduce", () => this.zoom(1.25)],
      ["Show all", "", () => this.all()]]) {
      const button = make("button", {type: "button", ...(name && {"aria-label": name})}, text);
      button.addEventListener("click", act);
      bar.append(button);
    }
    bar.append(make("span", {class: "app-drawing__help"}, "Drag to move, or use + − and the arrow keys."));
    this.frame.before(bar);
  }

  draw() {
    const {x, y, width, height} = this.view;
    this.svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    this.frame.classList.toggle("app-drawing--moved", width < this.whole.width);
  }

  all() {
    this.view = {...this.whole};
    this.draw();
  }

  // About a point of the drawing, the middle unless one is given; from all of it to a fortieth.
  zoom(by, x = this.view.x + this.view.width / 2, y = this.view.y + this.view.height / 2) {
    const width = Math.min(this.whole.width, Math.max(this.whole.width / 40, this.view.width * by));
    const ratio = width / this.view.width;
    this.view = {x: x - (x - this.view.x) * ratio, y: y - (y - this.view.y) * ratio, width,
      height: this.view.height * ratio};
    this.move(0, 0);
  }

  move(right, down) {
    const within = (at, size, start, whole) => Math.min(Math.max(at, start), start + whole - size);
    this.view.x = within(this.view.x + right, this.view.width, this.whole.x, this.whole.width);
    this.view.y = within(this.view.y + down, this.view.height, this.whole.y, this.whole.height);
    this.draw();
  }

  // What takes the focus is brought to the middle, where it was moved out of sight.
  reach(target) {
    if (target === this.frame) return;
    const box = target.getBoundingClientRect(), seen = this.svg.getBoundingClientRect();
    const right = box.x + box.width / 2 - seen.x, down = box.y + box.height / 2 - seen.y;
    if (right > 0 && right < seen.width && down > 0 && down < seen.height) return;
    this.move((right - seen.width / 2) * this.scale, (down - seen.height / 2) * this.scale);
  }

  // Units of the drawing in one pixel of the screen.
  get scale() {
    return 1 / this.svg.getScreenCTM().a;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = this.view.width / 8;
    const onNode = event.target !== this.frame;
    const acts = {"+": () => this.zoom(0.8), "=": () => this.zoom(0.8), "-": () => this.zoom(1.25), 0: () => this.all()};
    if (!onNode) {
      Object.assign(acts, {ArrowLeft: () => this.move(-step, 0), ArrowRight: () => this.move(step, 0),
        ArrowUp: () => this.move(0, -step), ArrowDown: () => this.move(0, step)});
    }
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  // With Ctrl, as a touchpad's pinch sends it: a wheel alone scrolls the page, as everywhere.
  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    this.zoom(event.deltaY < 0 ? 0.8 : 1.25, at.x, at.y);
  }

  hold(event) {
    if (event.button || this.view.width >= this.whole.width) return;
    let right = 0, down = 0;
    const drag = (now) => {
      [right, down] = [now.clientX - event.clientX, now.clientY - event.clientY];
      this.svg.style.translate = `${right}px ${down}px`; // as a picture: drawn again only when it is let go
      this.frame.classList.add("app-drawing--held");
    };
    const letGo = () => {
      window.removeEventListener("pointermove", drag);
      window.removeEventListener("pointercancel", letGo);
      this.frame.classList.remove("app-drawing--held");
      this.svg.style.translate = "";
      this.move(-right * this.scale, -down * this.scale);
      if (Math.abs(right) + Math.abs(down) <= 4) return;
      // What was dragged was not meant as a click on the node under the pointer. The click, if any, comes at once.
      const not = (click) => click.preventDefault();
      window.addEventListener("click", not, {capture: true});
      setTimeout(() => window.removeEventListener("click", not, {capture: true}));
    };
    event.preventDefault();
    window.addEventListener("pointermove", drag);
    window.addEventListener("pointerup", letGo, {once: true});
    window.addEventListener("pointercancel", letGo);
  }
}

// One stop of the Tab key for all nodes; arrow keys go to the nearest one in that direction. What touches a node is
// copied above the drawing, which is dimmed as a whole: to dim 6,000 elements one by one took four times as long.
class Nodes {
  constructor(svg) {
    this.svg = svg;
    this.nodes = new Map([...svg.querySelectorAll("[data-node]")].map((node) => [node.dataset.node, node]));
    this.touching = new Map([...this.nodes.keys()].map((key) => [key, []]));
    for (const link of svg.querySelectorAll("[data-ends]")) {
      const [one, other] = link.dataset.ends.split(" ");
      this.touching.get(one)?.push(link, this.nodes.get(other));
      this.touching.get(other)?.push(link, this.nodes.get(one));
    }
    this.above = svg.appendChild(document.createElementNS(svg.namespaceURI, "g"));
    this.above.setAttribute("class", "app-above");
    this.above.setAttribute("aria-hidden", "true");
    [...this.nodes.values()].forEach((node, index) => node.setAttribute("tabindex", index ? -1 : 0));
    for (const [happens, act] of [["focusin", this.trace], ["pointerover", this.trace], ["focusout", this.clear],
      ["pointerleave", this.clear], ["keydown", this.go]]) svg.addEventListener(happens, act.bind(this));
  }

  trace(event) {
    const node = event.target.closest("[data-node]");
    if (!node) return this.clear();
    const groups = new Map([[this.svg, this.above]]); // copies of the groups that colours and widths are inherited from
    const group = (parent) => {
      if (!groups.has(parent)) groups.set(parent, group(parent.parentNode).appendChild(parent.cloneNode(false)));
      return groups.get(parent);
    };
    this.above.replaceChildren();
    const near = this.touching.get(node.dataset.node).filter(Boolean);
    for (const one of [...near.filter((it) => it.dataset.ends), ...near.filter((it) => !it.dataset.ends), node]) {
      const copy = group(one.parentNode).appendChild(one.cloneNode(true));
      copy.classList.add(one === node ? "app-here" : one.dataset.ends ? "app-tie" : "app-near");
    }
    for (const copy of this.above.querySelectorAll("*")) {
      for (const name of ["id", "href", "tabindex", "data-node", "data-ends"]) copy.removeAttribute(name);
    }
    this.svg.classList.add("app-tracing");
  }

  clear() {
    this.above.replaceChildren();
    this.svg.classList.remove("app-tracing");
  }

  // Where each node stands, in the drawing's own units, which do not change as it is moved.
  get places() {
    const inward = this.svg.getScreenCTM().inverse();
    const places = [...this.nodes.values()].map((node) => {
      const box = node.getBoundingClientRect();
      return [node, new DOMPoint(box.x + box.width / 2, box.y + box.height / 2).matrixTransform(inward)];
    });
    Object.defineProperty(this, "places", {value: new Map(places)});
    return this.places;
  }

  go(event) {
    const from = event.target.closest("[data-node]");
    const toward = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!from || !toward || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    const {x, y} = this.places.get(from);
    let best = null, least = Infinity;
    for (const [node, at] of this.places) {
      const ahead = (at.x - x) * toward[0] + (at.y - y) * toward[1];
      const aside = Math.abs((at.x - x) * toward[1]) + Math.abs((at.y - y) * toward[0]);
      if (ahead > 0.5 && ahead + 2 * aside < least) [best, least] = [node, ahead + 2 * aside];
    }
    if (!best) return;
    from.setAttribute("tabindex", -1);
    best.setAttribute("tabindex", 0);
    best.focus({preventScroll: true}); // the drawing moves, not the page
  }
}

for (const frame of document.querySelectorAll("[data-zoom]")) if (frame.querySelector("svg[viewBox]")) new Drawing(frame);
for (const svg of document.querySelectorAll(".app-drawing svg")) if (svg.querySelector("[data-node]")) new Nodes(svg);

// Paper has nothing to unfold: what is folded is printed, and folded again afterwards.
let unfolded = [];
window.addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("main details:not([open])")];
  for (const one of unfolded) one.open = true;
});
window.addEventListener("afterprint", () => {
  for (const one of unfolded) one.open = false;
});
