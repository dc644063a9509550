// Pasting keys: invisible characters are taken out, and a key pasted together with its secret fills both fields.
const INVISIBLE = /[\s\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;
const TOKEN = /^[\w+/=.~-]{8,}$/;
const KEY_NAME = /^(api|access)[ _-]?(key|id)$|^key$|^api$|^id$/i;
const SECRET_NAME = /^(api[ _-]?)?(secret|private)[ _-]?(key)?$/i;

function readNamed(entries) {
  const key = entries.find(([name]) => KEY_NAME.test(name.trim()));
  const secret = entries.find(([name]) => SECRET_NAME.test(name.trim()));
  return key && secret && key !== secret ? [key[1], secret[1]] : null;
}

function readJson(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? readNamed(Object.entries(value).filter(([, part]) => typeof part === "string")) : null;
  } catch {
    return null;
  }
}

// Returns [key, secret] when the text holds exactly one pair, else null.
export function splitPair(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  const named = lines.map((line) => /^([\w -]{2,20}?)\s*[:=]\s*["']?([^"']+?)["']?[,;]?$/.exec(line)).filter(Boolean).map((found) => [found[1], found[2]]);
  const pair = readJson(text) ?? readNamed(named) ?? (lines.length === 2 ? lines : null);
  if (!pair) return null;
  const clean = pair.map((part) => part.replace(INVISIBLE, ""));
  return clean.every((part) => TOKEN.test(part)) && clean[0] !== clean[1] ? clean : null;
}

function say(form, text) {
  const note = form.querySelector("[data-paste-note]");
  const place = form.querySelector("[data-paste-text]");
  if (place) place.textContent = text;
  if (note) note.hidden = !text;
}

function fill(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function labelOf(field) {
  return field.labels?.[0]?.firstChild?.textContent.trim() || field.name;
}

export function watchPasting() {
  addEventListener("paste", (event) => {
    const field = event.target.closest?.("input[data-paste]");
    const form = field?.form;
    if (!form) return;
    const text = event.clipboardData?.getData("text") ?? "";
    const key = form.querySelector('[data-paste="key"]');
    const secret = form.querySelector('[data-paste="secret"]');
    const pair = key && secret ? splitPair(text) : null;
    if (pair) {
      event.preventDefault();
      fill(key, pair[0]);
      fill(secret, pair[1]);
      say(form, `You pasted two values. The first went to ${labelOf(key)}, the second to ${labelOf(secret)}. If the check says the signature is wrong, swap them.`);
      secret.focus();
      return;
    }
    const clean = text.replace(INVISIBLE, "");
    if (clean === text) {
      say(form, "");
      return;
    }
    event.preventDefault();
    const start = field.selectionStart ?? field.value.length;
    field.setRangeText(clean, start, field.selectionEnd ?? start, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    say(form, text.trim() === clean ? "" : "Spaces, line breaks or invisible characters were taken out of what you pasted.");
  });
}
