// The register form in a browser: read, mend, register; with and without a script, wide and narrow, light and dark.

import { accessibility, base, findings, launch, report, shots, watched } from "./support.mjs";

const document_ = process.env.WHARFINGER_DOCUMENT;
const browser = await launch();
const found = findings();
let registered = 0;

for (const javaScriptEnabled of [true, false]) {
  for (const [width, colorScheme] of [[1440, "light"], [390, "dark"]]) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
    if (!javaScriptEnabled) await context.route("**/*.js", (route) => route.abort());
    const page = await watched(context);
    const where = `register ${width} ${colorScheme} ${javaScriptEnabled ? "script" : "no script"}`;
    const check = (holds, text) => holds || found.say(`${where}: ${text}`);
    const judge = async (step) => {
      (await accessibility(page)).forEach((line) => found.say(`${where}, ${step}: ${line}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${step} is ${wide} px wider than the window`);
      if (shots) await page.screenshot({ path: `${shots}/register-${step}-${width}-${javaScriptEnabled ? "" : "plain"}.png`, fullPage: true });
    };

    await page.goto(`${base}/register?workspace=samples`);
    await page.getByLabel("or paste it").fill("openapi: 3.0.4\ninfo: [unclosed");
    await page.getByRole("button", { name: "Read it" }).click();
    check(await page.getByRole("alert").isVisible(), "a broken document is not complained of");
    await judge("broken");

    await page.getByLabel("File").setInputFiles({ name: "tracking.yaml", mimeType: "application/yaml", buffer: Buffer.from(document_) });
    await page.getByRole("button", { name: "Read it" }).click();
    check(await page.getByRole("heading", { name: "2. What we understood" }).isVisible(), "the document is not understood");
    await judge("understood");

    const name = `tracking-${++registered}`;
    await page.getByLabel("Workspace", { exact: true }).fill("samples");
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Owners").fill("team-logistics");
    await page.getByRole("button", { name: "Register", exact: true }).click();
    check((await page.getByLabel("Key", { exact: true }).getAttribute("aria-invalid")) === "true", "the missing key is not marked");
    await judge("without-key");

    await page.getByLabel("Key", { exact: true }).fill(process.env.WHARFINGER_ADMIN);
    await page.getByRole("button", { name: "Register", exact: true }).click();
    await page.waitForURL(`**/assets/samples/${name}`);
    check(await page.getByRole("heading", { level: 1, name: "Shipment tracking" }).isVisible(), "the asset is not shown");
    const ours = (line) => !line.includes("status of 4") && !(line.includes("ERR_FAILED") && line.endsWith(".js") && !javaScriptEnabled);
    page.wrong.filter(ours).forEach((line) => found.say(`${where}: console: ${line}`));
    await context.close();
  }
}

await browser.close();
report(found, `registered ${registered} times`);
