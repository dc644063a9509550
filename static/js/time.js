// Keeps relative times true while a page stays open, in the words the server uses. The exact time stays in the title.
const EVERY_MS = 10_000;
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const DAY_AND_YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

export function writeAge(moment, now) {
  const seconds = (now - moment) / 1000;
  const size = Math.floor(Math.abs(seconds));
  if (size >= 86_400) return (moment.getUTCFullYear() === now.getUTCFullYear() ? DAY : DAY_AND_YEAR).format(moment).replace("Sept", "Sep");
  if (size === 0) return "now";
  const hours = Math.floor(size / 3600);
  const words = size < 60 ? `${size} s` : size < 3600 ? `${Math.floor(size / 60)} min` : `${hours} ${hours === 1 ? "hour" : "hours"}`;
  return seconds > 0 ? `${words} ago` : `in ${words}`;
}

export function watchTimes() {
  const refresh = () => {
    if (document.hidden) return;
    const now = new Date();
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const words = writeAge(new Date(time.dateTime), now);
      if (time.textContent !== words) time.textContent = words;
    }
  };
  setInterval(refresh, EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
}
