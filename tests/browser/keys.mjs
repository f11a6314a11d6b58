// The pages by keyboard alone: from home to an install line; suggestions; results while typing; copying; the theme.

import { base, findings, launch, report, watched } from "./support.mjs";

const browser = await launch();
const found = findings();
const check = (holds, text) => { if (!holds) found.say(text); };
const focused = (page) => page.evaluate(() => {
  const { tagName, name, textContent } = document.activeElement;
  return `${tagName.toLowerCase()} ${name || textContent.trim().slice(0, 60)}`;
});
const text = process.env.WHARFINGER_QUERY;
const wanted = process.env.WHARFINGER_WANTED;

{
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await watched(context);
  await page.goto(base + "/");

  await page.keyboard.press("Tab");
  check((await focused(page)) === "a Skip to content", `the first stop is ${await focused(page)}`);
  await page.keyboard.press("/");
  check((await focused(page)) === "input q", `/ leads to ${await focused(page)}`);
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/browse?q=*");

  // Words typed on the results page change them in place, and the address with them.
  await page.keyboard.press("s");
  check((await focused(page)) === "input q", `s leads to ${await focused(page)}`);
  await page.keyboard.press("End");
  await page.keyboard.type(" zzqx");
  await page.waitForURL("**zzqx");
  const count = await page.locator("#count").textContent();
  check(count.includes(`${text} zzqx`), `the results after typing are those of ${count}`);
  await page.keyboard.press("Control+k");
  await page.keyboard.type(text);
  await page.waitForURL((url) => url.searchParams.get("q") === text);
  const first = await page.locator(".results h2 a").first().textContent();
  check(first.includes(wanted), `the first result is ${first}`);

  await page.keyboard.press("ArrowDown");
  check((await focused(page)).startsWith(`a ${wanted}`), `arrow down leads to ${await focused(page)}`);
  await page.keyboard.press("ArrowDown");
  check(!(await focused(page)).startsWith(`a ${wanted}`), "a second arrow down does not lead on");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  check((await focused(page)) === "input q", `arrow up from the first leads to ${await focused(page)}`);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/assets/**");

  // Tab by tab to Connect, and there to the first copy button.
  for (let i = 0; i < 60 && !(await focused(page)).startsWith("a Connect"); i++) await page.keyboard.press("Tab");
  check((await focused(page)).startsWith("a Connect"), "Connect is not reached by Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/connect**");
  const isCopy = () => page.evaluate(() => document.activeElement.closest("figure") !== null && document.activeElement.matches("[data-copy]"));
  for (let i = 0; i < 80 && !(await isCopy()); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const line = await page.evaluate(() => document.activeElement.closest("figure").querySelector(".all").textContent);
  await page.waitForFunction(() => document.activeElement.querySelector("use").getAttribute("href").endsWith("#check"));
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  check(copied === line && line.length > 10, `copied ${JSON.stringify(copied)} in place of ${JSON.stringify(line)}`);
  console.log(`an install line by keyboard: ${line.split("\n").join(" ").slice(0, 120)}`);
  page.wrong.forEach((error) => found.say(`console: ${error}`));
  await context.close();
}

{
  // Suggestions while typing, by the pattern of a combobox.
  const context = await browser.newContext();
  const page = await watched(context);
  await page.goto(base + "/");
  const box = page.getByRole("combobox", { name: "Search everything" });
  await box.pressSequentially(wanted.slice(0, 4));
  const list = page.getByRole("listbox");
  await list.waitFor();
  check((await box.getAttribute("aria-expanded")) === "true", "the box does not say that its list is open");
  await page.keyboard.press("ArrowDown");
  const active = await box.getAttribute("aria-activedescendant");
  check(active && (await page.locator(`#${active}`).getAttribute("aria-selected")) === "true", "no suggestion is chosen");
  await page.keyboard.press("Escape");
  check((await list.count()) === 0, "Escape leaves the suggestions open");
  await box.press("Backspace");
  await list.waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/(assets|browse)/);
  page.wrong.forEach((error) => found.say(`console: ${error}`));
  await context.close();
}

{
  // The theme, with a script and a dark system; and without a script.
  const dark = await browser.newContext({ colorScheme: "dark" });
  const page = await watched(dark);
  await page.goto(base + "/browse");
  await page.getByRole("button", { name: "Use the light theme" }).click();
  await page.waitForLoadState();
  check((await page.locator("html").getAttribute("data-theme")) === "light", "the light theme is not kept");
  check(page.url() === base + "/browse", `the theme leads to ${page.url()}`);
  await dark.close();

  const plain = await browser.newContext({ javaScriptEnabled: false, colorScheme: "light" });
  const still = await watched(plain);
  await still.goto(base + "/about");
  await still.getByRole("button", { name: "Use the dark theme" }).click();
  check((await still.locator("html").getAttribute("data-theme")) === "dark", "without a script the dark theme is not kept");
  await still.getByRole("button", { name: "As my system" }).click();
  check((await still.locator("html").getAttribute("data-theme")) === null, "the system's theme does not come back");
  await plain.close();
}

await browser.close();
report(found, "went by keyboard");
