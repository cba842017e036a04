import { describe, expect, it } from "vitest";
import { type Chunk, firstLoad } from "../build/budget";
import { earlyTags } from "../build/early";

describe("the budget of script", () => {
  const chunk = (fileName: string, imports: string[] = [], facadeModuleId: string | null = null): Chunk => ({
    fileName,
    code: "",
    imports,
    isEntry: fileName === "index.js",
    facadeModuleId,
  });
  it("counts the entry, the page, and what both import; not what comes after", () => {
    const chunks = [chunk("index.js", ["vue.js"]), chunk("vue.js"), chunk("Room.js", ["virtua.js", "vue.js"], "/src/subjects/consultations/RoomPage.vue"), chunk("virtua.js"), chunk("Sheet.js")];
    expect(firstLoad(chunks, /RoomPage\.vue$/).map((one) => one.fileName)).toEqual(["index.js", "vue.js", "Room.js", "virtua.js"]);
    expect(() => firstLoad(chunks, /Hall\.vue$/)).toThrow();
  });
  it("what comes with the page is named in the document once", () => {
    const room = { ...chunk("Room.js", ["vue.js"], "/src/subjects/consultations/RoomPage.vue"), viteMetadata: { importedCss: new Set(["Room.css"]) } };
    const chunks = [chunk("index.js", ["vue.js"]), chunk("vue.js"), room, chunk("Sheet.js")];
    const html = '<script type="module" src="/index.js"></script><link rel="modulepreload" href="/vue.js">';
    expect(earlyTags(html, chunks, /RoomPage\.vue$/)).toEqual([
      '<link rel="preload" as="style" crossorigin href="/Room.css">',
      '<link rel="modulepreload" crossorigin href="/Room.js">',
    ]);
  });
});
