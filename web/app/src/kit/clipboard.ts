// To the clipboard; where the browser or the webview does not give it, by hand of the page.
import { toast } from "./toasts";
import { t } from "./words";

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("common.copied"));
  } catch {
    toast(byHand(text) ? t("common.copied") : t("common.notCopied"), false);
  }
}

/** `document.execCommand` is old, and what the webviews that have no clipboard have. */
function byHand(text: string): boolean {
  const box = document.createElement("textarea");
  box.value = text;
  box.readOnly = true;
  box.className = "unseen";
  document.body.append(box);
  box.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    box.remove();
  }
}
