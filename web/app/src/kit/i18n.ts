// Two languages, and texts with places for values: `{n}`. A floor or a subject has its words in one file (words.ts), both
// languages side by side, and gets from here the function that finds them: typed, so that a key that is missing is an error.
import { ref } from "vue";

export type Locale = "zh-CN" | "en";

/** The language of the page. */
export const locale = ref<Locale>("zh-CN");

/** A text in Chinese, then in English. */
type Text = readonly [zh: string, en: string];
export interface Words {
  readonly [key: string]: Text | Words;
}
/** Keys as they are asked for: "room.older". */
export type KeyOf<W> = { [K in keyof W & string]: W[K] extends Text ? K : `${K}.${KeyOf<W[K]>}` }[keyof W & string];
type Values = Record<string, string | number>;
type Union<W> = W extends Words ? KeyOf<W> : never;

function findText(sets: readonly Words[], key: string): Text | undefined {
  for (const words of sets) {
    let found: Text | Words | undefined = words;
    for (const part of key.split(".")) found = found && !Array.isArray(found) ? (found as Words)[part] : undefined;
    if (Array.isArray(found)) return found as unknown as Text;
  }
  return undefined;
}

/** The texts of these words, by key. What it gives depends on `locale`: in a template or a computed it follows it. */
export function createTranslator<const S extends readonly Words[]>(...sets: S): (key: Union<S[number]>, values?: Values) => string {
  const known = new Map<string, Text>();
  return (key, values) => {
    let text = known.get(key);
    if (!text) {
      text = findText(sets, key);
      if (!text) throw new Error(`there are no words for ${key}`);
      known.set(key, text);
    }
    const words = locale.value === "en" ? text[1] : text[0];
    return values ? words.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? "")) : words;
  };
}
