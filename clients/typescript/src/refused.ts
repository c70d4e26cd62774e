/** What came of an operation: what an answer of Tillbook's looks like, and the refusal. */
import type { components } from "./schema.js";

type Problem = components["schemas"]["Problem"];

const NO_CONTENT = 204;

/** The service refused. `code` is stable, and what programs go by; it is `unexpected` for no answer of Tillbook's. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly problem: Problem | undefined;

  constructor(status: number, problem: Problem | undefined) {
    super(`${status} ${problem?.code ?? "unexpected"}`);
    this.name = "Refused";
    this.status = status;
    this.code = problem?.code ?? "unexpected";
    this.problem = problem;
  }
}

/** The answer of an operation. Throws Refused if there is none. */
export async function expect<T>(
  asked: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<NonNullable<T>> {
  const { data, error, response } = await asked;
  if (response.ok && data !== undefined && data !== null) return data;
  throw new Refused(response.status, isProblem(error) ? error : undefined);
}

/** An operation that answers without a document has done what it does. Throws Refused if it has not. */
export async function expectNothing(asked: Promise<{ error?: unknown; response: Response }>): Promise<void> {
  const { error, response } = await asked;
  if (response.status !== NO_CONTENT) throw new Refused(response.status, isProblem(error) ? error : undefined);
}

export function isProblem(error: unknown): error is Problem {
  if (typeof error !== "object" || error === null) return false;
  const found = error as Record<string, unknown>;
  const texts = [found["type"], found["title"], found["code"]];
  return texts.every((each) => typeof each === "string") && typeof found["status"] === "number";
}

/**
 * Whether the service can have answered that: a document, a problem document, or nothing with 204. A page of a proxy, a
 * redirection and half a document are something else.
 */
export function isOfTillbook(response: Response, text: string): boolean {
  if (response.status === NO_CONTENT) return true;
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return false;
  }
  if (response.ok) return typeof content === "object" && content !== null && !Array.isArray(content);
  return response.status >= 400 && isProblem(content);
}
