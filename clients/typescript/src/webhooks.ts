/**
 * Verifies what Tillbook pushes, by Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 with a shared
 * secret over id, time and body.
 */

/** Seconds that the time of a message may be from ours. */
export const TOLERANCE = 5 * 60;
const PREFIX = "whsec_";
const VERSION = "v1";

/** Not a message of Tillbook's, or not a fresh one: answer 400, and do nothing. */
export class NotGenuine extends Error {
  constructor(why: string) {
    super(why);
    this.name = "NotGenuine";
  }
}

export type MessageHeaders = Headers | Record<string, string | string[] | undefined>;

/** The secrets of one endpoint, as Tillbook shows them (`whsec_…`): several while they are rotated. */
export class WebhookSecrets {
  readonly #keys: Promise<CryptoKey>[];
  readonly #now: () => number;

  /** Throws for what is no secret. `now` is in seconds. */
  constructor(secrets: string | readonly string[], now: () => number = () => Date.now() / 1000) {
    const all = typeof secrets === "string" ? [secrets] : secrets;
    if (all.length === 0) throw new TypeError("an endpoint has at least one secret");
    this.#keys = all.map((secret) => importKey(bytesOf(secret)));
    this.#now = now;
  }

  /**
   * The document in the body, which has to be the bytes (or the text) that came. Throws NotGenuine.
   *
   * A genuine message may come more than once: `webhook-id` is the same then.
   */
  async verify(headers: MessageHeaders, body: Uint8Array | string): Promise<unknown> {
    const id = header(headers, "webhook-id");
    const moment = header(headers, "webhook-timestamp");
    const signatures = header(headers, "webhook-signature");
    if (!/^[0-9]+$/.test(moment)) throw new NotGenuine("webhook-timestamp is no time");
    if (Math.abs(this.#now() - Number(moment)) > TOLERANCE) {
      throw new NotGenuine("the message is too old, or from the future");
    }
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const head = new TextEncoder().encode(`${id}.${moment}.`);
    const signed = new Uint8Array(head.length + bytes.length);
    signed.set(head);
    signed.set(bytes, head.length);
    if (!(await this.#isSigned(signed, signatures))) {
      throw new NotGenuine("no signature is that of one of the secrets");
    }
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch {
      throw new NotGenuine("the body is no JSON");
    }
  }

  async #isSigned(signed: Uint8Array<ArrayBuffer>, signatures: string): Promise<boolean> {
    for (const each of signatures.split(" ")) {
      const [version, value] = each.split(",", 2);
      const given = version === VERSION && value ? decoded(value) : undefined;
      if (given === undefined) continue;
      for (const key of this.#keys) {
        if (await crypto.subtle.verify("HMAC", await key, given, signed)) return true;
      }
    }
    return false;
  }
}

function importKey(bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function bytesOf(secret: string): Uint8Array<ArrayBuffer> {
  const bytes = decoded(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret);
  if (bytes === undefined || bytes.length === 0) throw new TypeError("a secret is `whsec_` and base64");
  return bytes;
}

function decoded(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function header(headers: MessageHeaders, name: string): string {
  const found =
    headers instanceof Headers
      ? headers.get(name)
      : Object.entries(headers).find(([each]) => each.toLowerCase() === name)?.[1];
  if (typeof found !== "string") throw new NotGenuine(`there is no header ${name}`);
  return found;
}
