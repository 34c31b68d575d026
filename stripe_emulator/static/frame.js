// What a page of ours in a frame says to the one around it: how tall it is, and when it is done.

const parentOrigin = document.body.dataset.parent;

export const framed = parentOrigin !== undefined;

/** Speak to the page that the frame was made for, and to no other. */
export function tell(message) {
  window.parent.postMessage(message, parentOrigin);
}

if (framed) {
  new ResizeObserver(() => {
    tell({ type: "resize", height: Math.ceil(document.body.getBoundingClientRect().height) });
  }).observe(document.body);
}
