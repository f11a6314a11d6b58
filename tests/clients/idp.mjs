// An identity provider on loopback: the certified library `oidc-provider`, with users, groups, and ways to fail.
//
// It takes a free port and prints `issuer http://127.0.0.1:PORT`. What the tests turn stands below /control:
//   POST /control/service?url=U   the service's address: of its redirects, and the audience of bearer tokens
//   POST /control/mode?set=M      ok, down, hang, slow, bad-keys, huge-keys, wrong-issuer, wrong-answer-issuer, no-iss,
//                                 wrong-nonce, foreign-key, expired
//   POST /control/keys?keep=1   new signing keys, the old ones kept; without it they are gone
//   POST /control/user?name=N   body: JSON that is merged into the user's claims
//   GET  /control/asked         how often each path was asked
//   POST /control/sign          body: {header, claims, key}: a token as told; key is "own", "other", "hmac", "none"

import { createRequire } from "node:module";
import crypto from "node:crypto";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(path.join(process.env.WHARFINGER_TOOLS, "package.json"));
const { Provider, errors } = await import(pathToFileURL(require.resolve("oidc-provider")));

const users = {
  anna: { name: "Anna Adler", email: "anna@example.test", groups: ["harbour", "pilots"] },
  ben: { name: "Ben Brook", email: "ben@example.test", groups: ["harbour"] },
  // The same address as Anna, which this provider never looked at.
  mallory: { name: "Mallory", email: "anna@example.test", email_verified: false, groups: [] },
};
const password = (name) => `${name}-password`;

const rsa = () => crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const signing = (key) => ({ ...key.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: crypto.randomUUID() });
const other = rsa();
let keys = [signing(rsa())];
let mode = "ok";
let issuer, provider, handler;
let service = "http://127.0.0.1:8080";
const asked = {};

function build() {
  provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ["a key of loopback tests"] },
    clients: [
      {
        client_id: "wharfinger", client_secret: "wharfinger-client-secret", grant_types: ["authorization_code", "refresh_token"],
        redirect_uris: [`${service}/auth/callback`],
        post_logout_redirect_uris: [`${service}/`],
      },
      { client_id: "pipeline", client_secret: "pipeline-secret-of-tests", redirect_uris: [], response_types: [], grant_types: ["client_credentials"] },
    ],
    pkce: { required: () => true },
    scopes: ["openid", "profile", "email", "groups", "offline_access"],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"], groups: ["groups"] },
    conformIdTokenClaims: false,
    findAccount: (_context, id) => users[id] && {
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, email_verified: true, ...users[id] }),
    },
    issueRefreshToken: (_context, client, code) => client.grantTypeAllowed("refresh_token") && code.scopes.has("offline_access"),
    rotateRefreshToken: true,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context, client) => (client.clientId === "pipeline" ? service : undefined),
        useGrantedResource: () => false,
        getResourceServerInfo: (_context, resource) => {
          if (resource !== service) throw new errors.InvalidTarget();
          return { scope: "catalog", audience: resource, accessTokenFormat: "jwt" };
        },
      },
    },
    extraTokenClaims: (_context, token) => (token.accountId ? { groups: users[token.accountId].groups } : undefined),
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  });
  provider.on("server_error", (_context, error) => console.error(error));
  handler = provider.callback();
}

const read = (request) => new Promise((done) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => done(Buffer.concat(pieces).toString()));
});
const encoded = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** Signs a token as told. `header` and `claims` may be text, for JSON no library would write. */
function sign({ header, claims, key }) {
  const own = keys[0];
  const text = `${encoded(typeof header === "string" ? header : { alg: "RS256", kid: own.kid, ...header })}.${encoded(claims)}`;
  if (key === "none") return `${text}.`;
  if (key === "hmac") {
    // The public key as the secret: what a verifier that trusts `alg` would take.
    const pem = crypto.createPublicKey({ key: own, format: "jwk" }).export({ format: "pem", type: "spki" });
    return `${text}.${crypto.createHmac("sha256", pem).update(text).digest("base64url")}`;
  }
  const by = key === "other" ? other : crypto.createPrivateKey({ key: own, format: "jwk" });
  return `${text}.${crypto.sign("sha256", Buffer.from(text), by).toString("base64url")}`;
}

/** The provider's answer with one thing bent, as an attacker or a broken provider would give it. */
function bent(response, pathname) {
  const pieces = [];
  const end = response.end.bind(response);
  response.write = (piece) => { pieces.push(Buffer.from(piece)); return true; };
  response.end = (piece) => {
    if (piece) pieces.push(Buffer.from(piece));
    let text = Buffer.concat(pieces).toString();
    if (mode === "wrong-issuer" && pathname.startsWith("/.well-known/")) text = text.replace(`"issuer":"${issuer}"`, '"issuer":"https://evil.example"');
    if (pathname === "/token" && text.includes("id_token")) {
      const answer = JSON.parse(text);
      const claims = JSON.parse(Buffer.from(answer.id_token.split(".")[1], "base64url"));
      if (mode === "wrong-nonce") answer.id_token = sign({ claims: { ...claims, nonce: "of another sign-in" } });
      if (mode === "foreign-key") answer.id_token = sign({ claims, key: "other" });
      if (mode === "expired") answer.id_token = sign({ claims: { ...claims, exp: claims.iat - 600, iat: claims.iat - 1200 } });
      text = JSON.stringify(answer);
    }
    if (["wrong-answer-issuer", "no-iss"].includes(mode) && response.getHeader("location")?.includes("code=")) {
      const there = new URL(response.getHeader("location"));
      if (mode === "no-iss") there.searchParams.delete("iss");
      else there.searchParams.set("iss", "https://evil.example");
      response.setHeader("location", there.href);
    }
    response.removeHeader("content-length");
    return end(text);
  };
  // A header is written only when it can still be changed.
  const head = response.writeHead.bind(response);
  response.writeHead = (...words) => { response.removeHeader("content-length"); return head(...words); };
}

async function interaction(request, response, uid) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === "GET") {
    response.setHeader("content-type", "text/html; charset=utf-8");
    const fields = details.prompt.name === "login"
      ? '<label>User <input name="login"></label> <label>Password <input name="password" type="password"></label> <button>Sign in</button>'
      : "<button>Allow</button>";
    return response.end(`<!doctype html><title>Provider</title><form method="post" action="/interaction/${uid}">${fields}</form>`);
  }
  const form = new URLSearchParams(await read(request));
  if (details.prompt.name === "login") {
    const name = form.get("login");
    if (!users[name] || form.get("password") !== password(name)) {
      response.statusCode = 401;
      return response.end("wrong user or password");
    }
    return provider.interactionFinished(request, response, { login: { accountId: name } });
  }
  const { session, params, prompt, grantId } = details;
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(" "));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

async function control(request, response, url) {
  const body = await read(request);
  if (url.pathname === "/control/service") {
    service = url.searchParams.get("url");
    build();
  }
  if (url.pathname === "/control/mode") mode = url.searchParams.get("set");
  if (url.pathname === "/control/keys") {
    keys = url.searchParams.get("keep") ? [signing(rsa()), ...keys] : [signing(rsa())];
    build();
  }
  if (url.pathname === "/control/user") Object.assign(users[url.searchParams.get("name")], JSON.parse(body));
  if (url.pathname === "/control/sign") return response.end(sign(JSON.parse(body)));
  response.end(JSON.stringify(asked));
}

const server = http.createServer(async (request, response) => {
  try {
    const url = new URL(request.url, issuer);
    if (url.pathname.startsWith("/control/")) return await control(request, response, url);
    if (url.pathname === "/favicon.ico") { response.statusCode = 204; return response.end(); }
    asked[url.pathname] = (asked[url.pathname] ?? 0) + 1;
    // The pages people see go on: what fails is what the service asks for.
    const ours = ["/.well-known/openid-configuration", "/jwks", "/token"].includes(url.pathname);
    if (ours && mode === "down") { response.statusCode = 503; return response.end("down"); }
    if (ours && mode === "hang") return undefined;
    if (ours && mode === "slow") await new Promise((done) => setTimeout(done, 5000));
    if (url.pathname === "/jwks" && mode === "bad-keys") return response.end('{"keys":[{"kty":"RSA","n":');
    if (url.pathname === "/jwks" && mode === "huge-keys") return response.end(JSON.stringify({ keys: [{ kty: "x".repeat(10_000_000) }] }));
    bent(response, url.pathname);
    const at = url.pathname.match(/^\/interaction\/([^/]+)$/);
    return at ? await interaction(request, response, at[1]) : handler(request, response);
  } catch (error) {
    console.error(error);
    response.statusCode = error.statusCode ?? 500;
    return response.end(error.message);
  }
});

server.listen(Number(process.env.IDP_PORT ?? 0), "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  build();
  console.log(`issuer ${issuer}`);
});
// The tests hold our standard input; when they are gone, so are we.
process.stdin.resume();
process.stdin.on("end", () => process.exit());
