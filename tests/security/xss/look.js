// Returns what is wrong with the page that is open: what ran or was refused, and any markup that no template of ours holds.
() => {
  const alien = "script:not([src]), iframe, base, object, embed, style, math, meta[http-equiv], [srcdoc], [style]";
  const places = ["href", "src", "action", "formaction"];
  const foreign = /^\s*(javascript|data|vbscript):|^\/\/|evil/i;
  const handlersOf = (one) => one.getAttributeNames().filter((name) => name.startsWith("on")).map((name) => `${one.tagName} ${name}`);
  const addressesOf = (one) => places.map((name) => one.getAttribute(name)).filter((address) => address && foreign.test(address));
  return {
    ran: window.__ran,
    refused: window.__refused,
    alien: [...document.querySelectorAll(alien)].map((one) => one.outerHTML.slice(0, 200)),
    handlers: [...document.querySelectorAll("*")].flatMap(handlersOf),
    addresses: [...document.querySelectorAll("[href], [src], [action], [formaction]")].flatMap(addressesOf).filter((address) => !address.startsWith("/") || address.startsWith("//")),
  };
}
