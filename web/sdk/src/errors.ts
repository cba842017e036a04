// What can go wrong, by type: the server's "no", and a line that broke.
import type { Refusal } from "./gen/common_pb.js";
import { RefusalCode } from "./gen/common_pb.js";

export { RefusalCode };

/** A server's "no": a code for programs, a sentence for people, and when to try again. */
export class RefusalError extends Error {
  override readonly name = "RefusalError";
  constructor(
    readonly code: RefusalCode,
    readonly messageZh: string,
    readonly messageEn: string,
    /** Milliseconds to wait before the same is tried again; 0: it will not help. */
    readonly retryAfterMs = 0,
    /** The field that was wrong, where there is one. */
    readonly field = "",
  ) {
    super(`${RefusalCode[code] ?? code}: ${messageEn}`);
  }

  static of(refusal: Pick<Refusal, "code" | "messageZh" | "messageEn" | "retryAfterMs" | "field">): RefusalError {
    return new RefusalError(refusal.code, refusal.messageZh, refusal.messageEn, refusal.retryAfterMs, refusal.field);
  }

  /** The JSON that the HTTP API answers with; undefined where it is something else. */
  static fromJson(body: unknown): RefusalError | undefined {
    const sent = (body as { refusal?: Record<string, unknown> } | null)?.refusal;
    if (!sent || typeof sent["code"] !== "string") return undefined;
    const name = sent["code"].replace(/^REFUSAL_CODE_/, "") as keyof typeof RefusalCode;
    const text = (key: string) => (typeof sent[key] === "string" ? (sent[key] as string) : "");
    const wait = typeof sent["retry_after_ms"] === "number" ? sent["retry_after_ms"] : 0;
    return new RefusalError(RefusalCode[name] ?? RefusalCode.UNSPECIFIED, text("message_zh"), text("message_en"), wait, text("field"));
  }

  /** The sentence in the reader's language. */
  words(locale: string): string {
    return locale.startsWith("zh") ? this.messageZh || this.messageEn : this.messageEn || this.messageZh;
  }
}

/** The line broke before an answer came; whether the request was carried out is not known. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  constructor(
    message = "the connection was lost before an answer came",
    /** The line looked alive, and no answer came in time. */
    readonly timedOut = false,
  ) {
    super(message);
  }
}

const SIGN_IN_AGAIN = new Set([RefusalCode.UNAUTHENTICATED, RefusalCode.SESSION_ENDED, RefusalCode.ACCOUNT_DISABLED]);

/** Whether an error means that this session is over. */
export function endsSession(error: unknown): boolean {
  return error instanceof RefusalError && SIGN_IN_AGAIN.has(error.code);
}

/** Codes that say "later", whatever the request: the server or the line is in trouble, not the request. */
const LATER = new Set([
  RefusalCode.SLOW_MODE,
  RefusalCode.BEHIND,
  RefusalCode.RATE_LIMITED,
  RefusalCode.OVERLOADED,
  RefusalCode.UNAVAILABLE,
  RefusalCode.INTERNAL,
  RefusalCode.DRAINING,
]);

/** Whether a post that was refused so is to be sent again by itself. */
export function isForLater(code: RefusalCode): boolean {
  return LATER.has(code);
}
