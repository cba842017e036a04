// In which subprotocol to speak: binary where it gets through, JSON where something between does not let it. Pure.
import { BINARY, JSON_TEXT, type Subprotocol } from "./codec.js";
import { SILENT } from "./link.js";

/** What is to be known of a socket's end. */
export interface Ending {
  code: number;
  /** The upgrade succeeded. */
  opened: boolean;
  /** The service answered the sign-in, or refused it in a frame that was understood. */
  answered: boolean;
  /** A frame came that could not be understood. */
  undecodable: boolean;
}

/** Sockets in a row that open, and then answer nothing. One may be a gateway that died just then. */
const MUTE_MOST = 2;
/** When the other subprotocol is tried again, ms: networks change. */
const AGAIN_MS = 10 * 60_000;

export class SubprotocolChoice {
  #mute = 0;
  #jsonUntilMs = 0;

  constructor(private readonly spoken: Subprotocol[] = [BINARY, JSON_TEXT]) {}

  /** What to offer to the next socket. */
  offer(nowMs: number): Subprotocol[] {
    return nowMs < this.#jsonUntilMs ? [JSON_TEXT] : this.spoken;
  }

  /** A socket has ended. */
  handleEnding(ending: Ending, nowMs: number): void {
    if (!this.spoken.includes(BINARY) || !this.spoken.includes(JSON_TEXT)) return;
    const isMute = ending.opened && !ending.answered && (ending.code < 3000 || ending.code === SILENT);
    this.#mute = isMute ? this.#mute + 1 : ending.opened ? 0 : this.#mute;
    if (!ending.undecodable && this.#mute < MUTE_MOST) return;
    this.#mute = 0;
    // JSON that does not get through either says that it is not the subprotocol.
    this.#jsonUntilMs = nowMs < this.#jsonUntilMs ? 0 : nowMs + AGAIN_MS;
  }
}
