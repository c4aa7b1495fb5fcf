"use strict";
// Without this script the page reads the same. It adds the theme switch, sorting, filters, buttons that copy, images and
// charts that are enlarged, and explanations of words where they stand.
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  function button(text, label, act, className = "small-button") {
    const made = document.createElement("button");
    made.type = "button";
    made.className = className;
    made.textContent = text;
    if (label) made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }

  // ------------------------------------------------------------------------------------------ theme

  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = button("", "", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); }, "");
  theme.id = "theme-button";
  const name = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", dark() ? "Light colours" : "Dark colours"); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
  document.getElementById("theme").append(theme);

  // ------------------------------------------------------------------------------------------ where you are

  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const sections = all("main > section").filter((section) => links.has(section.id));
  let current = null;

  function here() {
    const passed = sections.filter((section) => section.getBoundingClientRect().top < 120);
    const link = links.get((passed.at(-1) ?? sections[0]).id);
    if (link === current) return;
    current?.removeAttribute("aria-current");
    current = link;
    link.setAttribute("aria-current", "true");
    const list = link.closest("ul");
    list.scrollLeft = link.offsetLeft - list.offsetLeft - (list.clientWidth - link.offsetWidth) / 2;
  }

  addEventListener("scroll", here, { passive: true });
  here();

  // ------------------------------------------------------------------------------------------ copying

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a browser that has no clipboard for files, or does not allow it
      const area = document.createElement("textarea");
      area.value = text;
      (document.querySelector("dialog[open]") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  const copier = (text, label, what) => {
    const made = button(text, label, async () => {
      await copy(what());
      made.textContent = "Copied";
      setTimeout(() => { made.textContent = text; }, 1500);
    });
    return made;
  };

  for (const code of all("pre")) {
    const around = document.createElement("div");
    around.className = "copied";
    code.before(around);
    around.append(code, copier("Copy", `Copy: ${code.getAttribute("aria-label")}`, () => code.textContent));
  }

  const names = (within) => all(".item", within).filter((item) => !item.closest(".off")).map((item) => item.dataset.name ?? item.textContent);
  for (const list of all(".list")) list.append(copier("Copy these names", "", () => names(list).join("\n")));

  // What a spreadsheet would take for a formula begins with an apostrophe.
  const field = (text) => (/^[=+@]|^-(?![\d.])/.test(text) ? `'${text}` : text).replace(/\s+/g, " ");
  const visible = (cell) => {
    const copied = cell.cloneNode(true);
    all(".unseen", copied).forEach((one) => one.remove());
    return field(copied.textContent.trim());
  };
  function asText(table) {
    const lines = all("tr", table).filter((row) => !row.classList.contains("off")).map((row) => {
      const cells = [...row.cells].flatMap((cell) => [visible(cell), ...Array(cell.colSpan - 1).fill("")]);
      return (row.cells[0].rowSpan === 1 && table.tHead.rows.length > 1 && row.parentNode === table.tHead ? ["", ...cells] : cells).join("\t");
    });
    return lines.join("\n");
  }

  function tools(table) {
    const row = document.createElement("div");
    row.className = "tools";
    row.append(copier("Copy as a table", `Copy as a table: ${table.parentNode.getAttribute("aria-label")}`, () => asText(table)));
    table.parentNode.before(row);
    return row;
  }

  for (const table of all("table[data-copy]")) {
    const row = tools(table);
    if (table.tBodies[0].rows.length < 13 || !table.classList.contains("sortable")) continue;
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "search";
    label.append(`Find a ${table.tHead.rows[0].cells[0].textContent} `, box);
    box.addEventListener("input", () => {
      const sought = box.value.trim().toLowerCase();
      for (const one of table.tBodies[0].rows) one.classList.toggle("off", !one.cells[0].textContent.toLowerCase().includes(sought));
    });
    row.prepend(label);
  }

  // ------------------------------------------------------------------------------------------ sorting

  for (const table of all("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const sorter = button("", "", () => sort(table, heads, column), "");
      sorter.append(...head.childNodes);
      head.append(sorter);
    });
  }

  function sort(table, heads, column) {
    const head = heads[column], body = table.tBodies[0];
    const numeric = head.classList.contains("n");
    const up = head.ariaSort ? head.ariaSort === "descending" : !numeric;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => numeric ? row.cells[column].dataset.key : row.cells[column].textContent;
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([one], [other]) => {
      if (one === "" || other === "") return (one === "") - (other === "");
      const order = numeric ? one - other : one.localeCompare(other);
      return up ? order : -order;
    });
    body.append(...rows.map(([, row]) => row));
  }

  // ------------------------------------------------------------------------------------------ samples

  const samples = all("#gallery .image");
  const about = document.getElementById("about");

  for (const block of all("#gallery .block")) {
    const list = block.querySelector(".images:not(.copies)");
    const row = document.createElement("div");
    row.className = "tools";
    if (list && list.children.length > 10) {
      list.classList.add("short");
      const more = button(`Show all ${list.children.length}`, "", () => {
        list.classList.remove("short");
        more.remove();
      }, "small-button unfold");
      list.after(more);
    }
    row.append(copier("Copy these names", `Copy the names: ${block.querySelector("h3").textContent}`, () => names(block).join("\n")));
    block.querySelector("p").after(row);
  }

  if (about) {
    document.getElementById("filter").hidden = false;
    about.addEventListener("change", () => {
      const chosen = about.value;
      for (const one of samples) one.classList.toggle("off", chosen !== "" && !one.dataset.about.split(" ").includes(chosen));
      for (const list of all("#gallery .images")) list.classList.toggle("off", !list.querySelector(".image:not(.off)"));
      all("#gallery .unfold").forEach((more) => more.click());
      const shown = samples.filter((one) => !one.classList.contains("off")).length;
      document.getElementById("about-count").textContent = chosen === "" ? "" : `${shown} of ${samples.length} shown`;
    });
  }

  // ------------------------------------------------------------------------------------------ enlarging

  const dialog = document.createElement("dialog");
  const inside = document.createElement("div");
  const buttons = document.createElement("div");
  buttons.className = "dialog-buttons";
  const back = button("←", "Previous sample", () => step(-1)), on = button("→", "Next sample", () => step(1));
  buttons.append(back, on, button("Close", "", () => dialog.close()));
  dialog.append(buttons, inside);
  dialog.setAttribute("aria-label", "Enlarged");
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) step(by);
  });
  document.body.append(dialog);
  let at = null;

  const pictured = () => samples.filter((one) => one.querySelector("img") && one.getClientRects().length);

  function show(large, ...beside) {
    large.setAttribute("class", `${large.getAttribute("class") ?? ""} large`);
    inside.replaceChildren(large, ...beside);
    back.hidden = on.hidden = at === null;
    if (!dialog.open) dialog.showModal();
  }

  function showSample(one) {
    at = one;
    show(one.querySelector("img").cloneNode(), one.querySelector(".told").cloneNode(true));
  }

  function step(by) {
    if (at === null) return;
    const shown = pictured();
    showSample(shown[(shown.indexOf(at) + by + shown.length) % shown.length]);
  }

  for (const one of samples) {
    const image = one.querySelector("img");
    if (!image) continue;
    const opener = button("", `Enlarge ${one.querySelector(".item").textContent}`, () => showSample(one), "zoom");
    image.before(opener);
    opener.append(image);
  }

  for (const figure of all("figure.chart")) {
    const chart = figure.querySelector("svg"), table = figure.querySelector(".data"), under = document.createElement("div");
    const enlarge = () => {
      const caption = figure.querySelector("figcaption");
      at = null;
      show(chart.cloneNode(true), ...(caption ? [caption.cloneNode(true)] : []));
    };
    under.className = "under";
    (table ?? figure.lastElementChild).after(under);
    if (table) under.append(table);
    under.append(button("Enlarge", `Enlarge: ${chart.querySelector("title").textContent}`, enlarge, "enlarge"));
    figure.classList.add("can-enlarge");
    chart.addEventListener("click", enlarge);
  }

  // ------------------------------------------------------------------------------------------ words

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);

  function explain(term) {
    tip.textContent = term.dataset.meaning;
    tip.hidden = false;
    term.setAttribute("aria-describedby", "tip");
    const place = term.getBoundingClientRect();
    const left = Math.min(place.left, root.clientWidth - tip.offsetWidth - 16);
    tip.style.left = `${Math.max(8, left) + scrollX}px`;
    tip.style.top = `${place.bottom + scrollY + 6}px`;
  }

  function hush() {
    tip.hidden = true;
    all(".term[aria-describedby]").forEach((term) => term.removeAttribute("aria-describedby"));
  }

  for (const term of all(".term")) {
    term.dataset.meaning = term.title;
    term.removeAttribute("title");
    for (const begin of ["mouseenter", "focus"]) term.addEventListener(begin, () => explain(term));
    for (const end of ["mouseleave", "blur"]) term.addEventListener(end, hush);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hush(); });

  // ------------------------------------------------------------------------------------------ printing

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.more:not([open])");
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
})();
