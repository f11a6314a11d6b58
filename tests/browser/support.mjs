// A browser for the stories, and what it watches while a page loads.
//
// The packages stand outside the project: WHARFINGER_TOOLS is the folder of `scripts/setup test`.

import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import path from "node:path";

const require = createRequire(path.join(process.env.WHARFINGER_TOOLS, "package.json"));
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

export const base = process.env.WHARFINGER_URL;
export const shots = process.env.WHARFINGER_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

export const launch = () =>
  chromium.launch({
    executablePath: process.env.WHARFINGER_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

/** A page that keeps what went wrong on it and what it asked for. */
export async function watched(context) {
  const page = await context.newPage();
  page.wrong = [];
  page.asked = [];
  page.on("console", (message) => message.type() === "error" && page.wrong.push(`${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => page.wrong.push(String(error)));
  page.on("request", (request) => page.asked.push(request.url()));
  return page;
}

/** Findings, each told when it is made: a browser that dies takes only the rest with it. */
export function findings() {
  const found = [];
  return Object.assign(found, { say: (line) => { found.push(line); console.error(line); } });
}

/** What axe finds, as lines. */
export async function accessibility(page) {
  // A form's answer can be read before its stylesheet has come; what it looks like can not.
  await page.waitForLoadState("load");
  await page.evaluate(axe);
  const result = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      resultTypes: ["violations"],
    }));
  return result.violations.flatMap((violation) =>
    violation.nodes.map((node) => `${violation.id}: ${violation.help}: ${node.html.slice(0, 160)} (${node.any.concat(node.all)[0]?.message ?? ""})`));
}

/** Ends with an exit code that says whether anything was found. */
export function report(found, told) {
  console.log(`${told}, ${found.length} found wrong`);
  process.exitCode = found.length ? 1 : 0;
}
