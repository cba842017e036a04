// A meeting as it may be, made once, so that every page has something to show; and every page, by name.
import { type Browser, type BrowserContext, type BrowserContextOptions, type Page, expect } from "@playwright/test";
import { type Client, ConsultationState } from "@yitang/sdk";
import { signInProgram } from "./log";
import { Person, direct, url } from "./page";

/** A newcomer is a member who has not read the welcome yet. */
export type Who = "nobody" | "newcomer" | "member" | "staff";
export type Locale = "zh-CN" | "en";
export const SIZES = ["normal", "large", "huge"] as const;
export const THEMES = ["light", "dark", "contrast"] as const;
export type Size = (typeof SIZES)[number];
export type Theme = (typeof THEMES)[number];

type Kept = Awaited<ReturnType<BrowserContext["storageState"]>>;

export interface Scene {
  /** The consultation that is open, with a conversation in it. */
  room: string;
  /** One that is over. */
  past: string;
  /** One that is open, and in which only three things were said. */
  spoken: string;
  /** The hall's screen for the open one, with its secret. */
  hall: string;
  signedIn: Record<Who, Kept | undefined>;
}

const SAID: [string, string, number?][] = [
  ["staff1", "各位委员好，今天围绕老旧小区改造协商，请大家踊跃发言。"],
  ["member41", "加装电梯要先听一楼住户的意见，补偿办法应当公开透明。"],
  ["member5042", "建议把停车位和绿化一并规划，避免改造之后再返工。资料在 https://example.org/plan ，请各位参阅。"],
  ["member11043", "赞成。老年人多的楼栋，希望优先安排坡道和扶手。", 1],
  ["member17044", `改造资金怎么来，居民最关心。${"建议把省、市、县三级的补助标准列成一张表，贴在楼道里，让每一户都看得明白；".repeat(8)}这样议论就少了。`],
  ["staff1", "第二条已转建设部门，会后三个工作日内书面答复。", 1],
  ["member41", "物业费能不能与改造同步说清楚？很多小区改完之后没有人管，三年又旧了。"],
  ["member21045", "我补充一个数据：全区两千年以前建成的小区有一百二十六个，涉及四万一千户。"],
];
const SAID_BEFORE: [string, string][] = [
  ["staff1", "感谢各位委员参加，请围绕村级文化礼堂的使用发言。"],
  ["member41", "文化礼堂不能只在节日开门，建议排出每周的活动表。"],
  ["member5042", "可以请退休教师和非遗传承人驻堂，给一点补贴。"],
  ["staff1", "意见已汇总，会后形成专报。"],
];

const SAID_BRIEFLY: [string, string, number?][] = [
  ["staff1", "请各位委员发言。"],
  ["member41", "社区食堂要先算清楚账，再谈补贴。"],
  ["staff1", "账目会前已印发。", 1],
];

async function postAll(programs: Map<string, Client>, consultation: string, said: [string, string, number?][]): Promise<void> {
  const seqs: bigint[] = [];
  for (const [login, text, answers_] of said) {
    const replyTo = answers_ === undefined ? 0n : (seqs[answers_] ?? 0n);
    const client = programs.get(login);
    const receipt = await client?.services.conversations.sendPost({
      conversation: consultation,
      clientId: crypto.randomUUID(),
      content: { case: "comment", value: { text, replyTo } },
    });
    seqs.push(receipt?.position?.seq ?? 0n);
  }
}

/** Makes it; twice makes another conversation in the same open consultation. */
export async function setScene(browser: Browser): Promise<Scene> {
  const programs = new Map<string, Client>();
  for (const login of new Set([...SAID, ...SAID_BEFORE].map(([one]) => one))) programs.set(login, await signInProgram(direct(), login));
  const staff = programs.get("staff1") as Client;
  const { consultations } = staff.services;
  const open = (await consultations.listConsultations({ limit: 100 })).consultations.find((one) => /老旧小区/.test(one.title));
  const room = open?.id ?? "";
  await postAll(programs, room, SAID);

  const everybody = { organisations: [{ organisation: open?.organisation ?? 1, withBelow: true }], roles: [], people: [] };
  const make = async (title: string) => {
    const description = "一、情况介绍\n二、讨论\n三、回应";
    const organisation = open?.organisation ?? 1;
    const { id } = await consultations.createConsultation({ clientId: crypto.randomUUID(), organisation, title, description, watch: everybody, post: everybody });
    await consultations.setConsultationState({ id, state: ConsultationState.OPEN });
    return id;
  };
  const spoken = await make("请你来协商：社区食堂怎样办得长久");
  await postAll(programs, spoken, SAID_BRIEFLY);
  const past = await make("请你来协商：文化礼堂怎样天天有人来");
  await postAll(programs, past, SAID_BEFORE);
  await consultations.setConsultationState({ id: past, state: ConsultationState.CLOSED });
  const link = await staff.services.displays.createDisplayLink({ id: room, label: "主会场大屏", expiresMs: BigInt(Date.now() + 86_400_000) });

  const signedIn: Scene["signedIn"] = { nobody: undefined, newcomer: undefined, member: undefined, staff: undefined };
  for (const [who, login] of [["member", "member41"], ["staff", "staff1"]] as const) {
    const person = await Person.comes(browser, login);
    await expect(person.page.getByRole("heading", { level: 1 })).toBeVisible();
    if (who === "member") signedIn.newcomer = await person.page.context().storageState();
    await person.page.getByRole("button", { name: "知道了" }).click();
    signedIn[who] = await person.page.context().storageState();
    await person.leaves();
  }
  return { room, past, spoken, hall: link.path, signedIn };
}

/** A page of the application, and how it is reached. */
export interface Place {
  name: string;
  as: Who;
  path: (scene: Scene) => string;
  /** What is done there, where the page alone is not all there is to see. */
  open?: (page: Page, words: Words) => Promise<void>;
}

/** The words by which a person finds their way, in both languages. */
export interface Words {
  mine: RegExp;
  here: RegExp;
  agenda: RegExp;
  control: RegExp;
  actions: RegExp;
  addPerson: RegExp;
  addOrganisation: RegExp;
  importPeople: RegExp;
}
const WORDS: Words = {
  mine: /^(我的发言|My comments)/,
  here: /(在场|here)/,
  agenda: /^(议程与背景|Agenda and background)/,
  control: /^(主持操作|Moderation)/,
  actions: /^(对这条发言的操作|Actions for this comment)/,
  addPerson: /^(新增人员|Add a person)/,
  addOrganisation: /^(新增单位|Add an organisation)/,
  importPeople: /^(导入人员|Import people)/,
};

const sheet = (name: keyof Words) => async (page: Page, words: Words) => {
  await page.getByRole("button", { name: words[name] }).last().click();
  await expect(page.getByRole("dialog")).toBeVisible();
};
const room = (scene: Scene) => `/c/${scene.room}`;

export const PLACES: Place[] = [
  { name: "sign-in", as: "nobody", path: () => "/sign-in" },
  { name: "link", as: "nobody", path: () => "/link#secret" },
  { name: "nowhere", as: "nobody", path: () => "/there/is/no/such/page" },
  { name: "hall", as: "nobody", path: (scene) => scene.hall },
  { name: "welcome", as: "newcomer", path: () => "/" },
  { name: "home", as: "member", path: () => "/" },
  { name: "room", as: "member", path: room },
  { name: "room-here", as: "member", path: room, open: sheet("here") },
  { name: "room-mine", as: "member", path: room, open: sheet("mine") },
  { name: "room-actions", as: "member", path: room, open: sheet("actions") },
  { name: "document", as: "member", path: (scene) => `/c/${scene.past}/document` },
  { name: "account", as: "member", path: () => "/me" },
  { name: "room-control", as: "staff", path: room, open: sheet("control") },
  { name: "create", as: "staff", path: () => "/c/new" },
  { name: "edit", as: "staff", path: (scene) => `/c/${scene.room}/edit` },
  { name: "directory", as: "staff", path: () => "/directory" },
  { name: "directory-person", as: "staff", path: () => "/directory", open: sheet("addPerson") },
  { name: "directory-organisation", as: "staff", path: () => "/directory", open: sheet("addOrganisation") },
  { name: "directory-import", as: "staff", path: () => "/directory", open: sheet("importPeople") },
];

/** A browser of somebody who chose this language, size and theme. */
export async function openDressed(
  browser: Browser,
  scene: Scene,
  who: Who,
  { locale = "zh-CN", size = "normal", theme = "light" }: { locale?: Locale; size?: Size; theme?: Theme },
  options: BrowserContextOptions,
): Promise<BrowserContext> {
  const kept = scene.signedIn[who];
  const context = await browser.newContext({ baseURL: url(), locale, ...options, ...(kept ? { storageState: kept } : {}) });
  await context.addInitScript((settings) => {
    // Only where nothing was chosen on the page since.
    if (!sessionStorage.getItem("dressed")) localStorage.setItem("yitang-settings", JSON.stringify(settings));
    sessionStorage.setItem("dressed", "yes");
  }, { locale, size, theme });
  return context;
}

/** Goes there, and waits until all of it stands. */
export async function visit(page: Page, scene: Scene, place: Place): Promise<void> {
  await page.goto(place.path(scene));
  await expect(page.locator("h1").first()).toBeVisible();
  if (/^room/.test(place.name)) {
    await expect(page.locator("article.comment").first()).toBeVisible();
    await expect(page.getByRole("status").filter({ hasText: /已连接|Connected/ })).toBeAttached();
    await expect(page.getByRole("button", { name: /(在场|^)\s*\d+\s*(人|here)/ }).first()).toBeVisible();
  }
  // A document is whole when all of it is loaded, and says so no more.
  if (place.name === "document") {
    await expect(page.getByText(SAID_BEFORE[3]?.[1] ?? "")).toBeVisible();
    await expect(page.getByText(/已载入|loaded/i)).toHaveCount(0);
  }
  // A scene that was set before said it too.
  if (place.name === "hall") await expect(page.getByText(SAID[7]?.[1] ?? "").last()).toBeVisible();
  await waitUntilSettled(page);
  await page.evaluate(() => document.fonts.ready);
  await place.open?.(page, WORDS);
}

/** Waits for what comes late: names come after what was said. */
export async function waitUntilSettled(page: Page): Promise<void> {
  await expect(page.getByText(/^…$/)).toHaveCount(0);
  await expect(page.getByText(/正在载入|Loading…/)).toHaveCount(0);
}

/** Goes to every page in turn, and gives what was found wrong there; a page that cannot be shown is wrong too. */
export async function visitAll(
  browser: Browser,
  scene: Scene,
  look: Parameters<typeof openDressed>[3],
  options: BrowserContextOptions,
  find: (page: Page, place: Place) => Promise<string[]>,
): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const place of PLACES) {
    const context = await openDressed(browser, scene, place.as, look, options);
    const page = await context.newPage();
    const wrong = await visit(page, scene, place)
      .then(() => find(page, place))
      .catch((error: unknown) => [`it cannot be shown: ${String(error).slice(0, 400)}`]);
    if (wrong.length > 0) found[place.name] = wrong;
    await context.close();
  }
  return found;
}

/** Sets size and theme as the settings do, without a reload, and waits until no colour is on its way any more. */
export async function dress(page: Page, size: Size, theme: Theme): Promise<void> {
  await page.evaluate(([chosenSize, chosenTheme]) => {
    document.documentElement.dataset["size"] = chosenSize;
    document.documentElement.dataset["theme"] = chosenTheme;
  }, [size, theme] as const);
  await waitUntilStill(page);
}

/** Waits until what was changed is drawn and nothing that ends by itself moves or fades. */
export async function waitUntilStill(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const drawn = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const passing = () => document.getAnimations().filter((one) => one.playState === "running" && one.effect?.getComputedTiming().endTime !== Infinity);
    do await drawn();
    while (passing().length > 0);
  });
}
