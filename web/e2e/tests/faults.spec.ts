import { expect, test } from "@playwright/test";
import { Meeting } from "../support/meeting";
import { makeUnique } from "../support/page";
import { type Service, Topology, WholeService } from "../support/service";
import { setClock, testimony } from "../support/witness";

const AWAY_MS = 60_000;
/** A cut line is noticed at once; to say so takes a moment, on a busy machine a longer one. */
const CUT_MS = 5_000;
/** A line that is whole and carries nothing is found out by the first answer that does not come, within 15 s; by its silence
 * alone it would take twice as long. */
const DEAD_MS = 25_000;

// The whole of it once in one process, where the gateway that is killed must come back itself, and once on the roles of
// docker-compose.yml, where the other gateway takes over.
const places = [
  { name: "one process", start: () => WholeService.start(), away: "dead", noticeMs: DEAD_MS },
  { name: "two gateways", start: () => Topology.start(), away: "cut", noticeMs: CUT_MS },
] as const;

for (const { name, start, away, noticeMs } of places) {
  test.describe(`through ${name}`, () => {
    let service: Service;
    test.beforeAll(async () => {
      test.setTimeout(180_000);
      service = await start();
    });
    test.afterAll(() => service?.stop());

    test("a network away for a minute, a killed gateway, reloads and wrong clocks: nothing is lost, doubled or out of order, and the page says what is so", async ({ browser }) => {
      test.setTimeout(480_000);
      const meeting = await Meeting.begin(browser, service);
      const { writer, other, line } = meeting;

      // Two people converse; one's clock is a day ahead, the other's a day behind, and times are told right all the same.
      await meeting.bothSay("开场");
      await meeting.timesAreRight();

      // The line goes in the middle of posting one comment and writing the next.
      await meeting.isTorn("发出的一刻", () => line.set(away));
      const from = Date.now();
      await writer.composer.pressSequentially("写到一半，网络没了");
      await meeting.sends();
      // All the while the other speaks, each comment as soon as the one before is on the screen; the writer now and then.
      let writesNext = from;
      for (let round = 1; Date.now() < from + AWAY_MS; round += 1) {
        if (Date.now() >= writesNext) {
          writesNext += AWAY_MS / 6;
          await meeting.writes(`离线第 ${round} 条`);
          await meeting.isKept();
        }
        await meeting.otherSays(`对方第 ${round} 条`);
      }
      await meeting.saysItIsAway();
      // What was said meanwhile is on nobody's screen but its writer's, and there it is not called sent.
      for (const text of meeting.unsent) await expect(other.log.getByText(text)).toHaveCount(0);
      meeting.judge(await testimony(writer.page), { from, to: Date.now(), noticeMs });
      line.set("whole");
      await meeting.allIsSent();

      // Comments that have not gone out, and a draft, live through a reload; so does the truth about them.
      await writer.page.context().route("**/api/v1/ticket", (route) => route.abort());
      line.set("cut");
      await meeting.saysItIsAway();
      await meeting.writes("重载前没发出的第一条");
      await meeting.writes("重载前没发出的第二条");
      const draft = makeUnique("重载前没写完的");
      const reloads = async () => {
        await writer.composer.fill(draft);
        meeting.judge(await testimony(writer.page));
        line.set("whole");
        await writer.page.reload();
        await expect(writer.composer).toHaveValue(draft);
        await meeting.isKept();
      };
      await reloads();
      // The clock is put right while they wait, and one more is written by it: they stay in the order they were written.
      await setClock(writer.page, 0);
      await meeting.writes("时钟拨正以后写的");
      await reloads();
      await writer.page.context().unroute("**/api/v1/ticket");
      await meeting.allIsSent();
      await writer.composer.fill("");

      // The gateway that the writer is on is killed in the middle of a conversation.
      const gateway = await meeting.gatewayOfWriter();
      const killed = service.kill(gateway);
      await meeting.writes("网关倒下时的一条");
      await meeting.otherSays("对方也在说");
      await killed;
      await meeting.allIsSent();
      await meeting.bothSay("网关倒下之后");
      await meeting.timesAreRight();
      meeting.judge(await testimony(writer.page));

      await meeting.everythingAgrees();
      await meeting.ends();
    });
  });
}
