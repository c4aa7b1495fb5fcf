// Photos are sent to /v1/predict; everything else happens here. Names are only ever set as text.

import { $, Refused, ask, make, plural, say, whenTokenIsGiven } from "/base.js";

const SHOWN = 8; // labels of a photo before "all labels"
const photos = []; // {file, url, card, values, error, order, heat}
let model = null;
let thresholds = new Map();

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

// ------------------------------------------------------------------------------------------ the model

async function start() {
  try {
    model = await (await ask("/v1/labels")).json();
  } catch (error) {
    say(error instanceof Refused ? error.message : "The server does not answer.", true);
    return;
  }
  $("ask-token").hidden = true;
  say("");
  document.title = `${model.model} · tagfit`;
  $("model").textContent = about();
  if (model.takes === "features") {
    say(`This model takes rows of ${plural(model.features, "number")}, not photos. Send them to POST /v1/predict: see API.`);
    return;
  }
  thresholds = new Map(model.labels.map((label) => [label.name, label.threshold]));
  $("drop").hidden = false;
  buildSliders();
}

// What the model is, in a line: its data, its labels, its day, what it scores.
function about() {
  const { model: name, labels, origin } = model;
  const facts = [name, plural(labels.length, "label")];
  if (origin) facts.push(`trained ${origin.made}`);
  if (origin?.score != null) {
    const ends = origin.interval ? ` (95%: ${origin.interval.map((end) => end.toFixed(2)).join(" to ")})` : "";
    facts.push(`${origin.metric} ${origin.score.toFixed(2)}${ends} on ${origin.part}`);
  }
  return facts.join(" · ");
}

// ------------------------------------------------------------------------------------------ deciding

// What the model's rule gives, with the thresholds as they are now.
function given(values) {
  const moved = model.labels.some((label) => thresholds.get(label.name) !== label.threshold);
  if (model.by_sets && !moved) return new Set(values.labels);
  const by = values[model.decides_by];
  let names = model.labels.map((label) => label.name).filter((name) => by[name] > thresholds.get(name));
  names.sort((a, b) => by[b] - by[a]);
  if (model.at_most !== null) names = names.slice(0, model.at_most);
  if (model.at_least_one && !names.length) names = [highest(by)];
  return new Set(names);
}

const highest = (by) => model.labels.map((label) => label.name).reduce((best, name) => (by[name] > by[best] ? name : best));

// ------------------------------------------------------------------------------------------ showing

function buildSliders() {
  $("rule").textContent = `Labels are given by ${model.decides_by}: ${model.rule}.` + (model.by_sets ? " If you move a threshold, the thresholds decide instead." : "");
  if (model.labels.some(({ f1 }) => f1 !== null)) $("known-f1").textContent = `, with their F1 on ${model.origin.part}`;
  for (const { name, f1 } of model.labels) {
    const worth = f1 === null ? "" : f1.toFixed(2);
    const label = make("label");
    const [at, count] = [make("span", "at"), make("span", "count")];
    const slider = make("input");
    Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.01 });
    slider.addEventListener("input", () => {
      thresholds.set(name, Number(slider.value));
      refresh();
    });
    const named = make("span", "name", name);
    if (worth) named.append(make("small", "f1", ` F1 ${worth}`));
    label.append(named, slider, at, count);
    const known = make("li", "", name);
    if (worth) known.append(make("span", "f1", ` ${worth}`));
    $("known").append(known);
    const item = make("li");
    item.append(label);
    item.show = (times) => {
      const original = model.labels.find((one) => one.name === name).threshold;
      const now = thresholds.get(name);
      if (Number(slider.value) !== now) slider.value = now;
      at.textContent = now.toFixed(2);
      count.textContent = `×${times}`;
      count.title = `given to ${plural(times, "photo")}`;
      label.classList.toggle("moved", now !== original);
    };
    $("sliders").append(item);
  }
  $("thresholds").open = matchMedia("(min-width: 761px)").matches;
}

function addCard(photo) {
  const card = $("photo").content.firstElementChild.cloneNode(true);
  card.querySelector("h2").textContent = photo.file.name;
  const image = card.querySelector(".image");
  image.addEventListener("error", () => { image.hidden = true; });
  image.src = photo.url;
  image.alt = photo.file.name;
  card.querySelector(".given").textContent = "waiting …";
  const more = card.querySelector(".more");
  more.hidden = true;
  more.addEventListener("click", () => {
    photo.all = !photo.all;
    showPhoto(photo);
  });
  photo.card = card;
  $("photos").append(card);
}

function buildBars(photo) {
  const by = photo.values[model.decides_by];
  photo.bars = model.labels
    .map(({ name }) => ({ name, value: by[name] }))
    .sort((a, b) => b.value - a.value)
    .map(({ name, value }) => {
      const bar = make(model.explains ? "button" : "div", "bar");
      const track = make("span", "track");
      const fill = make("span", "fill");
      const tick = make("span", "tick");
      fill.style.width = `${100 * value}%`;
      track.append(fill, tick);
      bar.append(make("span", "name", name), track, make("span", "value", value.toFixed(2)));
      if (model.explains) {
        const why = make("span", "why", "why?");
        why.setAttribute("aria-hidden", "true");
        bar.append(why);
        bar.type = "button";
        bar.title = `Show what speaks for ${name}`;
        bar.setAttribute("aria-pressed", "false");
        bar.addEventListener("click", () => explain(photo, name));
      }
      const item = make("li");
      item.append(bar);
      photo.card.querySelector(".bars").append(item);
      return { name, bar, tick, item };
    });
}

function showPhoto(photo) {
  const said = photo.card.querySelector(".given");
  if (photo.error) {
    said.className = "given bad";
    said.textContent = photo.error;
  }
  if (!photo.values) return;
  const names = given(photo.values);
  photo.card.querySelector(".hint").hidden = !model.explains;
  said.replaceChildren(...(names.size ? [...names].map((name) => make("span", "", name)) : ["no label"]));
  photo.bars.forEach(({ name, bar, tick, item }, rank) => {
    const is = names.has(name);
    bar.classList.toggle("is-given", is);
    tick.style.left = `${100 * thresholds.get(name)}%`;
    tick.title = `threshold ${thresholds.get(name).toFixed(2)}`;
    item.hidden = !photo.all && !is && rank >= SHOWN;
    if (model.explains) bar.setAttribute("aria-pressed", String(photo.explained === name));
  });
  const more = photo.card.querySelector(".more");
  more.hidden = photo.bars.length <= SHOWN;
  more.textContent = photo.all ? "Fewer" : `All ${photo.bars.length} labels`;
}

// How near the value of some label is to its threshold: the nearer, the less certain.
function distance(photo) {
  if (!photo.values) return Infinity;
  return Math.min(...model.labels.map(({ name }) => Math.abs(photo.values[model.decides_by][name] - thresholds.get(name))));
}

const ORDERS = {
  added: () => 0,
  uncertain: (a, b) => distance(a) - distance(b),
  name: (a, b) => a.file.name.localeCompare(b.file.name, undefined, { numeric: true }),
};

function sortPhotos() {
  const order = $("sort").value;
  $("sort-note").textContent = order === "uncertain" ? "Photos with a value close to its threshold come first." : "";
  $("photos").append(...photos.toSorted(ORDERS[order]).map((photo) => photo.card));
}

function refresh() {
  const times = new Map(model.labels.map(({ name }) => [name, 0]));
  for (const photo of photos) {
    showPhoto(photo);
    if (photo.values) for (const name of given(photo.values)) times.set(name, times.get(name) + 1);
  }
  model.labels.forEach(({ name }, number) => $("sliders").children[number].show(times.get(name)));
  $("reset").disabled = model.labels.every(({ name, threshold }) => thresholds.get(name) === threshold);
  $("download").disabled = !photos.some((photo) => photo.values || photo.error);
  $("work").hidden = !photos.length;
  $("drop").classList.toggle("small", photos.length > 0);
}

// ------------------------------------------------------------------------------------------ asking

// As many photos at a time as the server takes.
function* parts(waiting) {
  let part = [];
  let bytes = 0;
  for (const photo of waiting) {
    const size = photo.file.size + 1024;
    if (part.length && (part.length >= Math.min(16, model.limits.images) || bytes + size > model.limits.bytes - 1024)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(photo);
    bytes += size;
  }
  if (part.length) yield part;
}

async function predict(part) {
  const form = new FormData();
  for (const photo of part) form.append("images", photo.file, photo.file.name);
  for (;;) {
    try {
      return (await (await ask("/v1/predict", { method: "POST", body: form })).json()).predictions;
    } catch (error) {
      if (error.status === 429) {
        await pause(error.wait);
        continue;
      }
      // one refusal may speak of one photo only: the others are asked for by themselves
      if ((error.status === 422 || error.status === 413) && part.length > 1) {
        return (await Promise.all(part.map((photo) => predict([photo])))).flat();
      }
      const reason = error instanceof Refused ? error.message : "The server does not answer.";
      return part.map(() => ({ error: reason }));
    }
  }
}

let working = Promise.resolve();

function take(files) {
  if (!model || model.takes !== "images" || !files.length) return;
  const fresh = [...files].map((file) => ({ file, url: URL.createObjectURL(file) }));
  for (const photo of fresh) {
    photos.push(photo);
    addCard(photo);
  }
  refresh();
  working = working.then(async () => {
    let done = 0;
    for (const part of parts(fresh.filter((photo) => photos.includes(photo)))) {
      say(`${plural(done, "photo")} of ${fresh.length} …`);
      const found = await predict(part);
      part.forEach((photo, number) => {
        const record = found[number];
        if (record.error) photo.error = record.error;
        else {
          photo.values = record;
          buildBars(photo);
        }
      });
      done += part.length;
      refresh();
    }
    if ($("sort").value !== "added") sortPhotos();
    const failed = fresh.filter((photo) => photo.error).length;
    say(failed ? `${failed} of ${plural(fresh.length, "photo")} could not be read.` : "", failed > 0);
  });
}

// ------------------------------------------------------------------------------------------ explaining

async function explain(photo, name) {
  const heat = photo.card.querySelector(".heat");
  const caption = photo.card.querySelector("figcaption");
  if (photo.explained === name) {
    photo.explained = null;
    heat.hidden = true;
    caption.textContent = "";
    showPhoto(photo);
    return;
  }
  photo.explained = name;
  showPhoto(photo);
  caption.className = "";
  caption.textContent = `What speaks for ${name} …`;
  try {
    const answer = await ask(`/v1/explain?label=${encodeURIComponent(name)}`, {
      method: "POST",
      body: photo.file,
      headers: { "content-type": "application/octet-stream" },
    });
    const blob = await answer.blob();
    if (photo.explained !== name) return;
    if (heat.src) URL.revokeObjectURL(heat.src);
    heat.src = URL.createObjectURL(blob);
    place(heat, photo.card.querySelector(".image"));
    heat.hidden = false;
    caption.textContent = `Warm colours speak for ${name}`;
  } catch (error) {
    heat.hidden = true;
    caption.className = "bad";
    caption.textContent = error instanceof Refused ? error.message : "The server does not answer.";
  }
}

// The map covers what the network saw: all of the image, or a square in its middle.
function place(heat, image) {
  let [width, height] = [100, 100];
  if (model.shown !== null) {
    const shorter = Math.min(image.naturalWidth, image.naturalHeight);
    width = (100 * model.shown * shorter) / image.naturalWidth;
    height = (100 * model.shown * shorter) / image.naturalHeight;
  }
  Object.assign(heat.style, { width: `${width}%`, height: `${height}%`, left: `${(100 - width) / 2}%`, top: `${(100 - height) / 2}%` });
}

// ------------------------------------------------------------------------------------------ CSV

// A cell that a spreadsheet would take for a formula begins with an apostrophe.
function cell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\n\r;]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download() {
  const names = model.labels.map((label) => label.name);
  const lines = [["sample", "labels", "error", ...names].map(cell)];
  for (const photo of photos) {
    if (!photo.values && !photo.error) continue;
    const by = photo.values?.[model.decides_by];
    const labels = photo.values ? [...given(photo.values)].join(";") : "";
    lines.push([...[photo.file.name, labels, photo.error ?? ""].map(cell), ...names.map((name) => by?.[name] ?? "")]);
  }
  const link = make("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", lines.map((line) => line.join(",")).join("\r\n"), "\r\n"], { type: "text/csv" }));
  link.download = "labels.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ------------------------------------------------------------------------------------------ listening

const isFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

addEventListener("dragover", (event) => {
  if (!isFiles(event)) return;
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  if (!isFiles(event)) return;
  event.preventDefault();
  $("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  if (files.length) {
    event.preventDefault();
    take(files);
  }
});
$("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
$("download").addEventListener("click", download);
$("sort").addEventListener("change", sortPhotos);
$("reset").addEventListener("click", () => {
  for (const { name, threshold } of model.labels) thresholds.set(name, threshold);
  refresh();
});
$("clear").addEventListener("click", () => {
  for (const photo of photos.splice(0)) {
    URL.revokeObjectURL(photo.url);
    photo.card.remove();
  }
  say("");
  refresh();
});
whenTokenIsGiven(start);

start();
