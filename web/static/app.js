// What a script adds to pages that are complete without one: keys, results while typing, suggestions, copying.
// Plain modules, no build step. Everything it shows was written by the server.

const box = document.querySelector("form[role=search] input[name=q]");
const policy = window.trustedTypes?.createPolicy("wharfinger", { createHTML: (html) => html }) ?? { createHTML: (html) => html };

/** The answer to `url` as a document; null when a newer question has been asked meanwhile, or nothing came back. */
let asked = null;
async function ask(url) {
  asked?.abort();
  const mine = (asked = new AbortController());
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" }, signal: mine.signal });
    const html = await answer.text();
    return mine === asked && answer.ok ? new DOMParser().parseFromString(policy.createHTML(html), "text/html") : null;
  } catch {
    return null; // Aborted, or away: the form still works by itself.
  }
}

/** Tells those who cannot see it. The region has to be there before its text changes. */
const region = document.createElement("p");
region.className = "hide";
region.setAttribute("role", "status");
document.getElementById("main")?.append(region);
const tell = (text) => { region.textContent = text; };

const later = (act, wait) => {
  let timer;
  return (...rest) => { clearTimeout(timer); timer = setTimeout(act, wait, ...rest); };
};

// Results while typing: the same page, asked again.
async function refresh() {
  const next = new URL(location.href);
  next.searchParams.delete("cursor");
  const text = box.value.trim();
  if (text) next.searchParams.set("q", text); else next.searchParams.delete("q");
  if (next.href === location.href) return;
  const answer = await ask(next);
  const found = answer?.getElementById("found");
  if (!found) return;
  // Filters the reader has opened on a narrow page stay open.
  if (document.querySelector("#found details.facets")?.open) found.querySelector("details.facets").open = true;
  document.getElementById("found").replaceWith(found);
  document.title = answer.title;
  history.replaceState(null, "", next);
  tell(found.querySelector("#count")?.textContent.trim() ?? "");
}

// Suggestions: a list box below the field, after the ARIA pattern of a combobox with a list.
let list = null;
const options = () => [...(list?.children ?? [])];
const chosen = () => options().findIndex((option) => option.ariaSelected === "true");

function close() {
  list?.remove();
  list = null;
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
}

function choose(at) {
  const all = options();
  all.forEach((option, i) => option.setAttribute("aria-selected", String(i === at)));
  if (at >= 0) box.setAttribute("aria-activedescendant", all[at].id); else box.removeAttribute("aria-activedescendant");
  all[at]?.scrollIntoView({ block: "nearest" });
}

async function suggest() {
  const text = box.value.trim();
  const answer = text && (await ask(`/search/suggest?q=${encodeURIComponent(text)}`));
  const found = answer && answer.getElementById("suggestions");
  // An answer that comes late takes nobody's choice away.
  if (chosen() >= 0) return;
  if (!found || !found.children.length || document.activeElement !== box) return close();
  list?.remove();
  list = found;
  box.form.append(list);
  box.setAttribute("aria-expanded", "true");
  tell(`${found.children.length} suggestions`);
}

const hasResults = document.getElementById("found") !== null;
if (box) {
  box.addEventListener("input", later(hasResults ? refresh : suggest, 120));
  if (hasResults) {
    box.form.addEventListener("submit", (event) => { event.preventDefault(); refresh(); });
  } else {
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", "suggestions"]]) box.setAttribute(name, value);
    box.addEventListener("input", () => choose(-1));
    box.addEventListener("blur", () => setTimeout(close, 150));
    box.form.addEventListener("mousedown", (event) => {
      const option = event.target.closest?.("[role=option]");
      if (option) { event.preventDefault(); location.assign(option.dataset.href); }
    });
  }
}

// Keys. Inside a field, and with a modifier, they are the reader's.
const links = () => [...document.querySelectorAll("#found .results h2 a")];

function focusSearch() {
  const field = box ?? document.querySelector("input[type=search]");
  if (!field) return false;
  field.focus();
  field.select();
  return true;
}

/** Moves through the results; up from the first leads back to the field. */
function walk(step) {
  const all = links();
  const next = all.indexOf(document.activeElement) + step;
  if (next < 0) return document.activeElement !== box && focusSearch();
  all[next]?.focus();
  return next < all.length;
}

function inList(event) {
  const all = options();
  if (event.key === "Escape") { close(); return true; }
  if (event.key === "Enter" && chosen() >= 0) { location.assign(all[chosen()].dataset.href); return true; }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return false;
  const next = chosen() + step;
  choose(next >= all.length ? -1 : next < -1 ? all.length - 1 : next);
  return true;
}

addEventListener("keydown", (event) => {
  const at = event.composedPath()[0];
  const inField = at instanceof HTMLElement && (at.isContentEditable || /^(input|textarea|select)$/i.test(at.tagName));
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const key = event.key;
  let done = false;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && key.toLowerCase() === "k") done = focusSearch();
  else if (!isPlain || event.isComposing) return;
  else if (at === box && list) done = inList(event);
  else if (key === "Escape" && at === box) box.blur();
  else if (key === "Escape" && links().includes(at)) done = focusSearch();
  else if (key === "ArrowDown" && (at === box || !inField) && (at === box || links().includes(at))) done = walk(1);
  else if (key === "ArrowUp" && links().includes(at)) done = walk(-1);
  else if (!inField && (key === "/" || key === "s" || key === "S")) done = focusSearch();
  if (done) event.preventDefault();
});

// Copying what stands in the figure, or before the button.
async function write(text, from) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS browsers keep the clipboard shut: select it, so that one key copies.
    getSelection().selectAllChildren(from);
    return false;
  }
}

addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const from = button.closest("figure")?.querySelector(".all") ?? button.parentElement.querySelector("code");
  const copied = await write(from.textContent, from);
  tell(copied ? "Copied" : "Selected; copy it with Ctrl+C");
  const icon = button.querySelector("use");
  const before = icon.getAttribute("href");
  if (!copied || before.endsWith("#check")) return;
  icon.setAttribute("href", before.replace(/#.*/, "#check"));
  setTimeout(() => icon.setAttribute("href", before), 1500);
});

// Where nothing is chosen the system decides, and the button offers the other theme.
const theme = document.querySelector("button[name=theme]");
if (theme && !document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches) {
  theme.value = "light";
  theme.setAttribute("aria-label", "Use the light theme");
  const icon = theme.querySelector("use");
  icon.setAttribute("href", icon.getAttribute("href").replace(/#.*/, "#sun"));
}

// The playground: the answer appears as it comes. The form by itself brings the whole page.
const prompting = document.querySelector("form[data-stream]");
if (prompting) {
  const answer = document.getElementById(prompting.dataset.stream);
  const stop = prompting.querySelector("[data-stop]");
  const send = prompting.querySelector("[type=submit]");
  let running = null;

  const busy = (is) => {
    answer.setAttribute("aria-busy", String(is));
    stop.hidden = !is;
    send.disabled = is;
  };

  /** The events of a stream, each as its name and what its data says. */
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const parts = (rest + piece.value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const [, name, data] = part.match(/^event: (.*)\ndata: (.*)$/) ?? [];
        if (name) yield [name, JSON.parse(data)];
      }
    }
  }

  prompting.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    const said = document.createElement("div");
    said.className = "said panel";
    answer.replaceChildren(said);
    busy(true);
    tell("The model was asked");
    let isDone = false;
    try {
      const headers = { accept: "text/event-stream" };
      const body = new URLSearchParams(new FormData(prompting));
      const response = await fetch(prompting.action, { method: "POST", headers, body, signal: running.signal });
      // Whoever is signed out meanwhile gets a page, which the form itself shows.
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return prompting.submit();
      for await (const [name, data] of events(response.body)) {
        if (name === "text") { said.append(data); continue; }
        isDone = true;
        const found = new DOMParser().parseFromString(policy.createHTML(data), "text/html");
        if (!said.textContent) said.remove();
        answer.append(...found.body.childNodes);
        tell("The answer is complete");
      }
    } catch (error) {
      if (error.name !== "AbortError") console.warn(error);
    }
    if (!isDone) {
      const words = document.createElement("p");
      words.className = "soft gap";
      words.textContent = running.signal.aborted
        ? "Stopped. What had come by then counts as used; the usage page has the account of it."
        : "The connection broke off.";
      if (!said.textContent) said.remove();
      answer.append(words);
      tell(words.textContent);
    }
    running = null;
    busy(false);
  });
  stop.addEventListener("click", () => running?.abort());
}
