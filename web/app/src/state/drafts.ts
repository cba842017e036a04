// What is written and not yet sent, by conversation: it outlives a reload.
const PREFIX = "yitang-draft:";

export interface Draft {
  text: string;
  replyTo: number;
}

export function loadDraft(person: number, conversation: string): Draft {
  try {
    const kept = JSON.parse(localStorage.getItem(`${PREFIX}${person}:${conversation}`) ?? "null") as Draft | null;
    return { text: String(kept?.text ?? ""), replyTo: Number(kept?.replyTo ?? 0) };
  } catch {
    return { text: "", replyTo: 0 };
  }
}

export function keepDraft(person: number, conversation: string, draft: Draft): void {
  const key = `${PREFIX}${person}:${conversation}`;
  try {
    if (draft.text === "") localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(draft));
  } catch {
    // A private window or a full disk: the draft lives as long as the page.
  }
}
