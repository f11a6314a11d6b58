// Signing in with an identity provider in a browser, and what follows: groups, a key, signing out everywhere.

import { accessibility, base, findings, launch, report, shots, watched } from "./support.mjs";

const browser = await launch();
const found = findings();
const check = (holds, text) => holds || found.say(text);

const looked = async (page, step) => {
  (await accessibility(page)).forEach((line) => found.say(`${step}: ${line}`));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(wide <= 0, `${step} is ${wide} px wider than the window`);
  if (shots) await page.screenshot({ path: `${shots}/sign-in-${step}.png`, fullPage: true });
};

async function signIn(options) {
  const context = await browser.newContext(options);
  const page = await watched(context);
  await page.goto(`${base}/account`);
  check(page.url().startsWith(`${base}/signin`), "the account page does not ask who you are");
  await looked(page, `form-${options.viewport.width}`);
  await page.getByRole("link", { name: "Continue with Harbour Ltd" }).click();
  await page.getByLabel("User").fill("anna");
  await page.getByLabel("Password").fill("anna-password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Allow" }).click();
  // Back where the way began.
  await page.waitForURL(`${base}/account`);
  return page;
}

const wide = await signIn({ viewport: { width: 1440, height: 900 } });
const narrow = await signIn({ viewport: { width: 390, height: 844 }, colorScheme: "dark" });
for (const page of [wide, narrow]) {
  await page.goto(`${base}/account`);
  check(await page.getByText("Your groups: harbour, pilots").isVisible(), "the groups have not arrived");
  check((await page.getByText("this one").count()) === 1, "the session is not marked");
  await looked(page, `account-${page.viewportSize().width}`);
}

const cookies = await wide.context().cookies(base);
const session = cookies.find(({ name }) => name === "wharfinger-session");
check(session?.httpOnly && session.sameSite === "Lax" && session.value.length === 43, "the cookie is not kept as it must be");

await wide.getByText("Make a key").click();
await wide.getByLabel("Name", { exact: true }).fill("laptop");
await wide.getByLabel("Read the catalog").check();
await wide.getByRole("button", { name: "Make the key" }).click();
const text = await wide.locator("code.all").first().innerText();
check(text.startsWith("whf_"), "the key is not shown");
const answer = await fetch(`${base}/api/v1/me`, { headers: { authorization: `Bearer ${text}` } });
check((await answer.json()).actor === "user anna with key laptop", "the key is not of its owner");
await wide.goto(`${base}/account`);
check((await wide.getByText(text).count()) === 0, "the key is shown twice");

await wide.getByRole("button", { name: "Sign out everywhere" }).click();
await wide.waitForURL(`${base}/signin`);
await narrow.goto(`${base}/account`);
check(narrow.url().startsWith(`${base}/signin`), "the other browser is still signed in");

for (const page of [wide, narrow]) page.wrong.forEach((line) => found.say(`console: ${line}`));
await browser.close();
report(found, "signed in twice, out everywhere");
