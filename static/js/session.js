// Says two minutes ahead that the session ends, in every tab, and lets it go on. The page itself stays as it is.
const WARN_MS = 120_000;
const LOOK_MS = 1_000;

export function watchSession() {
  const box = document.querySelector("[data-session]");
  if (!box) return;
  const stay = box.querySelector("[data-session-stay]");
  const again = box.querySelector("[data-session-again]");
  const tabs = new BroadcastChannel("keydeck-session");
  let endsAt = Date.now() + Number(box.dataset.sessionSeconds) * 1000;
  let shown = "";

  function show(name) {
    if (shown === name) return;
    shown = name;
    box.hidden = !name;
    stay.hidden = name !== "soon" && name !== "lost";
    again.hidden = name === "soon" || name === "lost";
    for (const words of box.querySelectorAll("[data-session-words]")) words.hidden = words.dataset.sessionWords !== name;
  }

  function look() {
    const left = endsAt - Date.now();
    if (left <= 0) show("over");
    else if (left > WARN_MS) show("");
    else if (!shown) show("soon");
  }

  function learn(seconds) {
    endsAt = Date.now() + seconds * 1000;
    if (endsAt - Date.now() <= WARN_MS) show("final");
    else show("");
  }

  stay.addEventListener("click", async () => {
    try {
      const answer = await fetch("/security/stay", { method: "POST", headers: { Accept: "application/problem+json, application/json" } });
      if (answer.status === 401) {
        endsAt = 0;
        look();
        return;
      }
      const { seconds } = await answer.json();
      learn(seconds);
      tabs.postMessage(seconds);
    } catch {
      show("lost");
    }
  });
  tabs.addEventListener("message", (event) => learn(event.data));
  tabs.postMessage(Number(box.dataset.sessionSeconds));
  setInterval(look, LOOK_MS);
  document.addEventListener("visibilitychange", look);
}
