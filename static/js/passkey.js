// Passkeys: asks the server what to ask the device, and sends the device's answer with the form, as text in a hidden field.
function toBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function toText(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function readOptions(options) {
  const listed = (known) => (known ?? []).map((one) => ({ ...one, id: toBytes(one.id) }));
  const read = { ...options, challenge: toBytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: toBytes(options.user.id) };
  if (options.excludeCredentials) read.excludeCredentials = listed(options.excludeCredentials);
  if (options.allowCredentials) read.allowCredentials = listed(options.allowCredentials);
  return read;
}

function writeAnswer(credential) {
  const { response } = credential;
  const parts = { clientDataJSON: toText(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) parts[name] = toText(response[name]);
  }
  if (response.getTransports) parts.transports = response.getTransports();
  return JSON.stringify({ id: credential.id, rawId: toText(credential.rawId), type: credential.type, response: parts });
}

function explain(error) {
  if (error.name === "InvalidStateError") return "This device holds a passkey for your account already.";
  if (error.name === "SecurityError") return "Passkeys do not work at this address. Open Keydeck by its own name.";
  if (error.name === "NotAllowedError") return "Nothing was confirmed in time. Try again, or use another way.";
  return error.words ?? "The passkey could not be used. Try again, or use another way.";
}

async function ask(form) {
  const answer = await fetch(form.dataset.passkeyOptions, { method: "POST", headers: { Accept: "application/problem+json, application/json" } });
  const told = await answer.json();
  if (told.code === "proof_needed") location.assign(`/security/confirm?next=${encodeURIComponent(location.pathname)}`);
  if (!answer.ok) throw Object.assign(new Error(told.code), { words: [told.title, told.next_step].filter(Boolean).join(". ") });
  const publicKey = readOptions(told);
  if (form.dataset.passkey === "create") return navigator.credentials.create({ publicKey });
  return navigator.credentials.get({ publicKey });
}

function show(form, words) {
  const place = form.querySelector("[data-passkey-error]");
  place.querySelector("[data-passkey-words]").textContent = words;
  place.hidden = !words;
}

// A page that goes on in place takes the answer itself; else the form is sent.
function send(form) {
  const event = new Event("keydeck:answered", { bubbles: true, cancelable: true });
  if (form.dispatchEvent(event)) form.submit();
}

function watchPasskeys() {
  addEventListener(
    "submit",
    async (event) => {
      const form = event.target;
      if (!("passkey" in form.dataset)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if ("asking" in form.dataset) return;
      form.dataset.asking = "";
      show(form, "");
      try {
        if (!window.PublicKeyCredential) throw Object.assign(new Error("none"), { words: "This browser has no passkeys at this address." });
        form.querySelector("[data-passkey-answer]").value = writeAnswer(await ask(form));
        send(form);
      } catch (error) {
        show(form, explain(error));
      } finally {
        delete form.dataset.asking;
      }
    },
    true,
  );
}

watchPasskeys();
