// Signing in and out, tickets: JSON over HTTPS at /api/v1.
import { ConnectionLost, RefusalCode, RefusalError } from "./errors.js";

/** Who is signed in. */
export interface SessionInfo {
  person: number;
  session: string;
  expiresMs: number;
  /** Only where it was asked for, and for screens. */
  token?: string;
  /** A screen in a hall, signed in by a display link: `person` is 0, and it sees this one conversation. */
  display?: { link: string; conversation: string };
}

/** What the service says of itself to everyone. */
export interface ServiceFacts {
  body: { zh: string; en: string };
  demo: boolean;
  locales: string[];
  gateway: string;
  limits: Record<string, number>;
}

export interface HttpOptions {
  /** The service's address; in a browser, empty for the page's own. */
  url: string;
  /** A bearer token for programs; browsers have a cookie. */
  token?: string | undefined;
  fetch: typeof fetch;
  timeoutMs: number;
}

/** The API's calls. Each throws RefusalError for a "no" and ConnectionLost where no answer came. */
export class Http {
  constructor(readonly options: HttpOptions) {}

  async signIn(login: string, password: string, client: string, token: boolean): Promise<SessionInfo> {
    return session(await this.#call("POST", "sign-in", { login, password, client, token }));
  }

  async signInByLink(link: string, newPassword: string, client: string, token: boolean): Promise<SessionInfo> {
    return session(await this.#call("POST", "sign-in/link", { link, new_password: newPassword, client, token }));
  }

  async signInDisplay(link: string, client: string): Promise<SessionInfo> {
    return session(await this.#call("POST", "sign-in/display", { link, client }));
  }

  async signOut(): Promise<void> {
    await this.#call("POST", "sign-out", {});
  }

  async session(): Promise<SessionInfo> {
    return session(await this.#call("GET", "session"));
  }

  async ticket(): Promise<string> {
    const answer = await this.#call("POST", "ticket", {});
    return String(answer["ticket"] ?? "");
  }

  async facts(): Promise<ServiceFacts> {
    return (await this.#call("GET", "config")) as unknown as ServiceFacts;
  }

  async #call(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const { url, token, timeoutMs } = this.options;
    const headers: Record<string, string> = body ? { "content-type": "application/json" } : {};
    if (token) headers["authorization"] = `Bearer ${token}`;
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), timeoutMs);
    let response: Response;
    let answer: unknown;
    try {
      const call = this.options.fetch;
      response = await call(`${url}/api/v1/${path}`, {
        method,
        headers,
        signal: stop.signal,
        credentials: "include",
        cache: "no-store",
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      answer = await response.json().catch(() => undefined);
    } catch {
      throw new ConnectionLost("the service cannot be reached");
    } finally {
      clearTimeout(timer);
    }
    if (response.ok && answer && typeof answer === "object") return answer as Record<string, unknown>;
    const refusal = RefusalError.fromJson(answer);
    if (refusal) throw refusal;
    // A proxy in between answered, not the service.
    if (response.status >= 500 || response.ok) throw new ConnectionLost(`the service answered ${response.status}`);
    throw new RefusalError(RefusalCode.UNSPECIFIED, `服务拒绝了请求（${response.status}）。`, `The service refused (${response.status}).`);
  }
}

function session(answer: Record<string, unknown>): SessionInfo {
  const info: SessionInfo = {
    person: Number(answer["person"]),
    session: String(answer["session"]),
    expiresMs: Number(answer["expires_ms"]),
  };
  if (typeof answer["token"] === "string") info.token = answer["token"];
  const display = answer["display"] as { link?: unknown; conversation?: unknown } | null | undefined;
  if (display) info.display = { link: String(display.link), conversation: String(display.conversation) };
  return info;
}
