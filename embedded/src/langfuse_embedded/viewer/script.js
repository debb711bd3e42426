// Pages are complete without this: keys for moving about, copying, and a look for the first trace.
"use strict";

(() => {
  const rows = () => [...document.querySelectorAll("[data-rows] tbody tr")];
  const form = document.querySelector("[data-annotate]");
  const help = form
    ? "1 to 9 choose, Ctrl+Enter complete and next, → skip, ← previous, ? this list"
    : "/ search, j and k next and previous row, Enter open, ? this list";
  let current = -1;

  function move(step) {
    const all = rows();
    if (!all.length) return;
    all[current]?.classList.remove("current");
    current = Math.max(0, Math.min(all.length - 1, current + step));
    const row = all[current];
    row.classList.add("current");
    row.querySelector("a")?.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function showHelp() {
    const shown = document.querySelector(".keys");
    if (shown) return shown.remove();
    const note = document.createElement("p");
    note.className = "keys";
    note.setAttribute("role", "status");
    note.textContent = `Keys: ${help}.`;
    document.body.append(note);
  }

  // Digits choose in the group of buttons that has the focus, else in the first one without a choice.
  function choose(digit) {
    const groups = [...form.querySelectorAll(".choices")];
    const focused = document.activeElement?.closest?.("fieldset")?.querySelector(".choices");
    const group = focused ?? groups.find((one) => !one.querySelector(":checked")) ?? groups[0];
    const button = group?.querySelectorAll("input")[digit - 1];
    if (!button) return;
    button.checked = true;
    const next = groups[groups.indexOf(group) + 1];
    (next?.querySelector(":checked") ?? next?.querySelector("input") ?? button).focus();
  }

  document.addEventListener("keydown", (event) => {
    const control = event.target.closest?.("input, textarea, select");
    const typing = control?.type === "radio" ? null : control;
    if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
      return;
    }
    if (event.key === "Escape") {
      document.querySelector(".keys")?.remove();
      if (typing) typing.blur();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.querySelector("[data-search]");
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") showHelp();
    else if (form && /^[1-9]$/.test(event.key)) choose(Number(event.key));
    else if (form && !control && event.key === "ArrowRight") document.querySelector("a[rel=next]")?.click();
    else if (form && !control && event.key === "ArrowLeft") document.querySelector("a[rel=prev]")?.click();
  });

  for (const heading of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard || !heading.querySelector(".raw")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "copy";
    button.addEventListener("click", async () => {
      const answer = await fetch(heading.dataset.copy, { credentials: "same-origin" });
      await navigator.clipboard.writeText(await answer.text());
      button.textContent = "copied";
    });
    heading.append(button);
  }

  document.querySelector(".tree tr.selected")?.scrollIntoView({ block: "nearest" });

  if (document.querySelector("[data-refresh]")) {
    const look = async () => {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      const text = answer.ok ? await answer.text() : "";
      if (text && !text.includes("data-refresh")) location.reload();
      else setTimeout(look, 2000);
    };
    setTimeout(look, 2000);
  }
})();
