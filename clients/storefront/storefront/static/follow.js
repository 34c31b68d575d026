// Loads the page anew when what it shows is no longer so.
//
// The element with data-follow names an address whose answer has a `state`; data-state is the one
// that the page was made of. Asked less and less often, and at once when somebody looks again.
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;
const GROWTH = 1.4;

const { follow, state } = document.querySelector("[data-follow]").dataset;
let pause = FIRST_PAUSE;
let timer = setTimeout(look, pause);

async function look() {
  clearTimeout(timer);
  if (await isOld()) return window.location.reload();
  pause = Math.min(pause * GROWTH, LONGEST_PAUSE);
  // Looked at by two at once, only the later one goes on.
  clearTimeout(timer);
  timer = setTimeout(look, pause);
}

async function isOld() {
  try {
    const answer = await fetch(follow, { cache: "no-store", redirect: "error" });
    return answer.ok && (await answer.json()).state !== state;
  } catch {
    return false; // no answer: what is shown stays, and the next look may find more
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  pause = FIRST_PAUSE;
  look();
});
