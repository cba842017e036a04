// The service worker: the shell opens without a network. It never answers for the service: what is said and who may
// hear it comes from the service or not at all.
const VERSION = "__VERSION__";
const FILES = __FILES__;
const PREFIX = "yitang-shell-";
const CACHE = PREFIX + VERSION;
/** This version and the one before it: a page of that one may still want a part that it has not loaded. */
const KEPT = 2;
/** A network that does not answer is none. */
const PATIENCE_MS = 4000;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => {
        const ours = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
        return Promise.all(ours.slice(0, Math.max(0, ours.length - (KEPT - 1))).map((name) => caches.delete(name)));
      })
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate") return event.respondWith(page(request));
  // A file's name holds the hash of its content: what is kept is what the network would give.
  if (url.pathname.startsWith("/assets/")) return event.respondWith(kept(request));
  if (FILES.includes(url.pathname)) return event.respondWith(fresh(request));
});

async function kept(request) {
  return (await caches.match(request)) || fetch(request);
}
async function fresh(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const found = await caches.match(request);
    if (found) return found;
    throw error;
  }
}

/** The newest page there is; without a network, the one that was kept. */
async function page(request) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(request.url, { signal: stop.signal, credentials: "same-origin", redirect: "follow" });
    if (answer.status < 500) return answer;
  } catch {
    // No network, or one that does not answer.
  } finally {
    clearTimeout(timer);
  }
  const cache = await caches.open(CACHE);
  return (await cache.match("/")) || fetch(request.url);
}
