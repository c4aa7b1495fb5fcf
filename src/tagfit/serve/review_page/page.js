// Labels are reviewed here. Each decision is sent at once, and shown again if the server could not write it down.
// Names are only ever set as text.

import { $, Refused, ask, hasToken, make, plural, say, whenTokenIsGiven } from "/base.js";

const AT_ONCE = 60; // cards of a page
const FEW = 12; // labels that are found without a search
const WINDOW = crypto.randomUUID?.() ?? String(Math.random());
const WORDS = { y: "yes", n: "no", "?": "unknown" };
const ENTER = {
  wrong: "done: the labels in question are right as they are now",
  next: "done: you have seen the sample, and labels that are not on are no",
  all: "done: you have seen the sample, and labels that are not on are no",
};

let summary = null;
let queue = "wrong";
let filter = {};
let page = { total: 0, start: 0, cards: [] };
let current = 0;
let anchor = 0;
let selected = new Set();
let several = false;
let alike = false;
const skipped = new Set();
const known = new Map(); // cards of this page as the server has them, by row
const pending = new Map(); // decisions that are on their way, by row
const ahead = new Map(); // pages that were asked for beforehand, by what they were asked with

// ------------------------------------------------------------------------------------------ the server

async function get(path) {
  return send(path, {});
}

async function post(path, body) {
  return send(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
}

async function send(path, options) {
  try {
    return await ask(path, options);
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused("The server does not answer. Start tagfit review again, then reload this page.");
  }
}

// An image's address; with a token, its content.
const blobs = new Map();
async function show(image, path) {
  image.dataset.path = path;
  if (!hasToken()) {
    image.src = path;
    return;
  }
  if (!blobs.has(path)) {
    blobs.set(path, get(path).then((answer) => answer.blob()).then((blob) => URL.createObjectURL(blob)));
    if (blobs.size > 400) {
      const [oldest, made] = blobs.entries().next().value;
      blobs.delete(oldest);
      made.then(URL.revokeObjectURL, () => {});
    }
  }
  const address = await blobs.get(path).catch(() => "");
  if (address && image.dataset.path === path) image.src = address;
}

// One after the other, in the order in which keys were pressed.
let working = Promise.resolve();
const inOrder = (work) => (working = working.then(work).catch((error) => failed(error)));

function failed(error) {
  if (!(error instanceof Refused)) throw error;
  say(error.message, true);
}

// ------------------------------------------------------------------------------------------ loading

async function start() {
  try {
    summary = await (await get("/v1/review")).json();
  } catch (error) {
    return failed(error);
  }
  $("ask-token").hidden = true;
  document.title = `${summary.name} · review · tagfit`;
  $("title").textContent = summary.name;
  $("file").textContent = `Your decisions: ${summary.file}`;
  $("notes").replaceChildren(...summary.notes.map((note) => make("li", "", note)));
  const choices = summary.labels.map((name, number) => new Option(name, number));
  $("filter").elements.label.append(...choices);
  for (const id of ["queues", "help", "work"]) $(id).hidden = false;
  $("zoom").hidden = !summary.images;
  $("finding").hidden = summary.labels.length <= FEW;
  showProgress(summary.progress, "");
  const left = ["wrong", "next"].filter((name) => summary.progress.queues[name].total > summary.progress.queues[name].done);
  await open(left[0] ?? "all");
  $("grid").focus({ preventScroll: true });
}

async function open(name) {
  queue = name;
  filter = {};
  page = { ...page, cards: [] }; // no key acts on a card of the other queue
  $("filter").reset();
  $("enter").textContent = ENTER[queue];
  for (const button of $("queues").children) button.setAttribute("aria-pressed", button.dataset.queue === queue);
  const first = queue === "all" ? 0 : summary.progress.queues[queue].first;
  await load(first - (first % AT_ONCE), first % AT_ONCE);
}

const address = (start) => `/v1/review/queue/${queue}?${new URLSearchParams({ start, count: AT_ONCE, ...filter })}`;

let loading = "";

async function load(start, place = 0) {
  const asked = address(start);
  loading = asked;
  const found = ahead.get(asked) ?? get(asked).then((answer) => answer.json());
  ahead.clear();
  try {
    const answer = await found;
    if (loading !== asked) return; // a later one was asked for meanwhile
    page = answer;
  } catch (error) {
    return failed(error);
  }
  known.clear();
  for (const card of page.cards) known.set(card.row, { ...card });
  current = anchor = place < 0 ? page.cards.length - 1 : Math.min(place, Math.max(0, page.cards.length - 1));
  selected = new Set(page.cards.length ? [current] : []);
  drawGrid();
  drawPanel();
  showProgress();
  // the next page is asked for while this one is looked at
  if (start + AT_ONCE < page.total) {
    const next = address(start + AT_ONCE);
    setTimeout(() => {
      const coming = get(next).then((answer) => answer.json());
      coming.catch(() => {}); // it is asked for again once it is needed
      ahead.set(next, coming);
    }, 300);
  }
}

// Where the next page begins: samples that no longer fit the filter do not count.
function following() {
  const fits = (card) => !(filter.left && card.done) && (!filter.said || WORDS[card.labels[filter.label]] === filter.said);
  return page.start + page.cards.filter(fits).length;
}

const further = () => (page.start + page.cards.length < page.total ? load(following()) : say("This is the last sample of the queue."));
const back = (place = 0) => page.start > 0 && load(Math.max(0, page.start - AT_ONCE), place);

// ------------------------------------------------------------------------------------------ showing

// rows mean other pictures to another server: what is kept is kept for this page alone
const version = Date.now();
const small = (row) => `/v1/review/small/${row}?v=${version}`;
const large = (row) => `/v1/review/large/${row}?v=${version}`;
const has = (card, letter) => summary.labels.filter((_, number) => card.labels[number] === letter);

function drawGrid() {
  const place = page.total ? `${page.start + 1}–${page.start + page.cards.length} of ${page.total.toLocaleString("en")}` : "";
  $("place").textContent = place;
  $("before").disabled = page.start === 0;
  $("after").disabled = page.start + page.cards.length >= page.total;
  $("empty").hidden = page.cards.length > 0;
  $("pages").hidden = $("panel").hidden = page.cards.length === 0;
  $("empty").textContent = summary.progress.queues[queue].note || "No sample is left by this filter.";
  $("grid").replaceChildren(...page.cards.map(drawCard));
  mark();
}

function drawCard(card, number) {
  const item = make("li", "card");
  item.id = `card-${number}`;
  item.setAttribute("role", "option");
  if (summary.images) {
    const image = make("img");
    image.alt = "";
    show(image, small(card.row));
    item.append(image);
  } else item.append(make("span", "rowname", card.name));
  item.append(make("span", "tags"));
  item.addEventListener("click", (event) => {
    if (several || event.ctrlKey || event.metaKey) toggle(number);
    else move(number, event.shiftKey);
  });
  fillCard(item, card);
  return item;
}

function fillCard(item, card) {
  const tags = has(card, "y").map((name) => make("span", "tag", name));
  for (const label of card.suggested) {
    const off = card.labels[label] === "y";
    const ghost = make("span", off ? "tag ghost off" : "tag ghost", summary.labels[label]);
    const there = tags.findIndex((tag) => off && tag.textContent === summary.labels[label]);
    if (there >= 0) tags[there] = ghost;
    else tags.push(ghost);
  }
  item.querySelector(".tags").replaceChildren(...tags);
  item.classList.toggle("done", card.done);
  item.classList.toggle("skipped", !card.done && skipped.has(card.row));
  const suggested = card.suggested.map((label) => `${card.labels[label] === "y" ? "not " : ""}${summary.labels[label]}`);
  const parts = [card.name, card.done ? "done" : "", has(card, "y").join(", ") || "no label", suggested.length ? `suggested: ${suggested.join(", ")}` : ""];
  item.setAttribute("aria-label", parts.filter(Boolean).join("; "));
}

function mark() {
  [...$("grid").children].forEach((item, number) => {
    item.classList.toggle("current", number === current);
    item.setAttribute("aria-selected", selected.has(number));
  });
  const item = $(`card-${current}`);
  if (item) {
    $("grid").setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest", inline: "nearest" });
  } else $("grid").removeAttribute("aria-activedescendant");
}

function chosen() {
  return [...selected].sort((a, b) => a - b).map((number) => page.cards[number]).filter(Boolean);
}

function drawPanel() {
  const card = page.cards[current];
  if (!card) return;
  const cards = chosen();
  $("name").textContent = cards.length > 1 ? `${cards.length} samples are selected` : card.name;
  $("why").replaceChildren(...(cards.length > 1 ? [] : card.why).map((text) => make("li", "", text)));
  if (summary.images) drawImage(card);
  drawLabels(card, cards);
  if (alike) drawAlike(card);
}

// The small image is there already; the large one takes its place once it has come.
function drawImage(card) {
  const image = $("image");
  show(image, small(card.row));
  const better = new Image();
  better.onload = () => {
    if (page.cards[current] === card) image.src = better.src;
  };
  clearTimeout(drawImage.waiting);
  drawImage.waiting = setTimeout(() => show(better, large(card.row)), 120);
}

function drawLabels(card, cards) {
  if ($("labels").children.length !== summary.labels.length) buildLabels();
  [...$("labels").children].forEach((item, label) => {
    const button = item.firstChild;
    const letters = new Set(cards.map((one) => one.labels[label]));
    const letter = letters.size === 1 ? card.labels[label] : "?";
    const ghost = cards.length === 1 && card.suggested.includes(label);
    const decided = cards.every((one) => one.decided[label] === "1");
    button.className = ["label", WORDS[letter], ghost ? "ghost" : "", decided ? "decided" : ""].filter(Boolean).join(" ");
    button.setAttribute("aria-pressed", letter === "y");
    const score = cards.length === 1 ? `${card.scores[label]}%` : "";
    button.querySelector(".score").textContent = score;
    const state = letters.size > 1 ? "differs" : WORDS[letter];
    button.querySelector(".state").textContent = `, ${state}${ghost ? (letter === "y" ? ", the model says no" : ", suggested") : ""}`;
    item.hidden = !matches(label);
    button.classList.toggle("best", Boolean($("find").value) && best() === label);
  });
}

function buildLabels() {
  $("labels").replaceChildren(
    ...summary.labels.map((name, label) => {
      const item = make("li");
      const button = make("button", "label");
      button.type = "button";
      button.append(`${name} `, make("span", "state visually-hidden"), make("span", "score"));
      if (summary.keys[label]) button.append(" ", make("kbd", "", summary.keys[label]));
      button.addEventListener("click", () => turn(label));
      item.append(button);
      return item;
    }),
  );
}

const matches = (label) => summary.labels[label].toLowerCase().includes($("find").value.trim().toLowerCase());

function best() {
  const typed = $("find").value.trim().toLowerCase();
  const exact = summary.labels.findIndex((name) => name.toLowerCase() === typed);
  const begins = summary.labels.findIndex((name) => name.toLowerCase().startsWith(typed));
  return [exact, begins, summary.labels.findIndex((_, label) => matches(label))].find((label) => label >= 0) ?? -1;
}

function drawAlike(card) {
  clearTimeout(drawAlike.waiting);
  drawAlike.waiting = setTimeout(async () => {
    let found;
    try {
      found = await (await get(`/v1/review/neighbours/${card.row}`)).json();
    } catch (error) {
      return failed(error);
    }
    if (page.cards[current]?.row !== card.row) return;
    $("differs").replaceChildren(...found.differences.map((text) => make("li", "", text)));
    $("neighbours").replaceChildren(
      ...found.cards.map((one) => {
        const item = make("li");
        if (summary.images) {
          const image = make("img");
          image.alt = one.name;
          show(image, small(one.row));
          item.append(image);
        } else item.append(make("b", "", one.name), " ");
        item.append(has(one, "y").join(", ") || "no label");
        return item;
      }),
    );
  }, 60);
}

function showProgress(progress = summary.progress, gain = null) {
  summary.progress = progress;
  for (const button of $("queues").children) {
    const of = progress.queues[button.dataset.queue];
    button.lastChild.textContent = (of.total - of.done).toLocaleString("en");
    button.setAttribute("aria-label", `${button.firstChild.textContent.trim()}: ${plural(of.total - of.done, "sample")} left`);
  }
  const here = progress.queues[queue];
  $("bar").max = Math.max(1, here.total);
  $("bar").value = here.done;
  $("progress").textContent = `${here.done.toLocaleString("en")} of ${plural(here.total, "sample")} done here. In all ${plural(progress.changed, "label")} changed, ${progress.confirmed.toLocaleString("en")} confirmed.`;
  if (gain !== null) $("gain").textContent = gain;
}

// ------------------------------------------------------------------------------------------ moving

function move(number, extend = false) {
  if (number < 0) return back(-1);
  if (number >= page.cards.length) return further();
  current = number;
  if (extend) {
    const [from, to] = [Math.min(anchor, current), Math.max(anchor, current)];
    selected = new Set(Array.from({ length: to - from + 1 }, (_, step) => from + step));
  } else {
    anchor = current;
    selected = new Set([current]);
  }
  mark();
  drawPanel();
}

function toggle(number) {
  if (selected.has(number) && selected.size > 1) selected.delete(number);
  else selected.add(number);
  current = anchor = selected.has(number) ? number : [...selected][0];
  mark();
  drawPanel();
}

function columns() {
  const items = [...$("grid").children];
  const wrapped = items.findIndex((item) => item.offsetTop > items[0].offsetTop);
  return wrapped > 0 ? wrapped : 1;
}

// To the next sample that is not done; what was selected is left.
function onward() {
  let number = Math.max(...selected) + 1;
  while (number < page.cards.length && page.cards[number].done) number += 1;
  move(number);
}

// ------------------------------------------------------------------------------------------ deciding

// Shown at once, and as it was again if it could not be written down.
function decide(changes, text) {
  const decisions = changes.filter(({ labels }) => Object.keys(labels).length);
  if (!decisions.length) return;
  for (const { card, labels } of decisions) {
    pending.set(card.row, (pending.get(card.row) ?? 0) + 1);
    const [letters, decided] = [[...card.labels], [...card.decided]];
    for (const [label, told] of Object.entries(labels)) {
      letters[label] = told === null ? "?" : "ny"[told];
      decided[label] = "1";
    }
    const left = (label) => !(label in labels);
    Object.assign(card, { labels: letters.join(""), decided: decided.join(""), asked: card.asked.filter(left), suggested: card.suggested.filter(left) });
    card.done ||= queue === "wrong" ? !card.asked.length : queue === "all" || !card.labels.includes("?");
    redraw(card);
  }
  say(text);
  const body = { window: WINDOW, queue, decisions: decisions.map(({ card, labels }) => ({ row: card.row, labels })) };
  inOrder(async () => {
    const rows = decisions.map(({ card }) => card.row);
    try {
      const changed = await (await post("/v1/review/decide", body)).json();
      settle(rows);
      take(changed);
    } catch (error) {
      settle(rows);
      for (const row of rows) if (known.has(row)) put(known.get(row));
      failed(error);
    }
  });
}

function take(changed) {
  changed.cards.forEach(put);
  showProgress(changed.progress, changed.gain);
}

const settle = (rows) => rows.forEach((row) => pending.set(row, pending.get(row) - 1));

// The server's word, unless a later decision about the same card is still on its way: what is shown is that already.
function put(card) {
  ahead.clear();
  if (known.has(card.row)) known.set(card.row, { ...card });
  if (pending.get(card.row)) return;
  const there = page.cards.find((one) => one.row === card.row);
  if (!there) return;
  Object.assign(there, card);
  redraw(there);
}

function redraw(card) {
  const number = page.cards.indexOf(card);
  const item = $(`card-${number}`);
  if (item) fillCard(item, card);
  if (selected.has(number) || number === current) {
    if (number === current && selected.size === 1) $("why").replaceChildren(...card.why.map((text) => make("li", "", text)));
    if (page.cards[current]) drawLabels(page.cards[current], chosen());
  }
}

function turn(label) {
  const cards = chosen();
  const told = cards.every((card) => card.labels[label] === "y") ? 0 : 1;
  decide(cards.map((card) => ({ card, labels: { [label]: told } })), `${summary.labels[label]}: ${told ? "yes" : "no"}${cards.length > 1 ? `, ${cards.length} samples` : ""}`);
}

const accepted = (card) => Object.fromEntries(card.suggested.map((label) => [label, card.labels[label] === "y" ? 0 : 1]));

function seen(card, labels) {
  const asked = queue === "wrong" ? card.asked : summary.labels.keys();
  const told = { ...labels };
  for (const label of asked) told[label] ??= card.labels[label] === "y" ? 1 : 0;
  return told;
}

function accept() {
  const cards = chosen();
  if (!cards.some((card) => card.suggested.length)) return say("Nothing is suggested for this sample.");
  decide(cards.map((card) => ({ card, labels: accepted(card) })), `accepted: ${cards.length > 1 ? plural(cards.length, "sample") : cards[0].name}`);
  if (cards.every((card) => card.done)) onward();
}

function done(withSuggestions = false) {
  const cards = chosen();
  decide(cards.map((card) => ({ card, labels: seen(card, withSuggestions ? accepted(card) : {}) })), `done: ${cards.length > 1 ? plural(cards.length, "sample") : cards[0].name}`);
  onward();
}

function skip() {
  for (const card of chosen()) {
    skipped.add(card.row);
    redraw(card);
  }
  say("skipped");
  onward();
}

function undo() {
  inOrder(async () => {
    const changed = await (await post("/v1/review/undo", { window: WINDOW, queue })).json();
    take(changed);
    if (!changed.cards.length) return say("There is nothing to undo in this window.");
    say(`undone: ${changed.cards.map((card) => card.name).join(", ")}${changed.kept ? `. ${plural(changed.kept, "label")} changed elsewhere since, and stay` : ""}`);
    const number = page.cards.findIndex((card) => card.row === changed.cards[0].row);
    if (number >= 0) move(number);
  });
}

// ------------------------------------------------------------------------------------------ further views

function zoom() {
  const card = page.cards[current];
  if (!card || !summary.images) return;
  const image = $("zoomed").querySelector("img");
  image.alt = card.name;
  show(image, large(card.row));
  $("zoomed").showModal();
}

function toggleAlike() {
  alike = !alike;
  document.querySelector("[data-do=alike]").setAttribute("aria-pressed", alike);
  $("near").hidden = !alike;
  drawPanel();
}

function toggleSeveral() {
  several = !several;
  document.querySelector("[data-do=several]").setAttribute("aria-pressed", several);
}

function nextQueue() {
  const names = [...$("queues").children].map((button) => button.dataset.queue);
  const name = names[(names.indexOf(queue) + 1) % names.length];
  open(name).then(() => say(document.querySelector(`[data-queue=${name}]`).getAttribute("aria-label")));
}

function search() {
  $("filters").open = true;
  $("filter").elements.name.focus();
}

// ------------------------------------------------------------------------------------------ listening

const ACTIONS = { accept, done, skip, undo, alike: toggleAlike, several: toggleSeveral };

const KEYS = {
  ArrowRight: (event) => move(current + 1, event.shiftKey),
  ArrowLeft: (event) => move(current - 1, event.shiftKey),
  ArrowDown: (event) => move(Math.min(current + columns(), Math.max(current + 1, page.cards.length - 1)), event.shiftKey),
  ArrowUp: (event) => move(Math.max(current - columns(), Math.min(current - 1, 0)), event.shiftKey),
  PageDown: further,
  PageUp: () => back(),
  Home: () => move(0),
  End: () => move(page.cards.length - 1),
  " ": accept,
  Enter: (event) => done(event.shiftKey),
  Backspace: undo,
  Escape: () => move(current),
  ",": () => ($("finding").hidden ? say("Each label has a key.") : $("find").focus()),
  "-": skip,
  "+": zoom,
  "*": toggleAlike,
  "/": search,
  "!": nextQueue,
};

$("grid").addEventListener("keydown", (event) => {
  if (!page.cards.length || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key !== "a") return;
    event.preventDefault();
    selected = new Set(page.cards.keys());
    mark();
    drawPanel();
    return;
  }
  const label = summary.keys.indexOf(event.key.toLowerCase());
  const action = KEYS[event.key] ?? (label >= 0 ? () => turn(label) : null);
  if (!action) return;
  event.preventDefault();
  action(event);
});

addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input, select, textarea");
  if (event.key === "?" && !typing && summary) {
    event.preventDefault();
    $("keys").showModal();
  }
});

$("find").addEventListener("input", () => drawPanel());
$("find").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== "Escape") return;
  event.preventDefault();
  const label = best();
  const typed = $("find").value.trim();
  $("find").value = "";
  if (event.key === "Enter" && typed && label >= 0) turn(label);
  drawPanel();
  $("grid").focus({ preventScroll: true });
});

$("queues").addEventListener("click", (event) => {
  const button = event.target.closest("[data-queue]");
  if (button) open(button.dataset.queue).then(() => $("grid").focus({ preventScroll: true }));
});
$("actions").addEventListener("click", (event) => {
  const action = event.target.closest("[data-do]")?.dataset.do;
  if (action && page.cards.length) ACTIONS[action]();
});
$("zoom").addEventListener("click", zoom);
$("help").addEventListener("click", () => $("keys").showModal());
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => $("grid").focus({ preventScroll: true }));
}
$("before").addEventListener("click", () => back());
$("after").addEventListener("click", further);
$("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, label, said, low, high, order, left } = $("filter").elements;
  filter = { ...(name.value && { name: name.value }), ...(left.checked && { left: true }) };
  if (label.value) Object.assign(filter, { label: label.value, said: said.value, low: low.value / 100, high: high.value / 100, order: order.value });
  load(0).then(() => $("grid").focus({ preventScroll: true }));
});
$("filter").querySelector("[type=reset]").addEventListener("click", () => {
  filter = {};
  load(0);
});
whenTokenIsGiven(start);

start();
