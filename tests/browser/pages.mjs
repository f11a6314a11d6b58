// Every page in light and dark, wide and narrow, with and without a script: nothing found by axe, nothing in the
// console, no sideways scroll, and within the budgets of bytes, elements and requests.
//
// The pages stand in WHARFINGER_PAGES as JSON: [{"name": "home", "path": "/", "status": 200, "key": "whf_..."}].
// With a key in WHARFINGER_KEY they are what its holder sees.

import { accessibility, base, findings, launch, report, shots, watched } from "./support.mjs";

const BUDGET = { bytes: 30_000, packed: 8_000, elements: 600, requests: 4 };
const only = new RegExp(process.env.WHARFINGER_ONLY ?? "");
const pages = JSON.parse(process.env.WHARFINGER_PAGES).filter(({ name }) => only.test(name));
const key = process.env.WHARFINGER_KEY;
const extraHTTPHeaders = key ? { authorization: `Bearer ${key}` } : {};
const browser = await launch();
const found = findings();
let looked = 0;

const looks = [];
for (const colorScheme of ["light", "dark"])
  for (const [width, height] of [[1440, 900], [390, 844]])
    for (const javaScriptEnabled of [true, false]) looks.push({ colorScheme, viewport: { width, height }, javaScriptEnabled });

async function look(options) {
  const { colorScheme, viewport: { width }, javaScriptEnabled } = options;
  // axe needs timers, which a browser without scripts does not run. So for what it judges only our script is kept away;
  // how the page then looks is taken from a browser that runs none at all.
  const context = await browser.newContext({ ...options, extraHTTPHeaders, javaScriptEnabled: true, reducedMotion: "reduce" });
  const plain = javaScriptEnabled ? null : await browser.newContext({ ...options, extraHTTPHeaders, reducedMotion: "reduce" });
  if (plain) await context.route("**/*.js", (route) => route.abort());
  // Whoever is signed in with this session sees more.
  const session = process.env.WHARFINGER_SESSION;
  const cookie = { name: "wharfinger-session", value: session, url: base, httpOnly: true, sameSite: "Lax" };
  if (session) await Promise.all([context, plain].filter(Boolean).map((one) => one.addCookies([cookie])));
  const page = await watched(context);
  for (const { name, path, status = 200, key: holder = key } of pages) {
    // Some pages are for those with a key only.
    await context.setExtraHTTPHeaders(holder ? { authorization: `Bearer ${holder}` } : {});
    await plain?.setExtraHTTPHeaders(holder ? { authorization: `Bearer ${holder}` } : {});
    const where = `${name} (${path}) ${colorScheme} ${width} ${javaScriptEnabled ? "script" : "no script"}`;
    page.wrong.length = page.asked.length = 0;
    const answer = await page.goto(base + path);
    const html = await answer.text();
    const sizes = await page.evaluate(() => ({
      elements: document.querySelectorAll("*").length,
      wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      theme: document.documentElement.dataset.theme ?? "",
    }));
    const say = (text) => found.say(`${where}: ${text}`);
    const own = page.asked.filter((url) => !url.endsWith("/favicon.svg"));
    // A page that answers with an error status says so in the console; that is the browser's, not ours.
    const ours = (line) => !(status !== 200 && line.includes(`status of ${status}`)) && !(plain && line.includes("ERR_FAILED") && line.endsWith(".js"));
    const wrong = page.wrong.filter(ours);

    if (answer.status() !== status) say(`status ${answer.status()}`);
    wrong.forEach((line) => say(`console: ${line}`));
    if (sizes.wide > 0) say(`${sizes.wide} px wider than the window`);
    if (html.length > BUDGET.bytes) say(`${html.length} bytes of HTML`);
    if (sizes.elements > BUDGET.elements) say(`${sizes.elements} elements`);
    if (own.length > BUDGET.requests) say(`${own.length} requests: ${own.join(" ")}`);
    own.filter((url) => !url.startsWith(base)).forEach((url) => say(`a request to elsewhere: ${url}`));
    (await accessibility(page)).forEach(say);
    if (shots) {
      const suffix = `${colorScheme}-${width}${javaScriptEnabled ? "" : "-plain"}`;
      const shown = plain ? await plain.newPage() : page;
      if (plain) await shown.goto(base + path);
      await shown.screenshot({ path: `${shots}/${name}-${suffix}.png`, fullPage: true });
      if (plain) await shown.close();
    }
    if (width === 1440 && colorScheme === "light" && javaScriptEnabled) {
      console.log(`${name}: ${html.length} bytes, ${sizes.elements} elements, ${own.length} requests`);
    }
    looked += 1;
  }
  await context.close();
  await plain?.close();
}

// Two at a time: more would only wait for each other.
const left = [...looks];
await Promise.all([1, 2].map(async () => { while (left.length) await look(left.shift()); }));
await browser.close();
report(found, `looked at ${pages.length} pages ${looked} times`);
