/**
 * Sends a request again, with its Idempotency-Key, while no answer or no decision came back. Tillbook does a request
 * with a key once, however often it comes: so what is unknown is asked again, not given up.
 */

import { isOfTillbook, Refused } from "./refused.js";

export interface Repeats {
  /** How often a request is sent, the first time included. */
  attempts: number;
  /** Milliseconds before the second attempt; doubled with each. An answer with Retry-After says its own. */
  firstWait: number;
  /** Milliseconds. An answer that says to wait longer is handed to the caller. */
  longestWait: number;
  sleep: (milliseconds: number) => Promise<void>;
}

const KEY = "Idempotency-Key";
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
/** Nothing was decided: the request is welcome again, later. */
const NOT_DECIDED = new Set([429, 503]);
const TIMEOUT = 30_000;
const DEFAULTS: Repeats = {
  attempts: 4,
  firstWait: 500,
  longestWait: 30_000,
  sleep: (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
};

/**
 * A `fetch` that repeats after a timeout, a broken connection, half an answer, 429 and 503, and after a proxy's 5xx. It
 * follows no redirection, and throws Refused for what is no answer of Tillbook's.
 */
export function repeating(
  options: Partial<Repeats> & { timeout?: number; fetch?: typeof fetch } = {},
): (request: Request) => Promise<Response> {
  const { timeout = TIMEOUT, fetch: send = fetch, ...given } = options;
  const rules: Repeats = { ...DEFAULTS, ...given };
  return async (request) => {
    for (let attempt = 1; ; attempt += 1) {
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeout)]);
      const mayRepeat = mayBeRepeated(request) && !request.signal.aborted;
      let response: Response | undefined;
      try {
        response = await send(request.clone(), { signal, redirect: "manual" });
        if (isTable(response)) return response;
        const text = await response.text();
        const isOurs = isOfTillbook(response, text);
        const isUndecided = isOurs ? NOT_DECIDED.has(response.status) : mayRepeat && isUnknown(response);
        const wait = isUndecided ? waitAfter(rules, attempt, response) : undefined;
        if (wait === undefined && isOurs) return withText(response, text);
        if (wait === undefined) throw new Refused(response.status, undefined);
        await rules.sleep(wait);
      } catch (error) {
        if (error instanceof Refused) throw error;
        const wait = mayRepeat ? waitAfter(rules, attempt) : undefined;
        if (wait === undefined) throw response === undefined ? error : new Refused(response.status, undefined);
        await rules.sleep(wait);
      }
    }
  };
}

/** A CSV file is read by whoever wants it, as it comes. */
function isTable(response: Response): boolean {
  return response.ok && (response.headers.get("Content-Type") ?? "").startsWith("text/csv");
}

/** A proxy does not know whether the service has done it; nor does who has half a document. */
function isUnknown(response: Response): boolean {
  const isHalf = response.ok && (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  return response.status >= 500 || NOT_DECIDED.has(response.status) || isHalf;
}

/** The answer with the body that was read already. */
function withText(response: Response, text: string): Response {
  const { status, statusText, headers } = response;
  return new Response(status === 204 ? null : text, { status, statusText, headers });
}

/** Whether doing the request twice is doing it once. */
function mayBeRepeated(request: Request): boolean {
  return SAFE.has(request.method) || request.headers.has(KEY);
}

/** Milliseconds to wait after this attempt, counted from 1; undefined: no further one. */
function waitAfter(rules: Repeats, attempt: number, response?: Response): number | undefined {
  if (attempt >= rules.attempts) return undefined;
  const told = toldWait(response?.headers.get("Retry-After") ?? "");
  if (told !== undefined) return told <= rules.longestWait ? told : undefined;
  return Math.min(rules.longestWait, rules.firstWait * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

/** Milliseconds, from a number of seconds or from a moment; undefined for any other text. */
function toldWait(text: string): number | undefined {
  if (/^[0-9]+$/.test(text)) return Number(text) * 1000;
  const until = /GMT$/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(until) ? undefined : Math.max(0, until - Date.now());
}
