// The page of make demo. What is wanted is in the checkboxes, weights and levels; faces come from /face, a line of JSON at a time.
"use strict";

const start = JSON.parse(document.getElementById("start").textContent);
const at = (id) => document.getElementById(id);
const boxes = [...document.querySelectorAll("input[name=attribute]")];
const SHOWN = 4; // faces to choose from
const STEP = 0.25; // of an arrow key on a slider
const weights = new Map(); // of ticked attributes
const levels = { strength: start.strength, variety: start.variety };
let faces = []; // what is shown to choose from: {number, picture, reading, recipe}
let asking = null; // stops the request under way

// What is wanted.

function ticked() {
  return boxes.filter((box) => box.checked).map((box) => box.value);
}

function query(number) {
  return new URLSearchParams({ attributes: ticked().map(word).join(","), ...levels, face: number });
}

function word(name) {
  const weight = weights.get(name);
  return weight === 0 ? `!${name}` : weight === 1 ? name : `${name}:${weight}`;
}

function showWanted() {
  const names = ticked();
  for (const name of weights.keys()) if (!names.includes(name)) weights.delete(name);
  for (const name of names) if (!weights.has(name)) weights.set(name, 1);
  at("wanted").replaceChildren(...(names.length ? names.map(row) : [element("li", { className: "none", textContent: "Nothing yet." })]));
  showWhetherPossible();
}

function showWhetherPossible() {
  const names = ticked();
  const clashes = showClashes();
  at("conflict").textContent = clashes.map((two) => `${two[0]} and ${two[1]} exclude each other; choose one.`).join(" ");
  at("hint").textContent = hint(names);
  at("make").setAttribute("aria-disabled", String(!names.length || clashes.length > 0));
}

function row(name) {
  const weight = weights.get(name);
  const max = Math.max(start.most.weight, weight); // a link may ask for more
  const slider = element("input", { type: "range", min: 0, max, step: "any", value: weight, ariaLabel: `Weight of ${name}` });
  const value = element("output", { textContent: shownWeight(weight) });
  const remove = element("button", { type: "button", textContent: "×", ariaLabel: `Remove ${name}` });
  slider.addEventListener("input", () => {
    weights.set(name, rounded(slider.value));
    value.textContent = shownWeight(weights.get(name));
    showWhetherPossible();
  });
  remove.addEventListener("click", () => {
    const box = boxes.find((one) => one.value === name);
    box.checked = false;
    showWanted();
    box.focus();
  });
  return element("li", {}, element("span", { textContent: name }), slider, value, remove);
}

function shownWeight(weight) {
  return weight === 0 ? "not" : weight.toFixed(2);
}

function showClashes() {
  const clashes = [];
  for (const head of document.querySelectorAll(".head")) {
    const both = [...head.querySelectorAll("input")].filter((box) => box.checked && weights.get(box.value) > 0);
    head.classList.toggle("clash", both.length > 1);
    for (const box of head.querySelectorAll("input")) box.ariaInvalid = String(both.length > 1 && both.includes(box));
    if (both.length > 1) clashes.push(both.map((box) => box.value));
  }
  return clashes;
}

function hint(names) {
  if (!names.length) return "Tick at least one attribute.";
  const pairs = start.rare.filter((pair) => pair.every((name) => names.includes(name) && weights.get(name) > 0));
  const named = pairs.map((pair) => pair.join(" and ")).join("; ");
  return named && `Hardly ever together in the training pictures: ${named}.`;
}

// Faces.

async function makeFaces(first, chosen = first) {
  asking?.abort();
  const mine = (asking = new AbortController());
  faces = Array.from({ length: SHOWN }, (_, i) => ({ number: first + i })).filter((face) => face.number <= start.most.face);
  at("error").textContent = "";
  at("details").hidden = true;
  at("choices").hidden = false;
  showChoices(-1);
  const order = [...faces].sort((one, other) => (other.number === chosen) - (one.number === chosen));
  const queries = order.map((face) => query(face.number));
  try {
    for (const [i, face] of order.entries()) {
      if (i < 2) at("status").textContent = i ? "The face is made. Others to choose from are being made." : "The face is being made.";
      Object.assign(face, await ask(queries[i], mine.signal, i === 0));
      if (i === 0) choose(face);
      else showChoices();
    }
    at("status").textContent = `${faces.length} faces are made. Choose one.`;
  } catch (error) {
    if (mine.signal.aborted) return;
    at("status").textContent = "";
    at("error").textContent = error instanceof TypeError ? "The server does not answer; start make demo again." : error.message;
    at("choices").hidden = faces.every((face) => !face.picture);
  }
}

async function ask(parameters, signal, watched) {
  const settings = parameters.toString();
  const answer = await fetch(`/face?${settings}`, { signal, headers: { "X-Requested-With": "attr2face" } });
  let last = {};
  for await (const line of linesOf(answer.body)) {
    last = JSON.parse(line);
    if (last.error) throw new Error(last.error);
    if (watched) {
      at("face").src = last.picture;
      at("face").alt = "A face that is being made";
      at("progress").value = last.done ?? 1;
    }
  }
  if (!last.recipe) throw new Error("The answer of the server is not complete; make the face again.");
  return { ...last, settings };
}

async function* linesOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    yield* lines;
  }
}

function showChoices(chosen = shown()) {
  const had = at("choices").contains(document.activeElement) ? document.activeElement.dataset.number : null;
  at("choices").replaceChildren(
    ...faces.map((face) => {
      const picture = face.picture ? [element("img", { src: face.picture, alt: "" })] : [];
      const button = element("button", { type: "button", disabled: !face.picture, ariaLabel: `Face ${face.number}` }, ...picture);
      button.ariaPressed = String(face.number === chosen);
      button.dataset.number = face.number;
      button.addEventListener("click", () => choose(face));
      return button;
    }),
  );
  if (had !== null) at("choices").querySelector(`[data-number="${had}"]`)?.focus();
}

function shown() {
  return Number(at("face").dataset.number ?? -1);
}

function choose(face) {
  at("face").src = face.picture;
  at("face").alt = `Generated face: ${describe(face.recipe.attributes)}`;
  at("face").dataset.number = face.number;
  at("reading").replaceChildren(...face.reading.map((seen) => readingRow(seen, face.recipe.attributes[seen.attribute] > 0)));
  const name = `${face.recipe.name}-${face.number}`;
  Object.assign(at("picture"), { href: face.picture, download: `${name}.png` });
  const recipe = { link: `/?${face.settings}`, ...face.recipe };
  const text = encodeURIComponent(JSON.stringify(recipe, null, 2) + "\n");
  Object.assign(at("recipe"), { href: `data:application/json;charset=utf-8,${text}`, download: `${name}.json` });
  history.replaceState(null, "", `/?${face.settings}`);
  at("details").hidden = false;
  showChoices(face.number);
}

function describe(attributes) {
  return Object.entries(attributes).map(([name, weight]) => (weight === 1 ? name : weight === 0 ? `not ${name}` : `${name} (weight ${weight})`)).join(", ");
}

function readingRow(seen, wanted) {
  const says = seen.seen === null ? "cannot tell" : seen.seen ? "sees it" : "does not see it";
  const judge = element("td", { textContent: says, className: seen.seen === null || seen.seen === wanted ? "" : "no" });
  const accuracy = seen.accuracy === null ? "not measured" : percent(seen.accuracy);
  const cells = [judge, element("td", { textContent: accuracy }), element("td", { textContent: percent(seen.net) })];
  return element("tr", {}, element("th", { scope: "row", textContent: seen.attribute }), ...cells);
}

function percent(share) {
  return `${Math.round(100 * share)}%`;
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// What the user does.

function rounded(value) {
  return Number(Number(value).toFixed(2));
}

function showLevel(id) {
  at(`${id}-value`).textContent = levels[id].toFixed(2);
}

for (const id of Object.keys(levels)) {
  at(id).addEventListener("input", () => {
    levels[id] = rounded(at(id).value);
    showLevel(id);
  });
}
at("form").addEventListener("keydown", (event) => {
  const step = { ArrowRight: STEP, ArrowUp: STEP, ArrowLeft: -STEP, ArrowDown: -STEP }[event.key];
  if (event.target.type !== "range" || !step) return;
  event.preventDefault();
  event.target.value = Number(event.target.value) + step;
  event.target.dispatchEvent(new Event("input"));
});
for (const box of boxes) box.addEventListener("change", showWanted);
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("make").ariaDisabled === "true") return;
  makeFaces(0);
  at("face").scrollIntoView({ block: "nearest" });
});
at("find").addEventListener("input", () => {
  const text = at("find").value.trim().toLowerCase();
  for (const head of document.querySelectorAll(".head")) head.hidden = !head.textContent.toLowerCase().includes(text);
});
at("find").addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault();
});
at("others").addEventListener("click", () => {
  const next = faces[0].number + SHOWN;
  at("face-title").focus();
  makeFaces(next > start.most.face ? 0 : next);
});
at("link").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    at("status").textContent = "The link is copied.";
  } catch {
    at("status").textContent = "The link is in the address bar of the browser.";
  }
});

// A link makes its face. The server has read it: start.link is what it asks for, or an error, or nothing.

function followLink() {
  const { error, attributes = {}, face, ...given } = start.link ?? {};
  Object.assign(levels, given);
  for (const id of Object.keys(levels)) {
    at(id).value = levels[id];
    showLevel(id);
  }
  for (const [name, weight] of Object.entries(attributes)) {
    weights.set(name, weight);
    boxes.find((box) => box.value === name).checked = true;
  }
  showWanted();
  if (error) at("error").textContent = error;
  else if (start.link) makeFaces(face - (face % SHOWN), face);
}

followLink();
