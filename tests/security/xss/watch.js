// Runs before every page: counts what payloads run, and what the browser refuses to run.
window.__ran = [];
window.__refused = [];
window.kdxss = window.KDXSS = (number) => window.__ran.push(number);
document.addEventListener("securitypolicyviolation", (event) => {
  window.__refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
