// Refreshes what is marked `data-live` by the same page, asked for again. Without this file the pages work, and stand still.
"use strict";
{
  const button = document.getElementById("refresh");
  const said = document.getElementById("refreshed");

  const replace = (page) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
      for (const open of old.querySelectorAll("details[open][id]")) {
        const same = fresh.querySelector(`#${CSS.escape(open.id)}`);
        if (same) same.open = true;
      }
      old.replaceChildren(...fresh.childNodes);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    }
  };

  const refresh = async () => {
    try {
      const answer = await fetch(location.href, { redirect: "error", signal: AbortSignal.timeout(15000) });
      if (!answer.ok) throw new Error(answer.status);
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      said.textContent = "";
      document.body.dataset.refreshed = Number(document.body.dataset.refreshed || 0) + 1;
    } catch (error) {
      said.textContent = "The site did not answer: what you see is old. Reload the page to log in again.";
    }
  };

  if (button) {
    const seconds = Number(button.dataset.every);
    const tick = async () => {
      if (button.getAttribute("aria-pressed") === "false" && !document.hidden) await refresh();
      setTimeout(tick, seconds * 1000);
    };
    button.addEventListener("click", () => {
      const paused = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!paused));
    });
    button.hidden = false;
    setTimeout(tick, seconds * 1000);
  }
}
