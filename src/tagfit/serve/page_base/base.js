// What the pages share: the server, its token, and how text gets onto a page. Names are only ever set as text.

export const $ = (id) => document.getElementById(id);

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

export const plural = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;

// ------------------------------------------------------------------------------------------ the server

let token = sessionStorage.getItem("token");

export const hasToken = () => Boolean(token);

// What the server refused, and why; `status` and the seconds to wait are of its answer.
export class Refused extends Error {}

export async function ask(path, options = {}) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  if (answer.ok) return answer;
  if (answer.status === 401) {
    $("ask-token").hidden = false;
    $("token").focus();
  }
  const problem = await answer.json().catch(() => ({}));
  const refused = new Refused([problem.detail ?? `HTTP ${answer.status}`, ...(problem.faults ?? [])].join(" "));
  refused.status = answer.status;
  refused.wait = Number(answer.headers.get("retry-after") ?? 1);
  throw refused;
}

export function whenTokenIsGiven(then) {
  $("ask-token").addEventListener("submit", (event) => {
    event.preventDefault();
    token = $("token").value.trim();
    sessionStorage.setItem("token", token);
    then();
  });
}
