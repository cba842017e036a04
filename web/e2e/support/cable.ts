// A TCP cable between browsers and the service, that can be cut: what is connected ends, what comes is turned away;
// or that can go dead: it stays connected and carries nothing.
import { createServer as createHttp, type Server as HttpServer } from "node:http";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";

type State = "whole" | "cut" | "dead";

export class Cable {
  #state: State = "whole";
  readonly #ends = new Set<Socket>();
  private constructor(
    private readonly server: Server,
    private readonly http: HttpServer,
    readonly control: string,
  ) {}

  static async lay(from: number, to: number): Promise<Cable> {
    const server = createServer((near) => cable.#join(near, to));
    const http = createHttp((request, response) => {
      cable.set((request.url ?? "").slice(1) as State);
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(from, "127.0.0.1", resolve));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const cable: Cable = new Cable(server, http, `http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    return cable;
  }

  set(state: State): void {
    this.#state = state;
    if (state === "cut") for (const end of this.#ends) end.destroy();
    if (state === "dead") for (const end of this.#ends) end.pause();
    if (state === "whole") for (const end of this.#ends) end.resume();
  }

  async remove(): Promise<void> {
    this.set("cut");
    this.http.close();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #join(near: Socket, to: number): void {
    if (this.#state === "cut") {
      near.destroy();
      return;
    }
    const far = connect(to, "127.0.0.1");
    for (const [one, other] of [[near, far], [far, near]] as const) {
      this.#ends.add(one);
      one.on("data", (chunk) => other.write(chunk));
      one.on("end", () => other.end());
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#ends.delete(one);
        other.destroy();
      });
      if (this.#state === "dead") one.pause();
    }
  }
}
