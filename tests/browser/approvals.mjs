// A request for approval in a browser: from the queue to the decision, and what the asset's page says meanwhile.
//
// WHARFINGER_KEY is a reviewer's; WHARFINGER_STEP says what waits: a first publication, or a server that drifted.

import { accessibility, base, findings, launch, report, shots, watched } from "./support.mjs";

const browser = await launch();
const found = findings();
const step = process.env.WHARFINGER_STEP;
const asset = `${base}/assets/team/com.example%2Frefunds`;
const look = async (page, name) => {
  (await accessibility(page)).forEach((line) => found.say(`${name}: ${line}`));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) found.say(`${name} is ${wide} px wider than the window`);
  if (shots) await page.screenshot({ path: `${shots}/approvals-${step}-${name}.png`, fullPage: true });
};
const context = (width, colorScheme) => browser.newContext({
  viewport: { width, height: 900 }, colorScheme, extraHTTPHeaders: { authorization: `Bearer ${process.env.WHARFINGER_KEY}` },
});

const narrow = await watched(await context(390, "dark"));
await narrow.goto(`${base}/approvals`);
await look(narrow, "queue-narrow");
await narrow.getByRole("link", { name: /Refunds/ }).first().click();
await look(narrow, "request-narrow");

const page = await watched(await context(1440, "light"));
const check = (holds, text) => holds || found.say(text);
const sees = async (text) => check(await page.getByText(text).first().isVisible(), `${text} is not seen`);
await page.goto(asset);
await sees("Waits for approval");
if (step === "drift") await sees("is quarantined");
await look(page, "asset");
await page.getByRole("link", { name: /^Approvals/ }).click();
check((await page.getByRole("navigation", { name: "Main" }).getByText("1").count()) === 1, "the number that waits is not shown");
await look(page, "queue");
await page.getByRole("link", { name: /Refunds/ }).first().click();
await sees("Is any text hidden from readers?");
await sees("Does the running server answer?");
if (step === "drift") {
  await sees("refund/description");
  await sees("or a part of it");
}
await look(page, "request");

await page.getByRole("button", { name: "Reject" }).click();
check(await page.getByRole("alert").isVisible(), "a rejection without a reason is not complained of");
await look(page, "refused");
await page.getByLabel("Reason").fill("Which payments?");
await page.getByRole("button", { name: "Comment" }).click();
await sees("Which payments?");
await page.getByLabel("Reason").fill("Looked at it.");
await page.getByRole("button", { name: "Approve" }).click();
await sees("Approved by");
await look(page, "approved");
await page.goto(asset);
check((await page.getByText("Waits for approval").count()) === 0, "it still waits");
check((await page.getByText("is quarantined").count()) === 0, "it is still quarantined");
page.wrong.filter((line) => !line.includes("status of 4")).forEach((line) => found.say(`console: ${line}`));

if (step === "publication") {
  await page.goto(`${base}/workspaces/team`);
  await sees("Asked for before others see what is new or changed");
  await look(page, "workspace");
}
await browser.close();
report(found, `approved a ${step}`);
