/**
 * Sends a request again, with its Idempotency-Key, while no answer or no decision came back. Tillbook does a request
 * with a key once, however often it comes: so what is unknown is asked again, not given up.
 */

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

/** A `fetch` that repeats after a timeout, a broken connection, 429 and 503. */
export function repeating(
  options: Partial<Repeats> & { timeout?: number; fetch?: typeof fetch } = {},
): (request: Request) => Promise<Response> {
  const { timeout = TIMEOUT, fetch: send = fetch, ...given } = options;
  const rules: Repeats = { ...DEFAULTS, ...given };
  return async (request) => {
    for (let attempt = 1; ; attempt += 1) {
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeout)]);
      try {
        const response = await send(request.clone(), { signal });
        const wait = NOT_DECIDED.has(response.status) ? waitAfter(rules, attempt, response) : undefined;
        if (wait === undefined) return response;
        await response.body?.cancel();
        await rules.sleep(wait);
      } catch (error) {
        const wait = mayBeRepeated(request) && !request.signal.aborted ? waitAfter(rules, attempt) : undefined;
        if (wait === undefined) throw error;
        await rules.sleep(wait);
      }
    }
  };
}

/** Whether doing the request twice is doing it once. */
function mayBeRepeated(request: Request): boolean {
  return SAFE.has(request.method) || request.headers.has(KEY);
}

/** Milliseconds to wait after this attempt, counted from 1; undefined: no further one. */
function waitAfter(rules: Repeats, attempt: number, response?: Response): number | undefined {
  if (attempt >= rules.attempts) return undefined;
  const told = response?.headers.get("Retry-After") ?? "";
  if (/^[0-9]+$/.test(told)) {
    const wait = Number(told) * 1000;
    return wait <= rules.longestWait ? wait : undefined;
  }
  return Math.min(rules.longestWait, rules.firstWait * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}
