// Markup made in the browser comes from <template> elements only: no HTML is ever built from text.
export function cloneTemplate(selector, texts = {}) {
  const template = document.querySelector(selector);
  if (!(template instanceof HTMLTemplateElement)) return null;
  const element = template.content.firstElementChild.cloneNode(true);
  for (const [name, text] of Object.entries(texts)) {
    const place = element.querySelector(`[data-${name}]`);
    if (place) place.textContent = text;
  }
  return element;
}
