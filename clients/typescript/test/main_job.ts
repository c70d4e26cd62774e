/**
 * The whole main job with the types that openapi-typescript makes with its own options: order, pay, wallet, spend,
 * refund. The test puts `schema.ts`, made of the running service's document, beside this file.
 */
import assert from "node:assert/strict";
import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
const { SERVICE_URL, BACKEND_KEY } = process.env;
assert(SERVICE_URL && BACKEND_KEY);
const PATIENCE = 60_000;
const client = createClient<paths>({ baseUrl: SERVICE_URL, headers: { Authorization: `Bearer ${BACKEND_KEY}` } });
const key = (): { header: { "Idempotency-Key": string } } => ({ header: { "Idempotency-Key": crypto.randomUUID() } });

async function waitFor<T>(read: () => Promise<T>, ready: (found: T) => boolean): Promise<T> {
  for (const ends = Date.now() + PATIENCE; ; ) {
    const found = await read();
    if (ready(found)) return found;
    assert(Date.now() < ends, JSON.stringify(found));
    await new Promise((done) => setTimeout(done, 200));
  }
}

async function coins(): Promise<number> {
  const { data } = await client.GET("/v1/wallet", { params: { query: { user: "carol" } } });
  assert(data);
  return data.balances
    .filter((one) => one.environment === "sandbox")
    .reduce((sum, one) => sum + one.balance, 0);
}

async function readOrder(number: string): Promise<Schemas["Order"]> {
  const { data } = await client.GET("/v1/orders/{number}", { params: { path: { number } } });
  assert(data);
  return data;
}

async function readRefund(number: string): Promise<Schemas["Refund"]> {
  const { data } = await client.GET("/v1/refunds/{number}", { params: { path: { number } } });
  assert(data);
  return data;
}

const ordered = await client.POST("/v1/orders", {
  params: key(),
  body: { provider_account: "sandbox", way: "page", product: "coins-60", user: "carol" },
});
assert(ordered.data, JSON.stringify(ordered.error));
const order = ordered.data;
const url = order.payments[0]?.action?.["url"];
assert(typeof url === "string");
assert.equal((await fetch(url, { method: "POST", redirect: "manual" })).status, 303);
const paid = await waitFor(() => readOrder(order.number), (found) => found.status === "paid");
const bought = await coins();

const spend = { asset: "coin", amount: 25, user: "carol", environment: "sandbox" } as const;
const once = { header: { "Idempotency-Key": "sword" } };
const spent = await client.POST("/v1/spends", { params: once, body: spend });
const again = await client.POST("/v1/spends", { params: once, body: spend });
const refused = await client.POST("/v1/spends", { params: key(), body: { ...spend, amount: 10_000 } });
const code: Schemas["CreateSpendProblem"]["code"] | undefined = refused.error?.code;

const asked = await client.POST("/v1/refunds", {
  params: key(),
  body: { order: order.number, amount_minor: 300, reason: "asked by the user" },
});
assert(asked.data, JSON.stringify(asked.error));
const refund = asked.data;
const done = await waitFor(() => readRefund(refund.number), (found) => found.status === "done");

console.log(
  JSON.stringify({
    paid: paid.paid_at !== null,
    bought,
    spent: spent.data?.balance,
    repeated: again.data?.repeated,
    refused: code,
    refunded: done.amount_minor,
    taken: done.coins[0]?.taken,
    left: await coins(),
  }),
);
