import assert from "node:assert/strict";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";

import { connect, expect, expectNothing, newKey, NotGenuine, Refused, repeating, WebhookSecrets } from "../src/index.js";

type Answer = Response | Error;

/** A server that gives these answers, one after the other; an error is a broken connection. */
function script(...answers: Answer[]) {
  const requests: { key: string | null; body: string; url: string }[] = [];
  const slept: number[] = [];
  const send = async (input: RequestInfo | URL): Promise<Response> => {
    const request = input as Request;
    requests.push({
      key: request.headers.get("Idempotency-Key"),
      body: await request.text(),
      url: request.url,
    });
    const given = answers.shift();
    if (given === undefined || given instanceof Error) throw given ?? new Error("not expected");
    return given;
  };
  const sleep = async (milliseconds: number): Promise<void> => void slept.push(milliseconds);
  return { requests, slept, options: { fetch: send as typeof fetch, sleep } };
}

const problem = (status: number, headers: Record<string, string> = {}): Response =>
  Response.json(
    { type: "about:blank", title: "Busy.", status, code: "database_unavailable" },
    { status, headers: { "content-type": "application/problem+json", ...headers } },
  );
const posted = (): Response =>
  Response.json(
    { id: "0b9e6a52-3f41-8c07-a2d5-6e1f7b90c82f", amount: 25, balance: 35, version: 2, repeated: false, at: "" },
    { status: 201 },
  );
const gone = (): Error => new TypeError("fetch failed");

function spend(options: Parameters<typeof connect>[2]) {
  return expect(
    connect("https://pay.test/", "tbk_x", options).POST("/v1/spends", {
      params: { header: { "Idempotency-Key": "k-1" } },
      body: { asset: "coin", amount: 25, user: "alice" },
    }),
  );
}

test("a request is sent again with its key and body after broken connections", async () => {
  const { requests, slept, options } = script(gone(), gone(), gone(), posted());
  assert.equal((await spend(options)).balance, 35);
  assert.deepEqual(new Set(requests.map((one) => JSON.stringify(one))).size, 1);
  assert.equal(requests[0]?.key, "k-1");
  assert.equal(requests[0]?.url, "https://pay.test/v1/spends");
  assert.equal(slept.length, 3);
});

test("an attempt that takes too long is repeated", async () => {
  let attempts = 0;
  const send = (_: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    attempts += 1;
    if (attempts === 2) return Promise.resolve(posted());
    return new Promise((_done, fail) => init?.signal?.addEventListener("abort", () => fail(init.signal?.reason)));
  };
  const alive = setInterval(() => undefined, 1000);
  assert.equal((await spend({ fetch: send as typeof fetch, timeout: 20, sleep: async () => undefined })).balance, 35);
  clearInterval(alive);
  assert.equal(attempts, 2);
});

test("Retry-After says how long the pause is", async () => {
  const { slept, options } = script(problem(429, { "Retry-After": "7" }), problem(503, { "Retry-After": "0" }), posted());
  await spend(options);
  assert.deepEqual(slept, [7000, 0]);
});

test("a pause longer than the longest is the caller's to make", async () => {
  const { slept, options } = script(problem(429, { "Retry-After": "31" }));
  await assert.rejects(spend(options), (error: Refused) => error.status === 429);
  assert.deepEqual(slept, []);
});

test("the pauses grow and none is longer than the longest", async () => {
  const { slept, options } = script(gone(), gone(), gone(), gone(), posted());
  await spend({ ...options, attempts: 5, firstWait: 1000, longestWait: 4000 });
  [1000, 2000, 4000, 4000].forEach((most, at) => {
    const pause = slept[at] ?? 0;
    assert(most / 2 <= pause && pause <= most, `${pause}`);
  });
});

test("after the last attempt the answer or the error is the caller's", async () => {
  await assert.rejects(spend(script(problem(503), problem(503), problem(503), problem(503)).options), Refused);
  await assert.rejects(spend(script(gone(), gone(), gone(), gone()).options), TypeError);
});

test("what is decided is not asked again", async () => {
  for (const status of [400, 401, 403, 404, 409, 422, 500, 502]) {
    const { requests, options } = script(problem(status, { "Retry-After": "1" }));
    await assert.rejects(spend(options), (error: Refused) => error.code === "database_unavailable");
    assert.equal(requests.length, 1);
  }
});

test("a request without a key that may have been done is not sent again", async () => {
  const { requests, options } = script(gone());
  await assert.rejects(repeating(options)(new Request("https://pay.test/x", { method: "POST", body: "{}" })));
  assert.equal(requests.length, 1);
});

test("a request that its caller has given up is not sent again", async () => {
  const { requests, options } = script(gone());
  const request = new Request("https://pay.test/x", { signal: AbortSignal.abort() });
  await assert.rejects(repeating(options)(request));
  assert.equal(requests.length, 1);
});

/** What a proxy says. */
const page = (status: number, headers: Record<string, string> = {}): Response =>
  new Response(status === 204 ? null : "<html><h1>Gateway</h1></html>", {
    status,
    headers: { "content-type": "text/html", ...headers },
  });
const json = { "content-type": "application/json" };
const half = (): Response => new Response('{"id": "0b9e', { status: 201, headers: json });
const cut = (): Response => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"id": "0b9e'));
      controller.error(new TypeError("terminated"));
    },
  });
  return new Response(body, { status: 201, headers: json });
};

test("what a proxy says or cuts off is asked for again with the same key", async () => {
  for (const broken of [half, cut, () => page(502), () => page(503), () => page(504)]) {
    const { requests, options } = script(broken(), broken(), posted());
    assert.equal((await spend(options)).balance, 35);
    assert.deepEqual(requests.map((one) => one.key), ["k-1", "k-1", "k-1"]);
    const unexpected = (error: unknown) => error instanceof Refused && error.code === "unexpected";
    await assert.rejects(spend(script(broken(), broken(), broken(), broken()).options), unexpected);
    const keyless = script(broken(), posted());
    const request = new Request("https://pay.test/x", { method: "POST", body: "{}" });
    await assert.rejects(repeating(keyless.options)(request), unexpected);
    assert.equal(keyless.requests.length, 1);
  }
});

test("an answer of something else is refused by name and not asked for again", async () => {
  for (const status of [200, 201, 202, 204, 301, 302, 307, 308, 400, 403, 404, 413]) {
    const { requests, options } = script(page(status, { Location: "https://elsewhere.test/" }));
    await assert.rejects(spend(options), (error: Refused) => error.code === "unexpected" && error.status === status);
    assert.equal(requests.length, 1);
  }
});

test("a gateway's own document is no problem document", async () => {
  const gateway = Response.json({ message: "Bad gateway" }, { status: 502 });
  await assert.rejects(spend({ ...script(gateway).options, attempts: 1 }), (error: Refused) => error.status === 502);
});

test("an operation without a document is done with 204 alone", async () => {
  const remove = (answer: Response) =>
    expectNothing(
      connect("https://pay.test", "tbk_x", { ...script(answer).options, attempts: 1 }).DELETE("/v1/endpoints/{name}", {
        params: { path: { name: "game" } },
      }),
    );
  await remove(new Response(null, { status: 204 }));
  for (const answer of [page(200), page(301), page(404), page(502), half(), problem(403), Response.json({})])
    await assert.rejects(remove(answer), Refused);
});

test("no redirection is followed", async () => {
  let told: RequestRedirect | undefined;
  const send = async (_: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    told = init?.redirect;
    return posted();
  };
  await spend({ fetch: send as typeof fetch });
  assert.equal(told, "manual");
});

test("Retry-After may be a moment", async () => {
  const { slept, options } = script(problem(503, { "Retry-After": new Date(Date.now() - 60_000).toUTCString() }), posted());
  await spend(options);
  assert.deepEqual(slept, [0]);
});

test("an answer that is none of Tillbook's is refused by name", async () => {
  const { options } = script(new Response("teapot", { status: 418 }));
  await assert.rejects(spend(options), (error: Refused) => error.code === "unexpected" && error.status === 418);
});

test("every new key is another one", () => {
  assert.equal(new Set(Array.from({ length: 100 }, newKey)).size, 100);
});

const SECRET = `whsec_${btoa("a secret of the tests, long enough")}`;
const OTHER = `whsec_${btoa("another secret of the tests")}`;
const BODY = '{"type":"order.paid","data":{"title":"60 金币"}}';
const NOW = new Date("2026-11-28T09:30:00Z");
const seconds = (): number => NOW.getTime() / 1000;

/** Headers as the package of Standard Webhooks makes them. */
function signed(secret = SECRET, at = NOW, body = BODY): Record<string, string> {
  return {
    "Webhook-Id": "evt_1",
    "Webhook-Timestamp": String(at.getTime() / 1000),
    "Webhook-Signature": new Webhook(secret).sign("evt_1", at, body),
  };
}

test("a message signed by the standard's own package is genuine", async () => {
  const secrets = new WebhookSecrets(SECRET, seconds);
  assert.deepEqual(await secrets.verify(signed(), BODY), JSON.parse(BODY));
  assert.deepEqual(await secrets.verify(new Headers(signed()), new TextEncoder().encode(BODY)), JSON.parse(BODY));
});

test("a message whose secret is being rotated is genuine under either", async () => {
  const both = { ...signed(), "Webhook-Signature": `${signed(OTHER)["Webhook-Signature"]} ${signed()["Webhook-Signature"]}` };
  assert(await new WebhookSecrets(SECRET, seconds).verify(both, BODY));
  assert(await new WebhookSecrets(OTHER, seconds).verify(both, BODY));
  assert(await new WebhookSecrets([OTHER, SECRET], seconds).verify(signed(), BODY));
});

test("a message that was changed or is not fresh is refused", async () => {
  const at = (offset: number): Record<string, string> => signed(SECRET, new Date(NOW.getTime() + offset * 1000));
  const signature = signed()["Webhook-Signature"] ?? "";
  const cases: [Record<string, string | undefined>, string][] = [
    [{ "Webhook-Id": "evt_2" }, BODY],
    [{ "Webhook-Id": undefined }, BODY],
    [{ "Webhook-Timestamp": String(seconds() + 1) }, BODY],
    [{ "Webhook-Timestamp": "soon" }, BODY],
    [{ "Webhook-Timestamp": undefined }, BODY],
    [{ "Webhook-Signature": "" }, BODY],
    [{ "Webhook-Signature": undefined }, BODY],
    [{ "Webhook-Signature": `v1,AAAA v2,${signature.slice(3)}` }, BODY],
    [{ "Webhook-Signature": signature.slice(3) }, BODY],
    [{ "Webhook-Signature": "v1,ü" }, BODY],
    [signed(OTHER), BODY],
    [at(-301), BODY],
    [at(301), BODY],
    [signed(SECRET, NOW, "no JSON"), "no JSON"],
    [{}, `${BODY} `],
  ];
  for (const [changed, body] of cases) {
    const verified = new WebhookSecrets(SECRET, seconds).verify({ ...signed(), ...changed }, body);
    await assert.rejects(verified, NotGenuine, JSON.stringify(changed));
  }
});

test("five minutes are tolerated", async () => {
  for (const offset of [-300, 300]) {
    const headers = signed(SECRET, new Date(NOW.getTime() + offset * 1000));
    assert(await new WebhookSecrets(SECRET, seconds).verify(headers, BODY));
  }
});

test("what is no secret is no receiver", () => {
  for (const secrets of [[], "whsec_", "whsec_?", [SECRET, ""]]) {
    assert.throws(() => new WebhookSecrets(secrets, seconds), TypeError);
  }
});
