// What a page says to eyes and ears, and which of it is the application's own.
import type { Page } from "@playwright/test";
import type { Client } from "@yitang/sdk";
import { readComments } from "./log";
import type { Locale, Scene } from "./scene";

/** What people and organisations are called and what they wrote: not the application's words. Longest first. */
export async function collectData(client: Client, scene: Scene): Promise<string[]> {
  const found = new Set<string>();
  const facts = await client.http.facts();
  found.add(facts.body.zh);
  const { organisations } = await client.services.directory.listOrganisations({});
  for (const { name } of organisations) found.add(name);
  const named = new Set<number>();
  const { consultations } = await client.services.consultations.listConsultations({ limit: 100 });
  for (const one of consultations) {
    found.add(one.title);
    const whole = await client.services.consultations.getConsultation({ id: one.id });
    for (const line of whole.description.split("\n")) found.add(line.trim());
    for (const moderator of whole.moderators) named.add(moderator);
  }
  const { links } = await client.services.displays.listDisplayLinks({ id: scene.room });
  for (const { label } of links) found.add(label);
  for (const room of [scene.room, scene.past]) {
    for (const { text, author } of await readComments(client, room)) {
      // A link in a text is a piece of its own, and so is what stands on both sides of it.
      for (const piece of text.split(/\n|https?:\/\/[!-~]+/)) found.add(piece.trim());
      named.add(author);
    }
  }
  const me = await client.services.directory.getMe({});
  const people = [...(await client.services.directory.getPeople({ ids: [...named] })).people, ...(me.person ? [me.person] : [])];
  const own = await client.services.directory.searchPeople({ text: "", organisation: me.person?.organisation ?? 0, limit: 50 });
  for (const { name, login } of [...people, ...own.people]) for (const one of [name, login]) found.add(one);
  return [...found].filter((one) => one !== "").sort((a, b) => b.length - a.length);
}

/** Everything that a page says to eyes and ears. Runs in the page. */
function readTexts(): string[] {
  const texts: string[] = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!parent || parent.closest("script, style, noscript")) continue;
    texts.push(node.textContent ?? "");
  }
  for (const one of document.querySelectorAll("*")) {
    for (const name of ["aria-label", "aria-description", "aria-roledescription", "placeholder", "title", "alt"]) {
      const value = one.getAttribute(name);
      if (value) texts.push(value);
    }
  }
  return texts.map((text) => text.trim()).filter((text) => text !== "");
}

/** Names that are the same in every language, and what is written by machines for machines. */
const NAMES = /中文|PDF|English|Yitang|yitang-web[ \d.]*|\.csv|login,name,organisation_code,roles|code,name,level,parent_code|member\+staff|https?:\/\/\S+|(member|staff)\d+|\b(Enter|Esc|Home|End|Ctrl|Alt|Shift|Page(Up| Up|Down| Down)|Tab|[A-Z])\b/g;

/** The application's own words on this page that are of another language: what is data is taken out. A text that is cut short
 * is data too. */
export async function findForeignWords(page: Page, locale: Locale, data: string[]): Promise<string[]> {
  const texts = await page.evaluate(readTexts);
  const words = texts.map((text) => {
    let rest = text;
    for (const one of data) rest = rest.replaceAll(one, " ");
    const cut = rest.replace(/…$/, "");
    // The first sign of a name stands in a circle beside a comment; a quotation is the beginning of a comment.
    if (cut.length > 0 && data.some((one) => one.startsWith(cut) && (cut.length > 8 || [...cut].length === 1))) return "";
    return rest.trim().replace(NAMES, " ");
  });
  if (words.length < 3) return ["it says nothing"];
  return [...new Set(words.filter((text) => (locale === "en" ? /[\u3400-\u9fff]/ : /[A-Za-z]{2,}/).test(text)))];
}
