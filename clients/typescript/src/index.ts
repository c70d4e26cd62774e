/**
 * A client of Tillbook's API. `schema.ts` is generated from the OpenAPI document; this page adds what no generator
 * knows: repeats, webhooks, and the answer or the refusal.
 */
import createFetchClient, { type Client } from "openapi-fetch";

import { repeating, type Repeats } from "./repeats.js";
import type { components, paths } from "./schema.js";

export { expect, expectNothing, Refused } from "./refused.js";
export { repeating, type Repeats } from "./repeats.js";
export type { components, operations, paths } from "./schema.js";
export { NotGenuine, WebhookSecrets } from "./webhooks.js";

export type Schemas = components["schemas"];
export type Tillbook = Client<paths>;

export interface ConnectOptions extends Partial<Repeats> {
  /** Milliseconds for one attempt; longer than the service waits for a provider when it starts a payment. */
  timeout?: number;
  /** Instead of the platform's own. */
  fetch?: typeof fetch;
}

/** A client for the API at this address. `token` is the API key of a backend (`tbk_…`) or the token of a user. */
export function connect(url: string, token: string, options: ConnectOptions = {}): Tillbook {
  return createFetchClient<paths>({
    baseUrl: url.replace(/\/+$/, ""),
    headers: { Authorization: `Bearer ${token}` },
    fetch: repeating(options),
  });
}

/** An Idempotency-Key that nobody has used. Keep it with what you want done, and use it again for a repeat. */
export function newKey(): string {
  return crypto.randomUUID();
}
