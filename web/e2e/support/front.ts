// A folder of the built page in front of a service that carries another one: the page is tried without building the
// service anew. Its headers are the service's own, so that its policy holds here too. For development; what is delivered
// is tested as the executable carries it.
import { createReadStream, existsSync, statSync } from "node:fs";
import { type IncomingMessage, type Server, type ServerResponse, createServer, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { extname, join, normalize } from "node:path";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
};
const OF_THE_SERVICE = /^\/(api\/|ws(\?|$)|files\/|yitang\.v1\.)/;
const ENCODINGS = [["br", ".br"], ["gzip", ".gz"]] as const;

export class Front {
  private constructor(
    private readonly server: Server,
    private readonly folder: string,
    private readonly to: number,
  ) {}

  static async stand(folder: string, to: number): Promise<Front> {
    if (!existsSync(join(folder, "index.html"))) throw new Error(`there is no page in ${folder}: run \`npm run build\``);
    const server = createServer();
    const front = new Front(server, folder, to);
    server.on("request", (asked, answer) => front.#answer(asked, answer));
    server.on("upgrade", (asked, near, head) => {
      const far = connect(to, "127.0.0.1", () => {
        const lines = [`${asked.method} ${asked.url} HTTP/1.1`];
        for (let index = 0; index < asked.rawHeaders.length; index += 2) lines.push(`${asked.rawHeaders[index]}: ${asked.rawHeaders[index + 1]}`);
        far.write(`${lines.join("\r\n")}\r\n\r\n`);
        far.write(head);
        far.pipe(near);
        near.pipe(far);
      });
      for (const [one, other] of [[near, far], [far, near]] as const) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return front;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async remove(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #answer(asked: IncomingMessage, answer: ServerResponse): void {
    const path = (asked.url ?? "/").split("?")[0] ?? "/";
    const ours = asked.method === "GET" && !OF_THE_SERVICE.test(path);
    const onward = request({ port: this.to, host: "127.0.0.1", method: ours ? "HEAD" : asked.method, path: ours ? "/" : asked.url, headers: asked.headers });
    onward.on("error", () => answer.destroy());
    onward.on("response", (theirs) => {
      if (!ours) {
        answer.writeHead(theirs.statusCode ?? 502, theirs.rawHeaders);
        theirs.pipe(answer);
        return;
      }
      theirs.resume();
      this.#file(path, asked, answer, theirs.headers);
    });
    if (ours) onward.end();
    else asked.pipe(onward);
  }

  #file(path: string, asked: IncomingMessage, answer: ServerResponse, theirs: IncomingMessage["headers"]): void {
    const wanted = join(this.folder, normalize(path));
    const named = path.split("/").pop()?.includes(".") ?? false;
    const there = path !== "/" && existsSync(wanted) && statSync(wanted).isFile();
    if (!there && named) {
      answer.writeHead(404).end();
      return;
    }
    const file = there ? wanted : join(this.folder, "index.html");
    for (const name of ["content-security-policy", "x-content-type-options", "referrer-policy", "x-frame-options", "cross-origin-opener-policy"]) {
      const value = theirs[name];
      if (value !== undefined) answer.setHeader(name, value);
    }
    answer.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
    answer.setHeader("cache-control", path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache");
    answer.setHeader("vary", "accept-encoding");
    const takes = String(asked.headers["accept-encoding"] ?? "").split(",").map((coding) => coding.split(";")[0]?.trim());
    const [coding, suffix] = ENCODINGS.find(([name, end]) => takes.includes(name) && existsSync(file + end)) ?? ["", ""];
    if (coding !== "") answer.setHeader("content-encoding", coding);
    answer.setHeader("content-length", statSync(file + suffix).size);
    createReadStream(file + suffix).pipe(answer);
  }
}
