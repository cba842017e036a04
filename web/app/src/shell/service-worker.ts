// The shell stays on the device: it opens without a network, and is new as soon as there is one.

/** After the page stands, and not for all at the same moment: in an opening minute thousands come at once. */
const SPREAD_MS = 8_000;

export function registerServiceWorker(): void {
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
  const register = () => void navigator.serviceWorker.register("/sw.js", { updateViaCache: "none" }).catch(() => undefined);
  const later = () => setTimeout(register, Math.random() * SPREAD_MS);
  if (document.readyState === "complete") later();
  else addEventListener("load", later, { once: true });
}
