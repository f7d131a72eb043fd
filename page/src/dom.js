// Elements, without a framework. Text from the board only ever becomes text nodes.

// Make an element: properties by name, listeners as on…, anything with a dash (aria-…) as an attribute.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// Say how many bytes in words that fit a list.
export function sizeText(bytes) {
  if (bytes < 0) return "";
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1000).toFixed(bytes < 1e4 ? 1 : 0)} KB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
