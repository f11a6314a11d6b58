// The playground in a browser: the answer comes piece by piece, can be stopped, and is whole without a script too.
//
// WHARFINGER_KEY is a consumer's; the model `chat` answers slowly, `limited` refuses the second request.

import { accessibility, base, findings, launch, report, shots, watched } from "./support.mjs";

const browser = await launch();
const found = findings();
const check = (holds, text) => holds || found.say(text);
const look = async (page, name) => {
  (await accessibility(page)).forEach((line) => found.say(`${name}: ${line}`));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) found.say(`${name} is ${wide} px wider than the window`);
  if (shots) await page.screenshot({ path: `${shots}/playground-${name}.png`, fullPage: true });
};
const context = (width, colorScheme, more = {}) => browser.newContext({
  viewport: { width, height: 900 }, colorScheme, extraHTTPHeaders: { authorization: `Bearer ${process.env.WHARFINGER_KEY}` }, ...more,
});
const ask = async (page, model, prompt) => {
  await page.goto(`${base}/gateway/playground?model=${model}`);
  await page.getByLabel("Prompt").fill(prompt);
  // A reply that takes a moment.
  await page.getByLabel("Most tokens of answer").fill("400");
  await page.getByRole("button", { name: "Send" }).click();
};
const answer = (page) => page.locator("#answer .said");

const page = await watched(await context(1440, "light"));
await ask(page, "chat", "Tell me of the harbour");
await page.getByText("word").first().waitFor();
const early = (await answer(page).textContent()).length;
check(await page.getByRole("button", { name: "Stop" }).isVisible(), "there is no way to stop it");
await page.getByText("What it took").waitFor();
check((await answer(page).textContent()).length > early, "the answer did not come piece by piece");
for (const text of ["First token after", "as the vendor reported", "Policies, in the order", "answered"])
  check(await page.getByText(text).first().isVisible(), `${text} is not seen`);
check(!(await page.getByRole("button", { name: "Stop" }).isVisible()), "it can be stopped when it is over");
await look(page, "wide");

await page.getByLabel("Prompt").fill("Another, to be stopped");
await page.getByRole("button", { name: "Send" }).click();
await page.getByText("word").first().waitFor();
await page.getByRole("button", { name: "Stop" }).click();
await page.getByText("Stopped.").first().waitFor();
await look(page, "stopped");

await ask(page, "limited", "One");
await page.getByText("What it took").waitFor();
await page.getByLabel("Prompt").fill("Two");
await page.getByRole("button", { name: "Send" }).click();
await page.getByText("Limit reached").waitFor();
for (const text of ["Try again in", "Policy once", "refused it"])
  check(await page.getByText(text).first().isVisible(), `${text} is not seen`);
await look(page, "refused");
page.wrong.filter((line) => !line.includes("status of 429")).forEach((line) => found.say(`console: ${line}`));

const narrow = await watched(await context(390, "dark"));
await ask(narrow, "chat", "Tell me of the harbour");
await narrow.getByText("What it took").waitFor();
await look(narrow, "narrow");

const plain = await (await context(390, "light", { javaScriptEnabled: false })).newPage();
await ask(plain, "chat", "Tell me of the harbour, whole");
check(await plain.getByText("What it took").isVisible(), "without a script there is no account");
check(await plain.getByText("word word").first().isVisible(), "without a script there is no answer");
if (shots) await plain.screenshot({ path: `${shots}/playground-plain.png`, fullPage: true });

await browser.close();
report(found, "tried the playground");
