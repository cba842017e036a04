// One room as the page shows it: drawn at most once a frame, and a few times a second in a flood.
import type { Presence, RefusalError, Room, RoomPhase } from "@yitang/sdk";
import { onUnmounted, shallowReactive } from "vue";
import { type CachedRoom, loadRoom, saveRoom } from "./cache";
import { roomHost } from "./host";
import { Pace } from "./pace";
import { rowKindOf } from "./parts";
import { type Log, outgoingRows, type Row, RowBook } from "./rows";

export interface RoomView {
  phase: RoomPhase;
  refusal: RefusalError | undefined;
  rows: Row[];
  /** The rows are those of an earlier visit, kept on this device at that time; 0: they are not. */
  keptMs: number;
  presence: Presence | undefined;
  mayPost: boolean;
  mayModerate: boolean;
  hasMembers: boolean;
  postRefusal: RefusalError | undefined;
  behind: boolean;
  /** Counts up when the log tells of other rules (`room.follower.rules`). */
  rulesVersion: number;
  completeBefore: boolean;
  /** What this person had read (an mseq) when they came, where something was unread; else 0. */
  unreadAfter: number;
  /** How many were unread then. */
  unreadThen: number;
}

/** Events held while one follows the newest, and while one reads back: a page that runs all day weighs what it did. */
const FOLLOWING_MOST = 2_000;
const READING_MOST = 50_000;
/** Between two savings to the device while one looks, ms. */
const SAVE_EVERY_MS = 5_000;
/** How long the live room may take before the last visit's is shown, ms. */
const PATIENCE_MS = 1_500;

/** Follows a conversation for as long as the component lives. `about`: what the subject wants to have again where the room
 * is opened without a network (plain values); undefined: it has nothing yet, so nothing is kept. */
export function useRoom(id: string, about: () => object | undefined) {
  const { client, me, connection } = roomHost();
  const room: Room = client.enter(id);
  room.keepMost = FOLLOWING_MOST;
  const writtenAt = new Map<string, number>();
  const pace = new Pace();
  let book: RowBook | undefined;
  let unreadAfter: number | undefined;
  let unreadThen = 0;
  let found: CachedRoom | undefined;
  let patient = true;
  let counted = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let frame = 0;
  let drawnAt = 0;
  /** The page tells whether one reads back: then nothing below is seen. */
  let readsBack = false;
  /** While a distant place is being loaded, the list stays as it is. */
  let isFrozen = false;
  const view = shallowReactive<RoomView>(snapshot());

  function log(): Log {
    const { follower } = room;
    const { epoch, oldest, delivered, completeBefore } = follower;
    return { epoch, oldest, delivered, completeBefore, get: (seq) => room.timeline.get(seq) };
  }

  function rowsNow(before: Row[]): { rows: Row[]; keptMs: number } {
    const outgoing = client.outbox.list(id);
    if (room.phase !== "live") {
      const earlier = book?.rows ?? (patient ? [] : (found?.rows ?? []));
      const keptMs = book || earlier.length === 0 ? 0 : (found?.savedMs ?? 0);
      return { rows: [...earlier, ...outgoingRows(earlier, outgoing, me.value, writtenAt)], keptMs };
    }
    const { follower } = room;
    if (unreadAfter === undefined) {
      unreadThen = follower.unread;
      unreadAfter = unreadThen > 0 ? follower.readMseq : 0;
    }
    book ??= new RowBook(id, me.value, unreadAfter, rowKindOf);
    const changed = book.update(log());
    const mine = outgoingRows(book.rows, outgoing, me.value, writtenAt);
    const same = !changed && mine.length === 0 && before.length === book.rows.length && before[0]?.key === book.rows[0]?.key;
    return { rows: same ? before : [...book.rows, ...mine], keptMs: 0 };
  }

  function snapshot(before: Row[] = []): RoomView {
    const { follower } = room;
    const { rows, keptMs } = rowsNow(before);
    return {
      phase: room.phase,
      refusal: room.refusal,
      rows,
      keptMs,
      presence: room.presence,
      mayPost: room.mayPost,
      mayModerate: room.mayModerate,
      hasMembers: room.hasMembers,
      postRefusal: room.postRefusal,
      behind: room.phase === "live" && follower.behind,
      rulesVersion: follower.rules?.version ?? 0,
      completeBefore: follower.completeBefore,
      unreadAfter: unreadAfter ?? 0,
      unreadThen,
    };
  }

  function draw(): void {
    frame = 0;
    timer = undefined;
    const now = performance.now();
    const { delivered } = room.follower;
    pace.count(Math.max(0, delivered - counted), now);
    counted = delivered;
    drawnAt = now;
    if (!isFrozen) Object.assign(view, snapshot(view.rows));
  }

  function scheduleDraw(): void {
    if (frame !== 0 || timer !== undefined) return;
    // A page in the background draws no frames; it must not fall behind for that.
    if (document.hidden) {
      timer = setTimeout(draw, 250);
      return;
    }
    const wait = pace.waitMs(readsBack) - (performance.now() - drawnAt);
    if (wait <= 8) frame = requestAnimationFrame(draw);
    // In a flood not within the frame: between what is made here and its painting a key can be heard.
    else timer = setTimeout(draw, wait);
  }

  async function post(text: string, replyTo: number): Promise<void> {
    const head = room.follower.headSeq;
    const sent = await client.post(id, { case: "comment", text, replyTo });
    writtenAt.set(sent.clientId, head);
    scheduleDraw();
  }

  /** Loads back until `holds`; false: the beginning, or no answer, came before that. */
  async function loadBackUntil(holds: () => boolean): Promise<boolean> {
    isFrozen = true;
    setReadingBack(true);
    try {
      while (!holds()) {
        const before = room.follower.oldest;
        await room.loadOlder();
        if (room.follower.oldest === before) return holds();
      }
      return true;
    } finally {
      isFrozen = false;
      draw();
    }
  }
  const oldestEntry = () => room.timeline.get(room.follower.oldest);

  /** Brings a comment into the list. */
  const reach = (seq: number) => loadBackUntil(() => room.follower.oldest <= seq);
  /** The first comment at or after a time, and the first that was unread when this person came: its seq; 0: none. */
  async function reachTime(timeMs: number): Promise<number> {
    await loadBackUntil(() => (oldestEntry()?.timeMs ?? Infinity) <= timeMs);
    return book?.first((entry) => entry.timeMs >= timeMs)?.seq ?? 0;
  }
  async function reachUnread(): Promise<number> {
    const { unreadAfter } = view;
    await loadBackUntil(() => (oldestEntry()?.mseq ?? Infinity) <= unreadAfter);
    return book?.first((entry) => entry.mseq > unreadAfter && entry.author !== me.value)?.seq ?? 0;
  }

  let savedSeq = -1;
  function save(isLeaving = false): void {
    const { delivered } = room.follower;
    const kept = about();
    if (room.phase !== "live" || !kept || !book || delivered === savedSeq) return;
    // In a flood there is better to do; what stands when it ends, or when one leaves, is kept.
    pace.count(0, performance.now());
    if (!isLeaving && pace.waitMs(false) > 0) return;
    savedSeq = delivered;
    saveRoom(me.value, id, kept, book.rows);
  }
  const saver = setInterval(() => save(), SAVE_EVERY_MS);
  const impatient = setTimeout(() => ((patient = false), scheduleDraw()), PATIENCE_MS);
  /** What was kept of an earlier visit. */
  const cached = loadRoom(me.value, id).then((kept) => {
    found = kept;
    scheduleDraw();
    return kept;
  });

  const stops = [
    room.changed.on(scheduleDraw),
    client.outboxChanged.on(scheduleDraw),
    client.connectionChanged.on(({ phase }) => {
      if (phase === "waiting") patient = false;
      scheduleDraw();
    }),
  ];
  onUnmounted(() => {
    save(true);
    for (const stop of stops) stop();
    clearInterval(saver);
    clearTimeout(impatient);
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    client.leave(room);
  });
  function setReadingBack(now: boolean): void {
    readsBack = now;
    room.keepMost = now ? READING_MOST : FOLLOWING_MOST;
    // Back at the newest, what was read goes at once, in the drawing that goes there.
    if (now || !room.follower.trim(FOLLOWING_MOST)) return;
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    draw();
  }
  return { id, room, view, me, connection, cached, post, reach, reachTime, reachUnread, setReadingBack };
}
export type LiveRoom = ReturnType<typeof useRoom>;
