// The vectors that sequence/tests/vectors.rs makes: what a client is sent, and what it must hold then.
import { readFileSync } from "node:fs";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../src/gen/event_pb.js";
import { ServerFrameSchema, Verdict } from "../src/gen/socket_pb.js";
import { Inbox, Timeline, countsAsUnread, toEntry } from "../src/index.js";

interface Vectors {
  cases: { name: string; log: JsonValue[]; frames: JsonValue[]; state: JsonValue[]; comments: number[] }[];
  order: { name: string; delivered: number; most: number; steps: { first: number; last: number; outcome: Record<string, unknown> }[] }[];
}
const vectors = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8")) as Vectors;

const entry = (json: JsonValue) => toEntry(fromJson(EventSchema, json));

/** Holds what comes, as a client does. */
function read(frames: JsonValue[]): Timeline {
  const timeline = new Timeline();
  for (const json of frames) {
    const { frame } = fromJson(ServerFrameSchema, json);
    if (frame.case === "subscribed") {
      if (frame.value.verdict === Verdict.RESET) timeline.clear();
      for (const event of frame.value.tail?.events ?? []) timeline.apply(toEntry(event));
    } else if (frame.case === "batch" && frame.value.body.case === "events") {
      for (const event of frame.value.body.value.events) timeline.apply(toEntry(event));
    } else if (frame.case === "page") {
      for (const event of frame.value.events) timeline.apply(toEntry(event));
    } else throw new Error(`the vectors hold a frame that this test does not know: ${frame.case}`);
  }
  return timeline;
}

describe("the vectors shared with the server", () => {
  it("hold every kind of event", () => {
    const kinds = new Set(vectors.cases.flatMap(({ log }) => log.map((event) => entry(event).kind.case)));
    expect([...kinds].sort()).toEqual(
      ["comment", "consultationChanged", "conversationCreated", "edit", "hide", "membersChanged", "poll", "pollClosed", "recall", "unhide", "vote"],
    );
    expect(vectors.cases.length).toBeGreaterThan(10);
  });

  it.each(vectors.cases)("$name", ({ frames, state, comments }) => {
    const timeline = read(frames);
    expect(timeline.entries()).toEqual(state.map(entry));
    const standing = timeline.comments().filter(({ kind }) => kind.case === "comment" && !kind.gone);
    expect(standing.map(({ seq }) => seq)).toEqual(comments);
  });

  it.each(vectors.cases)("count as unread what the server counts: $name", ({ log }) => {
    const events = log.map(entry);
    const counted = events.filter((event, index) => event.mseq > (events[index - 1]?.mseq ?? 0));
    expect(events.filter(countsAsUnread)).toEqual(counted);
  });

  it.each(vectors.order)("order: $name", ({ delivered, most, steps }) => {
    const inbox = new Inbox<number>(delivered, most);
    for (const { first, last, outcome } of steps) {
      const offer = inbox.offer({ first, items: Array.from({ length: last - first + 1 }, (_, index) => first + index) });
      const told = offer.kind === "ready" ? { kind: "ready", first: offer.first, last: offer.first + offer.items.length - 1 } : offer;
      expect(told).toEqual(outcome);
      if (offer.kind === "ready") expect(offer.items).toEqual(Array.from({ length: offer.items.length }, (_, index) => offer.first + index));
    }
  });
});
